"""The node's parameters are declared, checked and read as their options say (see `options`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from tam_ros.engine.load import EngineChoice
from tam_ros.options import Option, check_options, option, options_of
from tam_ros.ros.decoding import ImageOptions
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.options import DetectionOptions, DiscoveryOptions, SessionOptions

Options = TypeVar('Options')


@dataclass(frozen=True)
class NodeOptions:
    """How images arrive, what goes out with the results, and who starts the node.

    Raises ValueError for a value that is not allowed.
    """

    image_transport: str = option(
        'raw',
        'How images arrive: raw (Image) or compressed.',
        choices=('raw', 'compressed'),
        live=False,
    )
    overlay_opacity: float = option(
        0.45, 'Opacity of the masks in the overlay.', between=(0.0, 1.0)
    )
    compressed_width: int = option(
        1280, 'Pixels across that the compressed overlay has at most.', between=(64, 8192)
    )
    compressed_quality: int = option(
        80, "Quality of the compressed overlay's JPEG, in percent.", between=(1, 100)
    )
    forecast_masks: bool = option(False, 'Publish forecast masks beside the forecast boxes.')
    autostart: bool = option(
        True,
        'Configure and activate at the start; false: wait for a lifecycle manager to do that.',
        live=False,
    )

    def __post_init__(self) -> None:
        check_options(self)


PREFIXES = {  # what the names of each group's parameters begin with
    EngineChoice: '',
    MemoryOptions: '',
    NodeOptions: '',
    ImageOptions: '',
    SessionOptions: '',
    DetectionOptions: 'detections.',
    DiscoveryOptions: 'discovery.',
}
PARAMETERS: dict[str, Option] = {
    prefix + name: described
    for group, prefix in PREFIXES.items()
    for name, described in options_of(group).items()
}


def declare_parameters(
    node: Node,
    parameters: Mapping[str, Option] = PARAMETERS,
    *,
    why_fixed: Callable[[], str] | None = None,
) -> None:
    """Declare parameters on a node; raises ValueError for a value that is not allowed.

    why_fixed: returns why those that are not live may not change now, '' while they may. Without
    it they never may.
    """
    for name, described in parameters.items():
        declare(node, name, described, settable=why_fixed is not None)
    refuse = partial(_refuse_wrong_values, parameters, why_fixed or str)
    node.add_on_set_parameters_callback(refuse)


def declare(node: Node, name: str, described: Option, *, settable: bool = False) -> Any:
    """Declare one parameter, unless it is, and return its value; ValueError for a wrong one.

    settable: whether it may be set though it is not live.
    """
    if not node.has_parameter(name):
        descriptor = _descriptor(described, read_only=not (described.live or settable))
        node.declare_parameter(name, described.default, descriptor)
    parameter = node.get_parameter(name)
    wrong = _wrong_value(parameter, described)
    if wrong:
        raise ValueError(wrong)
    return parameter.value


def read_options(node: Node, group: type[Options]) -> Options:
    """Return the options of a group as the parameters are now."""
    prefix = PREFIXES.get(group, '')
    return group(**{name: node.get_parameter(prefix + name).value for name in options_of(group)})


def _refuse_wrong_values(
    known: Mapping[str, Option], why_fixed: Callable[[], str], parameters: Sequence[Parameter]
) -> SetParametersResult:
    ours = [p for p in parameters if p.name in known]
    fixed = why_fixed()
    reasons = [_wrong_value(p, known[p.name]) for p in ours]
    reasons += [f'{p.name} {fixed}' for p in ours if fixed and not known[p.name].live]
    wrong = '; '.join(filter(None, reasons))
    return SetParametersResult(successful=not wrong, reason=wrong)


def _wrong_value(parameter: Parameter, described: Option) -> str:
    """Return why a parameter may not have its value, '' where it may.

    rclpy checks ranges, too, but lets pass what exceeds them by a millionth, and NaN.
    """
    if described.allows(parameter.value):
        return ''
    advice = 'choose from' if described.choices else 'use'
    return f'parameter {parameter.name} is {parameter.value!r}: {advice} {described.allowed}'


def _descriptor(described: Option, *, read_only: bool) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        description=described.description,
        read_only=read_only,
        additional_constraints=f'one of: {described.allowed}' if described.choices else '',
    )
    if described.between is None:
        return descriptor
    low, high = described.between
    if isinstance(described.default, int):
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    else:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor
