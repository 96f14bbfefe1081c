"""What is planned for frames to come: prompts of an annotator, and searches for objects."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tam_ros.offline.recording import SECOND
from tam_ros.prompts import Prompt, PromptError, check_label, check_prompt
from tam_ros.tracker.discovery import DiscoveryRequest, check_region
from tam_ros.tracker.options import DiscoveryOptions

LARGEST_ID = 254  # of 8-bit masks, where 255 is void


@dataclass(frozen=True)
class Moment:
    """A frame of a recording; str gives it in words. Raises PromptError for what cannot be."""

    frame: int | None = 0
    """Its index in the recording; None where there is a stamp."""
    stamp_ns: int | None = None
    """A time in the recording, in a bag that of headers: the frame is the nearest."""

    def __post_init__(self) -> None:
        if self.frame is not None and self.frame < 0:
            raise PromptError(f'frame {self.frame}: use 0 or more')

    def __str__(self) -> str:
        if self.stamp_ns is None:
            return f'frame {self.frame}'
        return f'stamp {self.stamp_ns / SECOND:g}'

    def is_in(self, index: int, since_ns: int, until_ns: int) -> bool:
        """Whether it is that frame, to which times after since_ns until until_ns belong."""
        if self.stamp_ns is None:
            return self.frame == index
        return since_ns < self.stamp_ns <= until_ns


@dataclass(frozen=True)
class PlannedPrompt:
    """A prompt, and the frame that it is for. Raises PromptError for what cannot be."""

    source: str
    """Where the user wrote it, for messages."""
    object_id: int
    """The user's number of the object, 1 to 254; the same one again is a correction."""
    prompt: Prompt
    """Without a stamp."""
    label: str = ''
    """A name of the object."""
    at: Moment = Moment()
    """The frame."""

    def __post_init__(self) -> None:
        if not 1 <= self.object_id <= LARGEST_ID:
            raise PromptError(f'object {self.object_id}: use 1 to {LARGEST_ID}')
        check_label(self.label)

    def digest(self) -> str:
        """Return what tells it from others on the same frame."""
        prompt = self.prompt
        mask = b'' if prompt.mask is None else np.packbits(prompt.mask != 0).tobytes()
        clicks = prompt.points_xy.tolist(), prompt.point_labels.tolist()
        said = self.object_id, self.label, clicks, prompt.box_xyxy
        return _digest(repr(said).encode() + mask)


@dataclass(frozen=True)
class PlannedSearch:
    """A search for what can be tracked, and its frame. Raises PromptError for what cannot be."""

    source: str
    """Where the user wrote it, for messages."""
    request: DiscoveryRequest
    """For the newest frame; what is found is started."""
    options: DiscoveryOptions
    """What counts as found."""
    at: Moment = Moment()
    """The frame."""

    def __post_init__(self) -> None:
        check_label(self.request.label)

    def digest(self) -> str:
        """Return what tells it from others on the same frame."""
        return _digest(repr((self.request, self.options)).encode())


Planned = PlannedPrompt | PlannedSearch


class Plan:
    """All prompts and searches of a run."""

    def __init__(self, planned: Sequence[Planned]):
        """planned: in the order in which those of one frame are given."""
        self._planned = planned
        self._prompts = [each for each in planned if isinstance(each, PlannedPrompt)]
        self._searches = [each for each in planned if isinstance(each, PlannedSearch)]

    def __len__(self) -> int:
        return len(self._planned)

    @property
    def max_objects(self) -> int:
        """How many objects there may be at most."""
        found = sum(search.options.max_objects for search in self._searches)
        prompted = len({planned.object_id for planned in self._prompts})
        return min(prompted + found, LARGEST_ID)

    def check(self, size_wh: tuple[int, int], count: int | None) -> None:
        """Raise PromptError for what no frame of that size, or number, could take.

        count: of frames, if that is certain.
        """
        given = [planned.object_id for planned in self._prompts]
        for planned in self._prompts:
            is_new = given.count(planned.object_id) == 1 and not self._searches
            with saying(planned):
                check_prompt(planned.prompt, size_wh, is_new=is_new)
        for search in self._searches:
            with saying(search):
                check_region(search.request.region_xyxy, size_wh)
        if count is not None:
            self.check_end(count)

    def due(self, index: int, since_ns: int, until_ns: int) -> list[Planned]:
        """Return what is for a frame, to which times after since_ns until until_ns belong."""
        return [each for each in self._planned if each.at.is_in(index, since_ns, until_ns)]

    def check_start(self, since_ns: int) -> None:
        """Raise PromptError for a stamp before all frames."""
        for planned in self._planned:
            stamp_ns = planned.at.stamp_ns
            if stamp_ns is not None and stamp_ns <= since_ns:
                with saying(planned):
                    raise PromptError(f'{planned.at} is before the first frame')

    def check_end(self, count: int, until_ns: int | None = None) -> None:
        """Raise PromptError for what comes after a number of frames, or after a time."""
        for planned in self._planned:
            at = planned.at
            is_late = at.frame is not None and at.frame >= count
            if at.stamp_ns is not None and until_ns is not None:
                is_late = at.stamp_ns > until_ns
            if is_late:
                with saying(planned):
                    raise PromptError(f'{at} is after the last frame, {count - 1}')


def _digest(said: bytes) -> str:
    return hashlib.sha256(said).hexdigest()[:16]


@contextlib.contextmanager
def saying(planned: Planned) -> Iterator[None]:
    """Have PromptErrors of what is done say what they are about."""
    try:
        yield
    except PromptError as error:
        raise PromptError(f'{planned.source}: {error}') from error
