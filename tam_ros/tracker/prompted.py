"""What prompts on a frame come to: objects that start there, or go on from there corrected."""

from collections.abc import Sequence
from dataclasses import dataclass

from tam_ros.prompts import Prompt
from tam_ros.tracker.decoding import refusing_prompts
from tam_ros.tracker.history import History
from tam_ros.tracker.objects import TrackedObjects
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.prompting import PromptDecoder
from tam_ros.tracker.results import ObjectResult
from tam_ros.tracker.showing import NewestView, check_pixels, show_prompted
from tam_ros.tracker.track import Frame, PromptAnswer, Track
from tam_ros.tracker.tracking import Tracking


@dataclass(frozen=True)
class PromptedFrame:
    """A frame that prompts are made on, and what they change.

    First a prompt is answered, which changes nothing; then an object starts with the answer, or
    is corrected by it, unless no pixel of the frame would be the object's: that is a PromptError,
    and every object is then as it was.
    """

    frame: Frame
    """One that is still encoded."""
    options: SessionOptions
    """As they are when the prompts are made."""
    objects: TrackedObjects
    """All that are tracked."""
    history: History
    """Of which the frame is one."""
    decoder: PromptDecoder
    """Answers."""
    tracking: Tracking
    """Remembers the answers, and finds objects anew."""

    def answer(self, prompt: Prompt, track: Track | None) -> PromptAnswer:
        """Answer a checked prompt for a new object, or for one; see `PromptDecoder.decode`."""
        return self.decoder.decode(
            self.frame, prompt, track, max_points=self.options.max_prompt_points
        )

    def answer_boxes(self, prompts: Sequence[Prompt]) -> list[PromptAnswer]:
        """Answer checked prompts that are boxes, at least one, as a batch, at a first look."""
        return self.decoder.decode_boxes(self.frame, prompts)

    def look_closely(self, answer: PromptAnswer) -> PromptAnswer:
        """Return the answer to a box that is taken; see `PromptDecoder.look_closely`."""
        return self.decoder.look_closely(self.frame, answer)

    def start(self, answer: PromptAnswer, *, label: str, tentative: bool) -> ObjectResult:
        """Start an object with what its prompt was answered; PromptError without room for it."""
        self.objects.check_room()
        check_pixels(self.frame, answer, self.objects, self.options)
        track = self.objects.new_track(answer, label=label, tentative=tentative)
        return self._go_on(track)

    def correct(
        self, track: Track, answer: PromptAnswer, *, label: str = '', tentative: bool = True
    ) -> ObjectResult:
        """Take a prompt's answer as that of an object.

        In an earlier frame, it takes the place of all that was remembered since. label: a new
        one, if any. tentative: whether an object that is only proposed stays so.
        """
        check_pixels(self.frame, answer, self.objects, self.options, object_id=track.object_id)
        track.label = label or track.label
        track.tentative &= tentative
        # One that is owed on another frame would be lost: a track holds the last answer only.
        if track.owes_memory and self.frame.index != track.answer.observation.frame_index:
            settle_prompts(self.history, self.objects, self.tracking)
        if self.objects.is_late(track.object_id) or self._is_newest:
            track.go_on_from(answer)
            return self._go_on(track)
        self._correct_past(track, answer)
        return self._show_past(track)

    @property
    def _is_newest(self) -> bool:
        return self.frame is self.history.newest

    def _go_on(self, track: Track) -> ObjectResult:
        """Let an object go on from this frame."""
        self.frame.note(track.object_id, track.observation)
        if not self._is_newest:
            # At once, for it is carried on from this memory.
            self.tracking.remember_prompts(self.frame, [track])
            self.objects.add(track, is_late=True)
            return self._show_past(track)
        self.objects.add(track, is_late=False)
        view = NewestView(self.frame, self.objects.on_time, self.options)
        view.follow_motions()
        return view.result_of(track)

    def _correct_past(self, track: Track, answer: PromptAnswer) -> None:
        """Correct an object that is on time in an earlier frame, and then in the newest."""
        track.answer = answer
        self.tracking.remember_prompts(self.frame, [track])
        self.frame.note(track.object_id, answer.observation)
        track.motion = None
        newest = self.history.newest
        # What a prompt on the newest frame was answered stands.
        if not track.memory.is_prompted(newest.index):
            track.visibility.start(answer.observation.sighting)
            self.tracking.widen(newest, list(self.objects.values()))
            with refusing_prompts():
                self.tracking.track(newest, [track], self.options)

    def _show_past(self, track: Track) -> ObjectResult:
        return show_prompted(self.frame, track, self.objects, self.options)


def settle_prompts(history: History, objects: TrackedObjects, tracking: Tracking) -> None:
    """Encode the memories of the newest frame's prompts, now that no more will come."""
    owing = [track for track in objects.on_time if track.owes_memory]
    if owing:
        tracking.remember_prompts(history.newest, owing)
