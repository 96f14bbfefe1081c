"""Networks whose tracking can be compared over many frames, for tests of core and of ROS."""

from dataclasses import replace

from tam_ros.engine.torch_engine import build_network
from tam_ros.model.config import MODELS
from tam_ros.model.network import TrackingNetwork
from tam_ros.model.reproducible import soften_attention


def calm_network(image_size: int = 256, model: str = 'edgetam') -> TrackingNetwork:
    """Return a network with reproducible weights and softened attention."""
    network = build_network(replace(MODELS[model], image_size=image_size), 'reproducible')
    soften_attention(network)
    return network
