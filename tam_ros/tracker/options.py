"""What may change while a session runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from tam_ros.tracker.forecast import FORECAST_TIMES, MAX_HORIZON_S, ForecastTime

RANGES = {  # smallest and largest value of each number
    'lost_after_s': (0.0, 3600.0),
    'confirm_s': (0.0, 10.0),
    'exit_ratio': (0.0, 1.0),
    'entry_ratio': (0.0, 1.0),
    'max_growth': (1.0, 1000.0),
    'max_move': (0.01, 1000.0),
    'forecast_ms': (0.0, MAX_HORIZON_S * 1e3),
    'history_s': (0.0, 10.0),
    'history_frames': (1, 1000),
    'history_mb': (0.0, 65536.0),
    'max_prompt_points': (1, 1000),
}


def check_ranges(options, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for an attribute that is not between its smallest and largest value."""
    for name, (low, high) in ranges.items():
        if not low <= getattr(options, name) <= high:
            raise ValueError(f'{name} {getattr(options, name):g}: use {low:g} to {high:g}')


@dataclass(frozen=True)
class SessionOptions:
    """What may change while a session runs; raises ValueError for what is out of `RANGES`.

    lost_after_s: seconds without being visible after which an object counts as LOST.
    exclusive_masks: whether each pixel goes to the one object with the best logit there.

    forecast: what time objects are forecast for: that of publishing, or forecast_ms after the
    frame's; with 'none' their motion is not followed.

    history_s, history_frames, history_mb: how long, how many and how much (MiB) of the newest
    frames are kept encoded, for prompts that come late; the newest frame always is.

    max_prompt_points: clicks that an object may have on one frame; each takes time.

    The others say when a mask is withheld (see `visibility`); ratios are parts of the quality
    that the object's masks usually have, and a benchmark engine uses none of them:
    confirm_s: seconds that a weak mask must last to be believed, or a doubtful one not to be.
    exit_ratio: a mask below it is doubtful; 0 doubts none.
    entry_ratio: a mask above it is believed at once, wherever it is.
    max_growth, max_move: change of area (as a factor, either way), and distance (in object
    sizes), that a mask below entry_ratio may have within a quarter of a second.
    """

    lost_after_s: float = 2.0
    exclusive_masks: bool = True
    forecast: ForecastTime = 'none'
    forecast_ms: float = 100.0
    confirm_s: float = 0.15
    exit_ratio: float = 0.3
    entry_ratio: float = 0.7
    max_growth: float = 6.0
    max_move: float = 1.0
    history_s: float = 1.0
    history_frames: int = 32
    history_mb: float = 256.0
    max_prompt_points: int = 100

    def __post_init__(self):
        if self.forecast not in FORECAST_TIMES:
            raise ValueError(f'forecast {self.forecast!r}: use {", ".join(FORECAST_TIMES)}')
        check_ranges(self, RANGES)

    def forecast_ns(self, stamp_ns: int, publish_ns: int) -> int | None:
        """Return the time to forecast a frame for that is published at publish_ns, if any."""
        fixed_ns = stamp_ns + round(self.forecast_ms * 1e6)
        return {'none': None, 'publish_time': publish_ns, 'fixed_ms': fixed_ns}[self.forecast]
