"""What may be set of the node objects_3d, beside the geometry's options."""

from dataclasses import dataclass

import numpy as np

from tam_ros.geometry.options import GeometryOptions
from tam_ros.options import Option, check_options, option, options_of


@dataclass(frozen=True)
class InputOptions:
    """How depth arrives, and meets the masks.

    Raises ValueError for a value that is not allowed.
    """

    depth_transport: str = option(
        'raw',
        'How depth arrives: raw (Image), or compressed (on depth/compressedDepth).',
        choices=('raw', 'compressed'),
        live=False,
    )
    rectified: bool = option(
        False, 'The images are rectified: P of camera_info holds, and no distortion.'
    )
    colors: str = option(
        'object',
        'Colours of points: object, as in the overlay, or image, which is joined with masks and '
        'depth.',
        choices=('object', 'image'),
        live=False,
    )
    image_transport: str = option(
        'raw',
        'How that image arrives: raw (Image), or compressed (on image/compressed).',
        choices=('raw', 'compressed'),
        live=False,
    )
    slop_s: float = option(
        0.02,
        'Seconds by which the stamps of masks and depth may differ.',
        between=(0.0001, 1.0),
        live=False,
    )
    queue_s: float = option(
        2.0,
        'Seconds for which depth waits for its masks: longer than the tracker takes for a frame.',
        between=(0.1, 60.0),
        live=False,
    )
    rate_hz: float = option(
        30.0,
        'Highest rate at which depth comes; with queue_s it says how many images wait.',
        between=(1.0, 300.0),
        live=False,
    )

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def queue_length(self) -> int:
        """How many messages of a topic wait."""
        return int(np.ceil(self.queue_s * self.rate_hz)) + 1


@dataclass(frozen=True)
class OutputOptions:
    """In which frame objects are published, and what of them.

    Raises ValueError for a value that is not allowed.
    """

    target_frame: str = option(
        '', "Frame of boxes, clouds and poses, by TF at the image's stamp; empty: the camera's."
    )
    tf_timeout_s: float = option(
        0.1, 'Seconds to wait for a transform that has not come yet.', between=(0.0, 5.0)
    )
    up: str = option(
        '',
        'Which way is up, for boxes that stand upright and reach down to what is below: a frame '
        "whose z points up, or three numbers in the camera's, such as 0 -1 0; empty: as they lie.",
        live=False,
    )
    broadcast_tf: bool = option(True, 'Broadcast the frame of each visible object.')
    tf_prefix: str = option('', 'What the names of these frames begin with, before object_ID.')
    tf_hold_s: float = option(
        0.0,
        'Seconds for which the frame of an object that is hidden goes on where it was last.',
        between=(0.0, 3600.0),
    )
    remove: str = option(
        'all',
        'What depth_without_objects is without: all objects, or the target alone.',
        choices=('all', 'target'),
    )
    margin_px: int = option(4, 'Pixels around them that it is without, too.', between=(0, 200))

    def __post_init__(self) -> None:
        check_options(self)
        self.up_xyz  # noqa: B018 - which raises

    @property
    def needs_tf(self) -> bool:
        """Whether transforms are looked up."""
        return bool(self.target_frame or self.up_frame)

    @property
    def up_xyz(self) -> np.ndarray | None:
        """(3,) float64 up in the camera's frame; None where up is a frame, or not given."""
        try:
            numbers = [float(part) for part in self.up.replace(',', ' ').split()]
        except ValueError:
            return None
        if not numbers:
            return None
        if len(numbers) != 3 or not 0 < np.linalg.norm(numbers) < np.inf:
            raise ValueError(f'up {self.up!r}: use a frame, or three numbers, not all 0')
        return np.array(numbers)

    @property
    def up_frame(self) -> str:
        """The frame whose z points up; '' where there is none."""
        return '' if self.up_xyz is not None else self.up.strip()


GROUPS_3D = (InputOptions, OutputOptions, GeometryOptions)
PARAMETERS_3D: dict[str, Option] = {
    name: described for group in GROUPS_3D for name, described in options_of(group).items()
}
