"""Options of a session, of detections and of discovery: what may change while they run."""

from dataclasses import dataclass
from typing import Literal

from tam_ros.options import check_options, option
from tam_ros.tracker.forecast import FORECAST_TIMES, MAX_HORIZON_S, ForecastTime

Roi = Literal['auto', 'off']
ROI_CHOICES: tuple[Roi, ...] = ('auto', 'off')


@dataclass(frozen=True)
class SessionOptions:
    """When masks are believed, what is forecast, and how far back prompts may reach.

    `visibility` says when masks are withheld; with a benchmark engine none is. With forecast none,
    no motion is followed. The newest frame is kept whatever the history may hold. Raises
    ValueError for a value that is not allowed.
    """

    lost_after_s: float = option(
        2.0, 'Seconds unseen until an object counts as LOST.', between=(0.0, 3600.0)
    )
    confirm_s: float = option(
        0.15,
        'Seconds that weak masks must last until a hidden object counts as visible again, and '
        'doubtful ones until a visible object counts as hidden.',
        between=(0.0, 10.0),
    )
    exit_ratio: float = option(
        0.3,
        "Masks of less than this part of the object's usual quality, which is presence x "
        'predicted IoU, are doubtful; 0: none. With entry_ratio 0 as well, no mask is withheld.',
        between=(0.0, 1.0),
    )
    entry_ratio: float = option(
        0.7,
        "A mask of at least this part of the object's usual quality is believed at once.",
        between=(0.0, 1.0),
    )
    max_growth: float = option(
        6.0,
        'A mask below entry_ratio is withheld if its area is larger or smaller than usual by more '
        'than this factor (for gaps over 0.25 s, in proportion more).',
        between=(1.0, 1000.0),
    )
    max_move: float = option(
        1.0,
        'A mask below entry_ratio is withheld if it is farther from the last one than this, in '
        'sizes of the object (for gaps over 0.25 s, in proportion more).',
        between=(0.01, 1000.0),
    )
    exclusive_masks: bool = option(
        True, 'Give each pixel to one object only, that with the best logit.'
    )
    forecast: ForecastTime = option(
        'none',
        'What time objects are forecast for: none, publish_time (when the result goes out), or '
        'fixed_ms (forecast_ms after the image).',
        choices=FORECAST_TIMES,
    )
    forecast_ms: float = option(
        100.0,
        'Milliseconds from the image to the forecast, with fixed_ms.',
        between=(0.0, MAX_HORIZON_S * 1e3),
    )
    history_s: float = option(
        1.0,
        'Seconds for which frames are kept, encoded, for prompts and detections that come late.',
        between=(0.0, 10.0),
    )
    history_frames: int = option(32, 'Frames that are kept so at most.', between=(1, 1000))
    history_mb: float = option(
        256.0,
        'MiB that they may take: features on the device (EdgeTAM at 1024 px: 16 a frame), and '
        'images (720p: 2.6), to look closely at.',
        between=(0.0, 65536.0),
    )
    roi: Roi = option(
        'off',
        'Region of interest: auto encodes only a window around the objects where all of them are '
        'small and near each other, and the whole image to look for them; off: always all of it. '
        'What is about 10 pixels large is followed with auto alone, which also keeps the images '
        'of prompted frames.',
        choices=ROI_CHOICES,
    )
    max_prompt_points: int = option(
        100,
        'Points of one prompt, clicks before it on the same frame included.',
        between=(1, 1000),
    )

    def __post_init__(self) -> None:
        check_options(self)

    def forecast_ns(self, stamp_ns: int, publish_ns: int) -> int | None:
        """Return the time to forecast a frame for that is published at publish_ns, if any."""
        fixed_ns = stamp_ns + round(self.forecast_ms * 1e6)
        return {'none': None, 'publish_time': publish_ns, 'fixed_ms': fixed_ns}[self.forecast]


@dataclass(frozen=True)
class DetectionOptions:
    """What is made of detections; raises ValueError for a value that is not allowed."""

    min_score: float = option(0.5, 'Detections below are ignored.', between=(0.0, 1.0))
    new_score: float = option(
        0.7, 'Only detections from here on start objects, or correct them.', between=(0.0, 1.0)
    )
    match_iou: float = option(
        0.5,
        'IoU of masks from which a detection is a tracked object, seen again.',
        between=(0.05, 1.0),
    )
    known_iou: float = option(
        0.1,
        'IoU with any tracked mask from which a detection is no new object.',
        between=(0.0, 1.0),
    )
    double_iou: float = option(
        0.7,
        'IoU from which two new detections, or a TENTATIVE object and an older one, are the same.',
        between=(0.05, 1.0),
    )
    confirm_hits: int = option(
        1,
        'How often a TENTATIVE object must be detected again to be confirmed; 0: detections '
        'start no objects.',
        between=(0, 100),
    )
    drop_misses: int = option(
        3,
        'After how many messages in a row without it a TENTATIVE object is dropped.',
        between=(1, 100),
    )
    weak_iou: float = option(
        0.5,
        'Objects whose mask has a predicted IoU below are corrected by a detection that matches.',
        between=(0.0, 1.0),
    )
    correct_s: float = option(
        0.5, 'Seconds before an object may be corrected again.', between=(0.0, 3600.0)
    )
    max_boxes: int = option(
        32, 'Boxes of a message that are looked at, the best ones.', between=(1, 1000)
    )
    max_new: int = option(16, 'Objects at a time that came from detections.', between=(0, 255))
    max_per_class: int = option(
        0,
        'Objects of one label at a time, for detections to start more; 0: any.',
        between=(0, 255),
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class DiscoveryOptions:
    """What counts as found, and how long is looked; ValueError for a value that is not allowed."""

    max_s: float = option(
        5.0,
        'Seconds that a search may take, frames in between included; what it has found by then '
        'counts.',
        between=(0.05, 600.0),
    )
    max_objects: int = option(
        16, 'What a search finds at most, unless it asks for another number.', between=(1, 255)
    )
    min_score: float = option(
        0.55, 'Masks with a predicted IoU below are left out.', between=(0.0, 1.0)
    )
    min_stability: float = option(
        0.6,
        'Masks that change more with the threshold are left out: the IoU of a tighter and a wider '
        'one.',
        between=(0.0, 1.0),
    )
    min_area: float = option(
        0.002, 'Masks that are a smaller part of the image are left out.', between=(0.0, 1.0)
    )
    max_area: float = option(
        0.8, 'Masks that are a larger part of the image are left out.', between=(0.0, 1.0)
    )
    sure_score: float = option(
        0.6,
        'Where a mask of this predicted IoU or more is, no further points are asked.',
        between=(0.0, 1.0),
    )
    double_iou: float = option(
        0.7, 'IoU from which two masks are the same object.', between=(0.05, 1.0)
    )
    coarse_points: int = option(
        8, 'Points along each side of the grid that is asked first.', between=(1, 64)
    )
    fine_points: int = option(
        0,
        'Points along each side of the grid that is asked then, such as 16, where no mask is sure '
        'yet; 0: none.',
        between=(0, 128),
    )
    batch: int = option(
        16,
        'Prompts that are asked at a time at most; fewer where they would take longer than a '
        'frame.',
        between=(1, 256),
    )

    def __post_init__(self) -> None:
        check_options(self)
