"""Pure functions between messages and values. Pixel data is never handled per element.

What cameras send is decoded in `decoding`.
"""

import array
import math
from collections.abc import Callable, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.masks import MaskCrop
from tam_ros.msg import TrackedObject, TrackedObjectArray
from tam_ros.prompts import Prompt, PromptError
from tam_ros.ros.decoding import ImageError, view_pixels
from tam_ros.tracker.association import Detection
from tam_ros.tracker.forecast import Forecast
from tam_ros.tracker.results import FrameResult, ObjectResult

LAST_SECOND = 2**31 - 1  # of a stamp, in 2038


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def ns_to_stamp(ns: int) -> Time:
    """Return nanoseconds as a stamp; times beyond what a stamp can hold become its last second."""
    sec, nanosec = divmod(ns, 1_000_000_000)
    return Time(sec=min(max(sec, -LAST_SECOND), LAST_SECOND), nanosec=nanosec)


def roi_or_none(roi: RegionOfInterest) -> tuple[int, int, int, int] | None:
    """Return a box as `roi_to_box` does, None where all is zero.

    An offset without a size is a box that was given wrong: refused as empty, not left out.
    """
    is_given = roi.width or roi.height or roi.x_offset or roi.y_offset
    return roi_to_box(roi) if is_given else None


def array_to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an Image message of a (H, W) or (H, W, C) array in the machine's byte order."""
    pixels = np.ascontiguousarray(pixels)
    msg = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    msg.step = pixels.strides[0]
    msg.data = bytes_of(pixels)
    return msg


def jpeg_to_image(jpeg: np.ndarray, header: Header) -> CompressedImage:
    """Return the message of a JPEG of a colour image, (bytes,) uint8."""
    return CompressedImage(header=header, format='bgr8; jpeg compressed bgr8', data=bytes_of(jpeg))


def bytes_of(pixels: np.ndarray) -> array.array:
    """Return contiguous pixels as the array that message fields take without a check per byte."""
    data = array.array('B')
    data.frombytes(pixels.data.cast('B') if pixels.size else b'')
    return data


def request_to_prompt(request) -> Prompt:
    """Return the prompt in an AddPrompt request; raises PromptError for a mask it cannot read."""
    stamp_ns = stamp_to_ns(request.header.stamp)
    return Prompt(
        points_xy=_points_xy(request.points),
        point_labels=np.array(request.point_labels, np.int64) if request.point_labels else None,
        box_xyxy=roi_or_none(request.box),
        mask=_mask_of(request.mask),
        stamp_ns=stamp_ns or None,
    )


def _mask_of(msg: Image) -> np.ndarray | None:
    if not msg.width and not msg.height and not msg.data:
        return None
    if msg.encoding not in ('mono8', '8UC1'):
        raise PromptError(f'mask encoding {msg.encoding!r} is unknown: send mono8')
    try:
        return view_pixels(msg, 1)  # its pixels are looked at once its size is known to be right
    except ImageError as error:
        raise PromptError(f'mask: {error}') from error


def click_to_prompt(point: Point) -> Prompt:
    """Return the prompt of one click on an object."""
    return Prompt(points_xy=_points_xy([point]))


def _points_xy(points: Sequence[Point]) -> np.ndarray:
    with np.errstate(over='ignore'):  # too large means infinite, and so outside the image
        return np.array([(p.x, p.y) for p in points], np.float32)


def roi_to_box(roi: RegionOfInterest) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 in pixels, x1 and y1 exclusive."""
    return (
        roi.x_offset,
        roi.y_offset,
        roi.x_offset + roi.width,
        roi.y_offset + roi.height,
    )


def box_to_roi(box_xyxy: tuple[int, int, int, int]) -> RegionOfInterest:
    """Return a box as a message."""
    x0, y0, x1, y1 = box_xyxy
    return RegionOfInterest(x_offset=x0, y_offset=y0, width=x1 - x0, height=y1 - y0)


def result_to_object(result: ObjectResult, header: Header) -> TrackedObject:
    """Return one object as a message; an absent one has no box and an empty mask."""
    msg = TrackedObject(
        id=result.object_id,
        label=result.label,
        state=int(result.state),
        score=float(result.predicted_iou),
    )
    msg.mask.header = header
    if result.mask is not None:
        msg.box = box_to_roi(result.mask.box_xyxy)
        msg.mask = array_to_image(result.mask.mask * np.uint8(255), 'mono8', header)
    return msg


def frame_to_objects(
    frame: FrameResult,
    header: Header,
    *,
    forecast_ns: int | None = None,
    forecast_masks: bool = False,
) -> TrackedObjectArray:
    """Return all objects of a frame as a message.

    forecast_ns: the time to forecast them for, if any. forecast_masks: whether with their masks.
    """
    msg = TrackedObjectArray(
        header=header,
        image_width=frame.size_wh[0],
        image_height=frame.size_wh[1],
        objects=[result_to_object(result, header) for result in frame.objects],
    )
    for result, tracked in zip(frame.objects, msg.objects):
        forecast = None if forecast_ns is None else result.forecast(forecast_ns)
        if forecast is not None:
            _write_forecast(tracked, forecast, header.frame_id, with_mask=forecast_masks)
    return msg


def _write_forecast(
    msg: TrackedObject, forecast: Forecast, frame_id: str, *, with_mask: bool
) -> None:
    if forecast.view_xyxy is None:
        return
    msg.forecast_stamp = ns_to_stamp(forecast.time_ns)
    msg.forecast_box = box_to_roi(forecast.view_xyxy)
    if with_mask:
        header = Header(frame_id=frame_id, stamp=msg.forecast_stamp)
        pixels = forecast.view_mask * np.uint8(255)
        msg.forecast_mask = array_to_image(pixels, 'mono8', header)


def frame_to_detections(frame: FrameResult, header: Header) -> Detection2DArray:
    """Return the boxes of the objects that are visible."""
    return Detection2DArray(
        header=header,
        detections=[
            _result_to_detection(result, result.mask, header)
            for result in frame.objects
            if result.mask is not None
        ],
    )


def message_to_detections(msg: Detection2DArray, refuse: Callable[[str], None]) -> list[Detection]:
    """Return the detections of a message, each with its likeliest class.

    A rotated box is taken for the upright one around it. refuse is told of each detection that
    is left out why it cannot be read.
    """
    detections = [_detection_or_none(detection, refuse) for detection in msg.detections]
    return [detection for detection in detections if detection is not None]


def _detection_or_none(msg: Detection2D, refuse: Callable[[str], None]) -> Detection | None:
    try:
        return _detection(msg)
    except PromptError as error:
        refuse(str(error))
        return None


def _detection(msg: Detection2D) -> Detection:
    """Return a detection; raises PromptError for numbers that mean nothing."""
    hypotheses = [r.hypothesis for r in msg.results if math.isfinite(r.hypothesis.score)]
    if not hypotheses:
        raise PromptError('it has no result with a score: give its class and a score from 0 to 1')
    best = max(hypotheses, key=lambda hypothesis: hypothesis.score)
    box_xyxy = _box_around(msg.bbox)
    if not np.isfinite(box_xyxy).all():
        raise PromptError('box ({:g}, {:g}, {:g}, {:g}) is not finite'.format(*box_xyxy))
    return Detection(box_xyxy, best.score, best.class_id)


def _box_around(box: BoundingBox2D) -> tuple[float, float, float, float]:
    """Return the upright box around a rotated one; raises PromptError for an endless angle."""
    center, theta = box.center.position, box.center.theta
    if not math.isfinite(theta):
        raise PromptError(f'theta {theta} is not finite: give radians, 0 for an upright box')
    cos, sin = abs(math.cos(theta)), abs(math.sin(theta))
    dx = (cos * box.size_x + sin * box.size_y) / 2
    dy = (sin * box.size_x + cos * box.size_y) / 2
    return center.x - dx, center.y - dy, center.x + dx, center.y + dy


def _result_to_detection(result: ObjectResult, mask: MaskCrop, header: Header) -> Detection2D:
    x0, y0, x1, y1 = mask.box_xyxy
    msg = detection_message(header, str(result.object_id), result.label, result.predicted_iou)
    msg.bbox.center.position.x = (x0 + x1) / 2
    msg.bbox.center.position.y = (y0 + y1) / 2
    msg.bbox.size_x = float(x1 - x0)
    msg.bbox.size_y = float(y1 - y0)
    return msg


def detection_message(header: Header, object_id: str, label: str, score: float) -> Detection2D:
    """Return a detection whose box is yet to be set."""
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = label, float(score)
    return Detection2D(header=header, id=object_id, results=[result])
