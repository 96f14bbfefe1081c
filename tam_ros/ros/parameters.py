"""The node's parameters: description, default and range of each, in one place."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from tam_ros.engine.base import NUMERIC_MODES
from tam_ros.engine.load import ENGINE_CHOICES, ENGINE_PRECISIONS
from tam_ros.networks import MODELS
from tam_ros.ros.decoding import ImageOptions
from tam_ros.tracker.association import DETECTION_RANGES, DetectionOptions
from tam_ros.tracker.forecast import FORECAST_TIMES, MAX_HORIZON_S
from tam_ros.tracker.options import RANGES, SessionOptions
from tam_ros.tracker.policies import POLICIES


@dataclass(frozen=True)
class Setting:
    """One parameter. Those with a live value can change while the node runs."""

    default: Any
    description: str
    live: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


DETECTIONS = 'detections.'  # what the names of the options for them begin with


def _number(options, ranges: Mapping[str, tuple[float, float]], name: str, description: str):
    """Return a setting that is a number among some options, of which these are the defaults."""
    low, high = ranges[name]
    return Setting(getattr(options, name), description, live=True, low=low, high=high)


_option = functools.partial(_number, SessionOptions(), RANGES)
_detection_option = functools.partial(_number, DetectionOptions(), DETECTION_RANGES)


SETTINGS = {
    'image_transport': Setting(
        'raw', 'How images arrive: raw (Image) or compressed.', choices=('raw', 'compressed')
    ),
    'max_image_pixels': Setting(
        ImageOptions.max_image_pixels,
        'Width x height up to which images are decoded; larger ones are ignored.',
        live=True,
        low=1024,
        high=178_000_000,  # where Pillow refuses to read a header
    ),
    'significant_bits': Setting(
        ImageOptions.significant_bits,
        'Bits that the camera uses of a 16-bit channel: brighter values are white. 0: from the '
        'darkest to the brightest pixels of each image, as for thermal cameras.',
        live=True,
        low=0,
        high=16,
    ),
    'model': Setting(
        'tam_nano',
        'Network to track with: tam_nano, small and with weights of its own, edgetam, '
        'or efficienttam_s, efficienttam_ti, each also with _1, _2 or _512x512.',
        choices=tuple(MODELS),
    ),
    'weights': Setting(
        '',
        'Checkpoint file (.pt or .safetensors); empty for those that come with tam_nano, or that '
        'download_weights fetched. With engine onnx, the folder that export_onnx made. '
        "'reproducible' makes untrained weights by rule, for tests: their masks mean nothing.",
    ),
    'engine': Setting(
        '',
        'What runs the network: torch (PyTorch) or onnx (ONNX Runtime). Empty: onnx for tam_nano '
        'with its own weights and wherever weights is a folder, torch otherwise.',
        choices=ENGINE_CHOICES,
    ),
    'device': Setting(
        'cpu', 'Where the network runs: cpu, cuda or cuda:N; with engine onnx also tensorrt.'
    ),
    'precision': Setting(
        '',
        'Floating-point type of the network: fp32, bf16, fp16 (on GPUs); empty for fp32, or what '
        'was exported.',
        choices=ENGINE_PRECISIONS,
    ),
    'image_size': Setting(
        0, "Side of the network input in pixels; 0 for the model's own.", low=0, high=2048
    ),
    'mode': Setting(
        'interactive',
        'interactive adds what helps with clicks; benchmark computes what published results do.',
        choices=NUMERIC_MODES,
    ),
    'threads': Setting(0, 'CPU threads of the network; 0 for all cores.', low=0, high=256),
    'max_objects': Setting(16, 'Objects that can be tracked at a time.', low=1, high=255),
    'max_prompted_frames': Setting(
        4, 'Prompted frames each object remembers; the first always stays.', low=1, high=32
    ),
    'memory_policy': Setting(
        'fifo',
        'Which frames an object remembers. fifo: the newest, as the papers do; quality: those in '
        'which it was seen well; dam: one every 0.2 s, and those that tell it from something like '
        'it; tree: on several pathways, for at most 2 objects.',
        choices=tuple(POLICIES),
    ),
    'lost_after_s': _option('lost_after_s', 'Seconds unseen until an object counts as LOST.'),
    'confirm_s': _option(
        'confirm_s',
        'Seconds that weak masks must last until a hidden object counts as visible again, and '
        'doubtful ones until a visible object counts as hidden.',
    ),
    'exit_ratio': _option(
        'exit_ratio',
        "Masks of less than this part of the object's usual quality are doubtful; 0: none.",
    ),
    'entry_ratio': _option(
        'entry_ratio',
        "A mask of at least this part of the object's usual quality is believed at once.",
    ),
    'max_growth': _option(
        'max_growth',
        'A mask below entry_ratio is withheld if its area is larger or smaller than usual by more '
        'than this factor (for gaps over 0.25 s, in proportion more).',
    ),
    'max_move': _option(
        'max_move',
        'A mask below entry_ratio is withheld if it is farther from the last one than this, in '
        'sizes of the object (for gaps over 0.25 s, in proportion more).',
    ),
    'exclusive_masks': Setting(
        True, 'Give each pixel to one object only, that with the best logit.', live=True
    ),
    'forecast': Setting(
        'none',
        'What time objects are forecast for: none, publish_time (when the result goes out), or '
        'fixed_ms (forecast_ms after the image).',
        live=True,
        choices=FORECAST_TIMES,
    ),
    'forecast_ms': Setting(
        100.0,
        'Milliseconds from the image to the forecast, with fixed_ms.',
        live=True,
        low=0.0,
        high=MAX_HORIZON_S * 1e3,
    ),
    'forecast_masks': Setting(
        False, 'Publish forecast masks beside the forecast boxes.', live=True
    ),
    'history_s': _option(
        'history_s',
        'Seconds for which frames are kept, encoded, for prompts and detections that come late.',
    ),
    'history_frames': _option('history_frames', 'Frames that are kept so at most.'),
    'history_mb': _option('history_mb', 'MiB that they may take, on the device.'),
    'max_prompt_points': _option(
        'max_prompt_points', 'Points of one prompt, clicks before it on the same frame included.'
    ),
    DETECTIONS + 'min_score': _detection_option('min_score', 'Detections below are ignored.'),
    DETECTIONS + 'new_score': _detection_option(
        'new_score', 'Only detections from here on start objects, or correct them.'
    ),
    DETECTIONS + 'match_iou': _detection_option(
        'match_iou', 'IoU of masks from which a detection is a tracked object, seen again.'
    ),
    DETECTIONS + 'known_iou': _detection_option(
        'known_iou', 'IoU with any tracked mask from which a detection is no new object.'
    ),
    DETECTIONS + 'double_iou': _detection_option(
        'double_iou',
        'IoU from which two new detections, or a TENTATIVE object and an older one, are the same.',
    ),
    DETECTIONS + 'confirm_hits': _detection_option(
        'confirm_hits',
        'How often a TENTATIVE object must be detected again to be confirmed; 0: detections '
        'start no objects.',
    ),
    DETECTIONS + 'drop_misses': _detection_option(
        'drop_misses', 'After how many messages in a row without it a TENTATIVE object is dropped.'
    ),
    DETECTIONS + 'weak_iou': _detection_option(
        'weak_iou',
        'Objects whose mask has a predicted IoU below are corrected by a detection that matches.',
    ),
    DETECTIONS + 'correct_s': _detection_option(
        'correct_s', 'Seconds before an object may be corrected again.'
    ),
    DETECTIONS + 'max_boxes': _detection_option(
        'max_boxes', 'Boxes of a message that are looked at, the best ones.'
    ),
    DETECTIONS + 'max_new': _detection_option(
        'max_new', 'Objects at a time that came from detections.'
    ),
    DETECTIONS + 'max_per_class': _detection_option(
        'max_per_class', 'Objects of one label at a time, for detections to start more; 0: any.'
    ),
    'overlay_opacity': Setting(
        0.45, 'Opacity of the masks in the overlay.', live=True, low=0.0, high=1.0
    ),
}


def declare_parameters(node: Node) -> None:
    """Declare all parameters on a node; raises ValueError for a value that is not allowed."""
    for name, setting in SETTINGS.items():
        declare(node, name, setting)
    node.add_on_set_parameters_callback(_refuse_wrong_values)


def declare(node: Node, name: str, setting: Setting) -> Any:
    """Declare one parameter and return its value; raises ValueError for one not allowed."""
    parameter = node.declare_parameter(name, setting.default, _descriptor(setting))
    wrong = _wrong_value(parameter, setting)
    if wrong:
        raise ValueError(wrong)
    return parameter.value


def _refuse_wrong_values(parameters: Sequence[Parameter]) -> SetParametersResult:
    ours = (p for p in parameters if p.name in SETTINGS)
    wrong = '; '.join(filter(None, (_wrong_value(p, SETTINGS[p.name]) for p in ours)))
    return SetParametersResult(successful=not wrong, reason=wrong)


def _wrong_value(parameter: Parameter, setting: Setting) -> str:
    """Return why a parameter may not have its value, '' where it may.

    rclpy checks ranges, too, but lets pass what exceeds them by a millionth, and NaN.
    """
    value, choices = parameter.value, setting.choices
    if choices and value not in choices:
        return f'parameter {parameter.name} is {value!r}: choose from {_listed(choices)}'
    if setting.low is not None and not setting.low <= value <= setting.high:
        low, high = setting.low, setting.high
        return f'parameter {parameter.name} is {value!r}: use {low:g} to {high:g}'
    return ''


def session_options(node: Node) -> SessionOptions:
    """Return the session's options as the parameters are now."""
    return SessionOptions(**_values(node, SessionOptions))


def detection_options(node: Node) -> DetectionOptions:
    """Return the options for detections as the parameters are now."""
    return DetectionOptions(**_values(node, DetectionOptions, DETECTIONS))


def image_options(node: Node) -> ImageOptions:
    """Return how to read images as the parameters are now."""
    return ImageOptions(**_values(node, ImageOptions))


def _values(node: Node, options: type, prefix: str = '') -> dict[str, Any]:
    """Return the values of the parameters that some options are made of."""
    return {f.name: node.get_parameter(prefix + f.name).value for f in fields(options)}


def _listed(choices: Sequence[str]) -> str:
    return ', '.join(choice or '""' for choice in choices)


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=setting.description,
        read_only=not setting.live,
        additional_constraints=f'one of: {_listed(setting.choices)}' if setting.choices else '',
    )
    if setting.low is None:
        return descriptor
    if isinstance(setting.default, int):
        descriptor.integer_range = [IntegerRange(from_value=setting.low, to_value=setting.high)]
    else:
        limits = FloatingPointRange(from_value=setting.low, to_value=setting.high)
        descriptor.floating_point_range = [limits]
    return descriptor
