"""Options of a session that are fixed when it starts, for its memory is allocated once."""

from dataclasses import dataclass

from tam_ros.options import check_options, option
from tam_ros.tracker.policies import POLICIES


@dataclass(frozen=True)
class MemoryOptions:
    """How many objects are tracked, and what of each is remembered.

    Raises ValueError for a value that is not allowed.
    """

    max_objects: int = option(
        16, 'Objects that can be tracked at a time.', between=(1, 255), live=False
    )
    max_prompted_frames: int = option(
        4,
        'Prompted frames each object remembers; the first always stays.',
        between=(1, 32),
        live=False,
    )
    memory_policy: str = option(
        'fifo',
        'Which frames an object remembers. fifo: the newest, as the papers do; quality: those in '
        'which it was seen well; dam: one every 0.2 s, and those that tell it from something like '
        'it; tree: on several pathways, for at most 2 objects.',
        choices=tuple(POLICIES),
        live=False,
    )

    def __post_init__(self) -> None:
        check_options(self)
