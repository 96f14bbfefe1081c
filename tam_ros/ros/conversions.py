"""Pure functions between messages and numpy arrays. Pixel data is never handled per element.

Encodings that cameras send are viewed in place and converted by OpenCV, row padding included;
cv_bridge is asked for the rarer ones.
"""

import array
import math

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.msg import TrackedObject, TrackedObjectArray
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.detector import Detection
from tam_ros.tracker.forecast import Forecast
from tam_ros.tracker.results import FrameResult, ObjectResult

# encoding: (channels, OpenCV conversion to RGB; None for what is RGB already)
_TO_RGB = {
    'rgb8': (3, None),
    '8UC3': (3, cv2.COLOR_BGR2RGB),  # OpenCV's own order
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
    '8UC1': (1, cv2.COLOR_GRAY2RGB),
    'yuv422': (2, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': (2, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': (2, cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': (2, cv2.COLOR_YUV2RGB_YUY2),
    # OpenCV names a Bayer pattern by its second row's second and third pixel.
    'bayer_rggb8': (1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': (1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': (1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': (1, cv2.COLOR_BayerGB2RGB),
}
_BY_CV_BRIDGE = frozenset({'rgb16', 'bgr16', 'rgba16', 'bgra16', 'mono16', 'nv21', 'nv24'})


class ImageError(ValueError):
    """An image message cannot be used; the message names what is wrong."""


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def ns_to_stamp(ns: int) -> Time:
    """Return nanoseconds as a stamp."""
    sec, nanosec = divmod(ns, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def image_to_rgb(msg: Image) -> np.ndarray:
    """Return a (H, W, 3) uint8 RGB image; it may be a read-only view of the message.

    Raises ImageError for other encodings than colour and grey images of 8 bits (and what
    cv_bridge converts of 16 bits), and for data that does not fit the declared size.
    """
    if msg.encoding in _BY_CV_BRIDGE:
        return _rgb_by_cv_bridge(msg)
    if msg.encoding not in _TO_RGB:
        raise ImageError(
            f'image encoding {msg.encoding!r} cannot be tracked in: publish one of '
            + ', '.join([*_TO_RGB, *sorted(_BY_CV_BRIDGE)])
        )
    channels, conversion = _TO_RGB[msg.encoding]
    pixels = _view(msg, channels)
    if conversion is None:
        return pixels
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:  # such as an odd width where two pixels share their colour
        raise ImageError(
            f'image of {msg.width}x{msg.height} {msg.encoding} cannot be converted: {error.err}'
        ) from error


def _view(msg: Image, channels: int) -> np.ndarray:
    """View 8-bit message data as (H, W, channels), or (H, W) for one channel, without padding."""
    row = msg.width * channels
    step = msg.step or row
    if not msg.width or not msg.height:
        raise ImageError(f'image of {msg.width}x{msg.height} pixels is empty')
    if step < row or len(msg.data) < step * (msg.height - 1) + row:
        raise ImageError(
            f'image of {msg.width}x{msg.height} {msg.encoding} with step {msg.step} has '
            f'{len(msg.data)} bytes: expected {max(step, row) * msg.height}'
        )
    shape = (msg.height, msg.width) if channels == 1 else (msg.height, msg.width, channels)
    strides = (step, 1) if channels == 1 else (step, channels, 1)
    return np.ndarray(shape, np.uint8, buffer=msg.data, strides=strides)


def _rgb_by_cv_bridge(msg: Image) -> np.ndarray:
    from cv_bridge import CvBridge, CvBridgeError  # here: only these encodings need it

    try:
        return CvBridge().imgmsg_to_cv2(msg, 'rgb8')
    except (CvBridgeError, KeyError, TypeError, ValueError) as error:
        raise ImageError(f'cv_bridge cannot convert {msg.encoding!r} to rgb8: {error}') from error


def compressed_to_rgb(msg: CompressedImage) -> np.ndarray:
    """Decode a JPEG or PNG into a (H, W, 3) uint8 RGB image; raises ImageError."""
    encoded = np.frombuffer(msg.data, np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if len(encoded) else None
    if image is None:
        raise ImageError(
            f'compressed image of {len(encoded)} bytes and format {msg.format!r} cannot be decoded'
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def array_to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an Image message of a (H, W) or (H, W, C) array in the machine's byte order."""
    pixels = np.ascontiguousarray(pixels)
    msg = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    msg.step = pixels.strides[0]
    msg.data = bytes_of(pixels)
    return msg


def bytes_of(pixels: np.ndarray) -> array.array:
    """Return contiguous pixels as the array that message fields take without a check per byte."""
    data = array.array('B')
    data.frombytes(memoryview(pixels).cast('B') if pixels.size else b'')
    return data


def request_to_prompt(request) -> Prompt:
    """Return the prompt in an AddPrompt request; raises PromptError for a mask it cannot read."""
    stamp_ns = stamp_to_ns(request.header.stamp)
    box = request.box
    has_box = box.width or box.height or box.x_offset or box.y_offset
    return Prompt(
        points_xy=np.array([(p.x, p.y) for p in request.points], np.float32),
        point_labels=np.array(request.point_labels, np.int64) if request.point_labels else None,
        box_xyxy=roi_to_box(box) if has_box else None,
        mask=_mask_of(request.mask),
        stamp_ns=stamp_ns or None,
    )


def _mask_of(msg: Image) -> np.ndarray | None:
    if not msg.width and not msg.height and not msg.data:
        return None
    if msg.encoding not in ('mono8', '8UC1'):
        raise PromptError(f'mask encoding {msg.encoding!r} is unknown: send mono8')
    try:
        return _view(msg, 1)  # its pixels are looked at once its size is known to be right
    except ImageError as error:
        raise PromptError(f'mask: {error}') from error


def click_to_prompt(point: Point) -> Prompt:
    """Return the prompt of one click on an object."""
    return Prompt(points_xy=np.array([[point.x, point.y]], np.float32))


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
        score=float(result.score),
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
        if forecast is not None and forecast.view_xyxy is not None:
            _write_forecast(tracked, forecast, header.frame_id, with_mask=forecast_masks)
    return msg


def _write_forecast(
    msg: TrackedObject, forecast: Forecast, frame_id: str, *, with_mask: bool
) -> None:
    msg.forecast_stamp = ns_to_stamp(forecast.time_ns)
    msg.forecast_box = box_to_roi(forecast.view_xyxy)
    if with_mask:
        header = Header(frame_id=frame_id, stamp=msg.forecast_stamp)
        pixels = forecast.view_mask * np.uint8(255)
        msg.forecast_mask = array_to_image(pixels, 'mono8', header)


def frame_to_detections(frame: FrameResult, header: Header) -> Detection2DArray:
    """Return the boxes of the objects that are visible."""
    visible = [result for result in frame.objects if result.mask is not None]
    return Detection2DArray(
        header=header, detections=[_result_to_detection(result, header) for result in visible]
    )


def message_to_detections(msg: Detection2DArray) -> list[Detection]:
    """Return the detections of a message, each with its likeliest class.

    A rotated box is taken for the upright one around it; a detection without a result is left out.
    """
    return [_detection(detection) for detection in msg.detections if detection.results]


def _detection(msg: Detection2D) -> Detection:
    best = max((result.hypothesis for result in msg.results), key=lambda h: h.score)
    center, theta = msg.bbox.center.position, msg.bbox.center.theta
    cos, sin = abs(math.cos(theta)), abs(math.sin(theta))
    dx = (cos * msg.bbox.size_x + sin * msg.bbox.size_y) / 2
    dy = (sin * msg.bbox.size_x + cos * msg.bbox.size_y) / 2
    box_xyxy = (center.x - dx, center.y - dy, center.x + dx, center.y + dy)
    return Detection(box_xyxy, best.score, best.class_id)


def _result_to_detection(result: ObjectResult, header: Header) -> Detection2D:
    x0, y0, x1, y1 = result.mask.box_xyxy
    msg = detection_message(header, str(result.object_id), result.label, result.score)
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
