"""The newest frames, encoded, so that a late prompt is applied to the frame it was made on."""

import itertools
from collections import deque
from statistics import median

from tam_ros.prompts import PromptError
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.track import ByteCount, Frame

LONGEST_GAP = 3  # between two frames, in usual ones, that still counts as dropped frames


class History:
    """The newest frames in order of time, bounded in time, number and bytes.

    The newest frame stays, whatever the bounds.
    """

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._count = ByteCount()

    def add(self, frame: Frame) -> None:
        """Add a frame, which is newer than all others."""
        self._frames.append(frame)
        frame.count = self._count
        self._count.nbytes += frame.nbytes

    def trim(self, options: SessionOptions) -> None:
        """Forget the oldest frames, as far as they are beyond the bounds."""
        frames = self._frames
        oldest_ns = frames[-1].stamp_ns - options.history_s * 1e9
        while len(frames) > 1 and (
            frames[0].stamp_ns < oldest_ns
            or len(frames) > options.history_frames
            or self.nbytes > options.history_mb * 2**20
        ):
            self._forget_oldest()

    def clear(self) -> None:
        """Forget all frames."""
        while self._frames:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        frame = self._frames.popleft()
        frame.count = None
        self._count.nbytes -= frame.nbytes

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        """What all frames occupy, with what was seen of objects in them."""
        return self._count.nbytes

    @property
    def newest(self) -> Frame:
        """The newest frame; raises PromptError before the first one."""
        if not self._frames:
            raise PromptError('no frame has arrived yet: is the camera publishing?')
        return self._frames[-1]

    def after(self, index: int) -> list[Frame]:
        """Return the frames that came after the one of that index, oldest first."""
        return [frame for frame in self._frames if frame.index > index]

    def at(self, stamp_ns: int | None) -> Frame:
        """Return the frame of a stamp, the nearest within half a frame period; None: the newest.

        Between two frames the period may be up to `LONGEST_GAP` times the usual one: the nearest
        stands in for those that were dropped there. The stamp at which stamps stand still is that
        of the newest. Raises PromptError, with the span of the history, where there is no frame.
        """
        newest = self.newest
        if stamp_ns is None or (newest.is_standing and stamp_ns == newest.image_stamp_ns):
            return newest
        nearest = min(self._frames, key=lambda frame: abs(frame.stamp_ns - stamp_ns))
        if 2 * abs(nearest.stamp_ns - stamp_ns) > self._period_at(stamp_ns):
            raise PromptError(self._refusal(stamp_ns, nearest))
        return nearest

    def is_ahead(self, stamp_ns: int) -> bool:
        """Return whether a stamp belongs to a frame that is yet to come."""
        return not self._frames or 2 * (stamp_ns - self.newest.stamp_ns) > self._period_ns

    def ahead_s(self, stamp_ns: int) -> float:
        """Return how many seconds a stamp is ahead of the newest frame; 0 before the first."""
        return (stamp_ns - self.newest.stamp_ns) * 1e-9 if self._frames else 0.0

    @property
    def _period_ns(self) -> float:
        """Usual time between two frames; 0 where there is one only, which then must be meant."""
        return median(b - a for a, b in self._gaps) if len(self._frames) > 1 else 0.0

    @property
    def _gaps(self) -> list[tuple[int, int]]:
        """The stamps of every two frames in a row."""
        return list(itertools.pairwise(frame.stamp_ns for frame in self._frames))

    def _period_at(self, stamp_ns: int) -> float:
        """Time between the two frames around a stamp, unless they are far apart."""
        usual = self._period_ns
        around = next((b - a for a, b in self._gaps if a <= stamp_ns <= b), 0)
        return max(usual, min(around, LONGEST_GAP * usual))

    def _refusal(self, stamp_ns: int, nearest: Frame) -> str:
        first, last = self._frames[0].stamp_ns, self._frames[-1].stamp_ns
        span = f'{first * 1e-9:.3f} to {last * 1e-9:.3f} ({(last - first) * 1e-6:.0f} ms)'
        if stamp_ns < first:
            where = f'{(first - stamp_ns) * 1e-6:.0f} ms older than the frames kept'
        elif stamp_ns > last:
            where = f'{(stamp_ns - last) * 1e-6:.0f} ms newer than the newest frame'
        else:
            away = abs(nearest.stamp_ns - stamp_ns) * 1e-6
            where = f'{away:.0f} ms from the nearest frame, {nearest.stamp_ns * 1e-9:.3f}'
        return (
            f'stamp {stamp_ns * 1e-9:.3f} is {where}: the history has frames from {span}, '
            'use the stamp of one of them'
        )
