"""Transforms over time by topic: stand-in for the package tf2_ros.

Same calls and same behaviour as the Python of that package, as far as it goes: what is found
here works there.
"""

from tf2_ros.buffer import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    LookupException,
    TransformException,
)
from tf2_ros.topics import StaticTransformBroadcaster, TransformBroadcaster, TransformListener

__all__ = [
    'Buffer',
    'ConnectivityException',
    'ExtrapolationException',
    'LookupException',
    'StaticTransformBroadcaster',
    'TransformBroadcaster',
    'TransformException',
    'TransformListener',
]
