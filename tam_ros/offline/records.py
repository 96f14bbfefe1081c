"""What was found in a frame, as it is kept and written: objects under the user's numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tam_ros.masks import MaskCrop, label_image
from tam_ros.offline.recording import Origin, Shot
from tam_ros.offline.rle import RleMask
from tam_ros.tracker.results import ObjectState


@dataclass(frozen=True)
class ObjectRecord:
    """One object in one frame."""

    object_id: int
    """The user's, 1 to 254."""
    label: str
    """The user's; empty where none was given."""
    state: ObjectState
    """Where the object stands in this frame."""
    predicted_iou: float
    """Of the mask, in [0, 1]; 0 where there is none."""
    kept_mask: RleMask | None
    """None of an object that is not visible."""

    @property
    def mask(self) -> MaskCrop | None:
        """The pixels of the kept mask."""
        return self.kept_mask.crop if self.kept_mask else None


@dataclass(frozen=True)
class FrameRecord:
    """All objects in a frame, and which one that is."""

    index: int
    """As in `View`, and so are name, file name, time and origin."""
    name: str
    """Of its mask file."""
    file_name: str
    """Of its image file, if it has one."""
    time_ns: int
    """Of the picture."""
    until_ns: int
    """As in `Shot`."""
    origin: Origin | None
    """Of a bag's image."""
    size_wh: tuple[int, int]
    """In pixels."""
    prompts: tuple[str, ...]
    """Digests of those that were given in it, in their order."""
    objects: Sequence[ObjectRecord]
    """In order of their ids."""

    def label_image(self) -> np.ndarray:
        """Return a (H, W) uint16 image whose pixels are object ids, 0 where there is none."""
        return label_image({o.object_id: o.mask for o in self.objects}, self.size_wh)


def make_record(
    shot: Shot, prompts: Sequence[str], objects: Sequence[ObjectRecord]
) -> FrameRecord:
    """Return the record of a shot. prompts: digests of those given in it."""
    view = shot.view
    return FrameRecord(
        view.index,
        view.name,
        view.file_name,
        view.time_ns,
        shot.until_ns,
        view.origin,
        view.size_wh,
        tuple(prompts),
        objects,
    )


def record_to_json(record: FrameRecord) -> dict[str, Any]:
    """Return a record as values that JSON has; masks are COCO's strings."""
    origin = record.origin
    return {
        'frame': record.index,
        'name': record.name,
        'file_name': record.file_name,
        'time_ns': record.time_ns,
        'until_ns': record.until_ns,
        'origin': origin and [origin.stamp_ns, origin.frame_id, origin.received_ns],
        'prompts': list(record.prompts),
        'objects': [_object_to_json(found) for found in record.objects],
    }


def _object_to_json(found: ObjectRecord) -> dict[str, Any]:
    return {
        'id': found.object_id,
        'label': found.label,
        'state': found.state.name,
        'score': round(found.predicted_iou, 6),
        'mask': found.kept_mask and found.kept_mask.counts,
        'box': found.kept_mask and found.kept_mask.box_xyxy,
        'area': found.kept_mask and found.kept_mask.area,
    }


def record_from_json(values: dict[str, Any], size_wh: tuple[int, int]) -> FrameRecord:
    """Return the record that was made into values; ValueError, KeyError or TypeError of others."""
    origin = values['origin']
    return FrameRecord(
        values['frame'],
        values['name'],
        values['file_name'],
        values['time_ns'],
        values['until_ns'],
        origin and Origin(*origin),
        size_wh,
        tuple(values['prompts']),
        [_object_from_json(each, size_wh) for each in values['objects']],
    )


def _object_from_json(values: dict[str, Any], size_wh: tuple[int, int]) -> ObjectRecord:
    mask = None
    if values['mask']:
        mask = RleMask(values['mask'], size_wh, tuple(values['box']), values['area'])
    state = ObjectState[values['state']]
    return ObjectRecord(values['id'], values['label'], state, values['score'], mask)
