"""Rates and latencies of the last frames, for diagnostics; bounded."""

import time
from collections import deque

import numpy as np

WINDOW_S = 5.0


class RollingStatistics:
    """When the last frames were done, how old each was then and how long it took."""

    def __init__(self, length: int = 300):
        # Copied before it is gone through: another thread adds to it meanwhile.
        self._frames: deque[tuple[float, float, float]] = deque(maxlen=length)

    def add(self, latency_s: float, processing_s: float) -> None:
        """Note a frame that is done now. latency_s: negative where the clocks do not agree."""
        self._frames.append((time.monotonic(), latency_s, processing_s))

    @property
    def rate_hz(self) -> float:
        """Frames per second over the last WINDOW_S seconds; 0 when none came."""
        now = time.monotonic()
        recent = [done for done, _, _ in tuple(self._frames) if done > now - WINDOW_S]
        return len(recent) / min(WINDOW_S, now - recent[0] + 1e-9) if len(recent) > 1 else 0.0

    def latency_ms(self, percentile: float) -> float:
        """Return a percentile of the age at publication, camera stamp to mask, in ms.

        Frames from the future are left out: time stands still, or the camera's is another one.
        """
        return self._percentile_ms(1, percentile)

    def processing_ms(self, percentile: float) -> float:
        """Return a percentile of the time spent on a frame, in ms."""
        return self._percentile_ms(2, percentile)

    def _percentile_ms(self, column: int, percentile: float) -> float:
        values = [frame[column] for frame in tuple(self._frames) if frame[column] >= 0]
        return float(np.percentile(values, percentile)) * 1e3 if values else 0.0
