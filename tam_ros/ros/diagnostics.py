"""The node's diagnostics: what an operator wants to know once a second."""

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from tam_ros.engine.base import EngineSpec
from tam_ros.ros.statistics import RollingStatistics


def diagnostics_message(
    name: str,
    stamp,
    spec: EngineSpec,
    statistics: RollingStatistics,
    *,
    problem: str = '',
    fault: str = '',
    **counts,
) -> DiagnosticArray:
    """Return the node's state: a warning while no images arrive, rates, latencies and counts.

    problem: why no images arrive, '' where that is not known. fault: why the newest frame could
    not be tracked, which is an error; '' if it could.
    """
    rate_hz = statistics.rate_hz
    values = {
        'engine': f'{spec.model} {spec.image_size} px, {spec.mode}',
        'weights': spec.weights,
        'runtime': spec.runtime,
        'device': spec.device,
        'rate_hz': f'{rate_hz:.2f}',
        'latency_p50_ms': f'{statistics.latency_ms(50):.1f}',
        'latency_p95_ms': f'{statistics.latency_ms(95):.1f}',
        'processing_p50_ms': f'{statistics.processing_ms(50):.1f}',
        'processing_p95_ms': f'{statistics.processing_ms(95):.1f}',
        **{key: str(value) for key, value in counts.items()},
    }
    status = DiagnosticStatus(
        level=_level(rate_hz, fault),
        name=f'{name}: tracking',
        message=fault or (f'tracking at {rate_hz:.1f} Hz' if rate_hz else _no_images(problem)),
        hardware_id=spec.device,
        values=_key_values(values),
    )
    return _array(status, stamp)


def locating_message(
    name: str, stamp, statistics: RollingStatistics, *, listening: bool, problem: str, **counts
) -> DiagnosticArray:
    """Return the state of a node that locates objects: a warning while nothing arrives.

    listening: whether anybody wants what it makes. problem: why nothing arrives, '' where that is
    not known.
    """
    rate_hz = statistics.rate_hz
    values = {
        'rate_hz': f'{rate_hz:.2f}',
        'latency_p50_ms': f'{statistics.latency_ms(50):.1f}',
        'latency_p95_ms': f'{statistics.latency_ms(95):.1f}',
        'processing_p50_ms': f'{statistics.processing_ms(50):.1f}',
        'processing_p95_ms': f'{statistics.processing_ms(95):.1f}',
        **counts,
    }
    message = problem or 'no masks with depth'
    if rate_hz or not listening:
        message = f'locating at {rate_hz:.1f} Hz' if rate_hz else 'idle: nobody listens'
    status = DiagnosticStatus(
        level=DiagnosticStatus.OK if rate_hz or not listening else DiagnosticStatus.WARN,
        name=f'{name}: locating',
        message=message,
        values=_key_values(values),
    )
    return _array(status, stamp)


def _key_values(values: dict) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


def _level(rate_hz: float, fault: str) -> bytes:
    if fault:
        return DiagnosticStatus.ERROR
    return DiagnosticStatus.OK if rate_hz else DiagnosticStatus.WARN


def _no_images(problem: str) -> str:
    return f'no images: {problem}' if problem else 'no images'


def state_message(
    name: str, stamp, state: str, *, starting: str, problem: str, **values
) -> DiagnosticArray:
    """Return in which state a managed node is that does not track.

    state: its label. starting: what is loaded while it is configured. problem: why the last change
    of state failed, which is an error; '' if it did not.
    """
    level, message = DiagnosticStatus.OK, state
    if state == 'configuring':
        level, message = DiagnosticStatus.WARN, f'starting: {starting}'
    elif problem:
        level, message = DiagnosticStatus.ERROR, f'{state}: {problem}'
    status = DiagnosticStatus(
        level=level, name=f'{name}: tracking', message=message, values=_key_values(values)
    )
    return _array(status, stamp)


def _array(status: DiagnosticStatus, stamp) -> DiagnosticArray:
    message = DiagnosticArray(status=[status])
    message.header.stamp = stamp
    return message
