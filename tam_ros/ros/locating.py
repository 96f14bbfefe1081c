"""From masks and depth of one image to objects in the frame of the outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tam_ros.geometry.box_filter import BoxFilter
from tam_ros.geometry.depth_frame import DepthFrame
from tam_ros.geometry.locate import locate
from tam_ros.geometry.oriented_box import Stance
from tam_ros.geometry.placement import Placement
from tam_ros.masks import MaskCrop
from tam_ros.msg import TrackedObject
from tam_ros.ros.placement import PlacedObject


@dataclass(frozen=True)
class View:
    """A depth image and from where it was taken."""

    frame: DepthFrame
    """Depth, and the camera that it is of."""
    stamp_ns: int
    """The image's."""
    placement: Placement
    """The camera in the frame of the outputs."""
    up: np.ndarray | None
    """(3,) up in the camera's frame; None where that is not known."""
    fixed_frame: str = ''
    """Name of the frame of the outputs; empty for the camera's."""


class Locating:
    """Locates objects, each smoothly from frame to frame. warn takes kind and text.

    Boxes are smoothed in the frame of the outputs, in which a moving camera moves nothing else.
    """

    def __init__(self, warn: Callable[[str, str], None]):
        self._warn = warn
        self._filters: dict[int, BoxFilter] = {}
        self._fixed_frame = ''

    def forget_others(self, objects: list[TrackedObject]) -> None:
        """Forget the boxes of objects that are not among these."""
        ids = {o.id for o in objects}
        self._filters = {i: known for i, known in self._filters.items() if i in ids}

    def locate(
        self,
        objects: list[TrackedObject],
        masks: Mapping[int, MaskCrop],
        view: View,
    ) -> list[PlacedObject]:
        """Return those objects that have a mask, by id, and depth."""
        if view.fixed_frame != self._fixed_frame:  # what is known of boxes is of another
            self._filters, self._fixed_frame = {}, view.fixed_frame
        visible = [o for o in objects if o.id in masks]
        placed = [self._locate(tracked, masks[tracked.id], view) for tracked in visible]
        return [found for found in placed if found is not None]

    def _locate(self, tracked: TrackedObject, crop: MaskCrop, view: View) -> PlacedObject | None:
        boxes = self._filters.setdefault(tracked.id, BoxFilter())
        before = None if boxes.axes is None else view.placement.turn.T @ boxes.axes
        stance = Stance(up=view.up, axes=before)
        found = locate(view.frame, crop, stance)
        if found is None:
            self._warn(
                'objects_without_depth', f'object {tracked.id} has no depth: its mask is all holes'
            )
            return None
        covariance = view.placement.covariance(found.covariance)
        smoothing_s = view.frame.options.smoothing_s
        box = boxes.update(view.placement.box(found.box), view.stamp_ns, covariance, smoothing_s)
        return PlacedObject(
            tracked.id,
            tracked.label,
            tracked.score,
            crop,
            box,
            covariance,
            found,
            view.placement,
        )
