"""Networks whose tracking can be compared over many frames, for tests of core and of ROS."""

from dataclasses import replace

from tam_ros.engine.torch_engine import build_network
from tam_ros.model.network import TrackingNetwork
from tam_ros.model.reproducible import soften_attention
from tam_ros.networks import MODELS, EfficientTAMConfig
from tam_ros.weights import REPRODUCIBLE

# Of each kind of layer that EfficientTAM has, some; all of them are for the reference's outputs.
SHALLOW = {'trunk_depth': 4, 'memory_layers': 2}


def calm_network(image_size: int = 256, model: str = 'edgetam') -> TrackingNetwork:
    """Return a network with reproducible weights and softened attention.

    EfficientTAM has fewer layers than published, so that it is exported in half the time.
    """
    depth = SHALLOW if isinstance(MODELS[model], EfficientTAMConfig) else {}
    network = build_network(replace(MODELS[model], image_size=image_size, **depth), REPRODUCIBLE)
    soften_attention(network)
    return network
