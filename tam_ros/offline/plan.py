"""Prompts for frames to come: what an annotator has planned for which object, when."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tam_ros.offline.recording import SECOND
from tam_ros.prompts import Prompt, PromptError, check_label, check_prompt

LARGEST_ID = 254  # of 8-bit masks, where 255 is void


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
    frame: int | None = 0
    """Its index in the recording; None where there is a stamp."""
    stamp_ns: int | None = None
    """A time in the recording, in a bag that of headers: the frame is the nearest."""

    def __post_init__(self) -> None:
        if not 1 <= self.object_id <= LARGEST_ID:
            raise PromptError(f'object {self.object_id}: use 1 to {LARGEST_ID}')
        if self.frame is not None and self.frame < 0:
            raise PromptError(f'frame {self.frame}: use 0 or more')
        check_label(self.label)

    @property
    def when(self) -> str:
        """The frame or time that it is for, in words."""
        if self.stamp_ns is None:
            return f'frame {self.frame}'
        return f'stamp {self.stamp_ns / SECOND:g}'

    def digest(self) -> str:
        """Return what tells it from other prompts on the same frame."""
        prompt = self.prompt
        mask = b'' if prompt.mask is None else np.packbits(prompt.mask != 0).tobytes()
        clicks = prompt.points_xy.tolist(), prompt.point_labels.tolist()
        said = self.object_id, self.label, clicks, prompt.box_xyxy
        return hashlib.sha256(repr(said).encode() + mask).hexdigest()[:16]


class Plan:
    """All prompts of a run."""

    def __init__(self, prompts: Sequence[PlannedPrompt]):
        """prompts: in the order in which those of one frame are given."""
        self._prompts = prompts
        self.object_ids = sorted({planned.object_id for planned in prompts})

    def check(self, size_wh: tuple[int, int], count: int | None) -> None:
        """Raise PromptError for a prompt that no frame of that size, or number, could take.

        count: of frames, if that is certain.
        """
        given = [planned.object_id for planned in self._prompts]
        for planned in self._prompts:
            is_new = given.count(planned.object_id) == 1
            with saying(planned):
                check_prompt(planned.prompt, size_wh, is_new=is_new)
        if count is not None:
            self.check_end(count)

    def due(self, index: int, since_ns: int, until_ns: int) -> list[PlannedPrompt]:
        """Return the prompts for a frame, to which times after since_ns until until_ns belong."""
        return [
            planned
            for planned in self._prompts
            if planned.frame == index
            or (planned.stamp_ns is not None and since_ns < planned.stamp_ns <= until_ns)
        ]

    def check_start(self, since_ns: int) -> None:
        """Raise PromptError for a prompt with a stamp before all frames."""
        for planned in self._prompts:
            if planned.stamp_ns is not None and planned.stamp_ns <= since_ns:
                with saying(planned):
                    raise PromptError(f'{planned.when} is before the first frame')

    def check_end(self, count: int, until_ns: int | None = None) -> None:
        """Raise PromptError for a prompt that comes after a number of frames, or after a time."""
        for planned in self._prompts:
            is_late = planned.frame is not None and planned.frame >= count
            if planned.stamp_ns is not None and until_ns is not None:
                is_late = planned.stamp_ns > until_ns
            if is_late:
                with saying(planned):
                    raise PromptError(f'{planned.when} is after the last frame, {count - 1}')


@contextlib.contextmanager
def saying(planned: PlannedPrompt) -> Iterator[None]:
    """Have PromptErrors of what is done say which prompt they are about."""
    try:
        yield
    except PromptError as error:
        raise PromptError(f'{planned.source}: {error}') from error
