"""Objects that were prompted on an earlier frame, on their way to the newest."""

import time
from collections.abc import Callable

from tam_ros.tracker.history import History
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.track import Track
from tam_ros.tracker.tracking import Tracking


class LateTracks:
    """Carries objects through the frames since their prompt, a few frames at a time.

    Those on the same frame go on as one batch. If only one frame fits into the time allowed, the
    next is left out, as if the camera had dropped it: otherwise they would never arrive.
    """

    def __init__(self, tracking: Tracking, clock: Callable[[], float] = time.perf_counter):
        self._tracking = tracking
        self._clock = clock
        self._is_slow = False
        self.tracks: dict[int, Track] = {}  # by id

    def have_reached(self, frame_index: int) -> bool:
        """Return whether all of them have come as far as a frame."""
        return all(track.frame_index >= frame_index for track in self.tracks.values())

    def carry(self, history: History, options: SessionOptions, budget_s: float) -> list[Track]:
        """Carry objects on for a time, but at least by a frame; return those that arrived.

        Arrived are those that have been found in the newest frame.
        """
        newest = history.newest.index
        started = now = self._clock()
        frames_done = 0
        while not self.have_reached(newest):
            self._carry_last(history, options)
            frames_done += 1
            before, now = now, self._clock()
            if (now - before) + (now - started) > budget_s:
                break
        arrived = [t for t in self.tracks.values() if t.frame_index >= newest]
        for track in arrived:
            del self.tracks[track.object_id]
        self._is_slow = bool(self.tracks) and frames_done == 1
        return arrived

    def _carry_last(self, history: History, options: SessionOptions) -> None:
        """Carry those that are furthest behind by a frame."""
        ahead = history.after(min(track.frame_index for track in self.tracks.values()))
        frame = ahead[min(int(self._is_slow), len(ahead) - 1)]
        tracks = [t for t in self.tracks.values() if t.frame_index < frame.index]
        self._tracking.track(frame, tracks, options)
