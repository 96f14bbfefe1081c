"""Carries objects that were prompted on an earlier frame to the newest."""

import time
from collections.abc import Callable

from tam_ros.tracker.history import History
from tam_ros.tracker.objects import TrackedObjects
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.tracking import Tracking


class LateTracks:
    """Carries late objects through the frames since their prompt, a few frames at a time.

    Those on the same frame go on as one batch. If only one frame fits into the time allowed, the
    next is left out, as if the camera had dropped it: otherwise they would never arrive.
    """

    def __init__(
        self,
        objects: TrackedObjects,
        tracking: Tracking,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._objects = objects
        self._tracking = tracking
        self._clock = clock
        self._is_slow = False

    def carry(self, history: History, options: SessionOptions, budget_s: float) -> None:
        """Carry objects on for a time, but at least by a frame.

        Those that have been found in the newest frame are on time from then on.
        """
        newest = history.newest.index
        started = now = self._clock()
        frames_done = 0
        while not self._objects.have_reached(newest):
            self._carry_last(history, options)
            frames_done += 1
            before, now = now, self._clock()
            # The next is likely to take as long as the last.
            if (now - before) + (now - started) > budget_s:
                break
        for track in self._objects.late:
            if track.frame_index >= newest:
                self._objects.arrive(track.object_id)
        self._is_slow = bool(self._objects.late) and frames_done == 1

    def _carry_last(self, history: History, options: SessionOptions) -> None:
        """Carry those that are furthest behind by a frame."""
        late = self._objects.late
        ahead = history.after(min(track.frame_index for track in late))
        frame = ahead[min(int(self._is_slow), len(ahead) - 1)]
        tracks = [track for track in late if track.frame_index < frame.index]
        self._tracking.widen(frame, list(self._objects.values()))
        self._tracking.track(frame, tracks, options)
