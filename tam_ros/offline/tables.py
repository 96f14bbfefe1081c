"""Results as tables: COCO's JSON, and CSV."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from tam_ros.offline.recording import SECOND
from tam_ros.offline.records import FrameRecord, ObjectRecord
from tam_ros.offline.rle import RleMask
from tam_ros.offline.storage import whole_file

UNNAMED = 'object'  # COCO's category of objects without a label
COLUMNS = (
    *('frame', 'name', 'time_s', 'stamp_s', 'object', 'label', 'state', 'score'),
    *('x0', 'y0', 'x1', 'y1', 'area'),
)


def write_csv(path: Path, records: Iterable[FrameRecord]) -> None:
    """Write a line for each object in each frame; boxes are empty where it is not visible."""
    with whole_file(path) as part, _open_text(part) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for record in records:
            writer.writerows(_row(record, found) for found in record.objects)


def _open_text(path: Path) -> TextIO:
    """Open a file for CSV; names of files may be no UTF-8, and are written as they are."""
    return path.open('w', newline='', encoding='utf-8', errors='surrogateescape')


def _row(record: FrameRecord, found: ObjectRecord) -> list[Any]:
    stamp_ns = record.origin.stamp_ns if record.origin else record.time_ns
    mask = found.kept_mask
    box = mask.box_xyxy if mask else ('',) * 4
    state, score = found.state.name.lower(), f'{found.predicted_iou:.4f}'
    return [
        *(record.index, record.name, _seconds(record.time_ns), _seconds(stamp_ns)),
        *(found.object_id, found.label, state, score),
        *(*box, mask.area if mask else 0),
    ]


def _seconds(time_ns: int) -> str:
    """Return a time with all its digits, which a float of seconds since 1970 has not."""
    seconds, rest = divmod(abs(time_ns), SECOND)
    return f'{"-" if time_ns < 0 else ""}{seconds}.{rest:09d}'


def write_coco(path: Path, records: Iterable[FrameRecord]) -> None:
    """Write images and annotations as COCO has them; `track_id` is the object's number."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for record in records:
        images.append(_image(record))
        for found in record.objects:
            if found.kept_mask is not None:
                category = categories.setdefault(found.label or UNNAMED, len(categories) + 1)
                number = {'id': len(annotations) + 1, 'category_id': category}
                annotations.append(number | _annotation(record, found, found.kept_mask))
    dataset = {
        'info': {'description': 'tracked by tam_ros'},
        'images': images,
        'annotations': annotations,
        'categories': [{'id': number, 'name': name} for name, number in categories.items()],
    }
    with whole_file(path) as part:
        part.write_text(json.dumps(dataset), encoding='utf-8')


def _image(record: FrameRecord) -> dict[str, Any]:
    width, height = record.size_wh
    file_name = record.file_name or f'{record.name}.jpg'  # as frames of videos are extracted
    return {
        'id': record.index + 1,
        'file_name': file_name,
        'width': width,
        'height': height,
        'frame_index': record.index,
        'time_s': record.time_ns / SECOND,
    }


def _annotation(record: FrameRecord, found: ObjectRecord, mask: RleMask) -> dict[str, Any]:
    (width, height), (x0, y0, x1, y1) = record.size_wh, mask.box_xyxy
    return {
        'image_id': record.index + 1,
        'track_id': found.object_id,
        'segmentation': {'size': [height, width], 'counts': mask.counts},
        'bbox': [x0, y0, x1 - x0, y1 - y0],
        'area': mask.area,
        'iscrowd': 0,
        'score': found.predicted_iou,
        'state': found.state.name.lower(),
    }
