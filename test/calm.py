"""Networks whose tracking can be compared over many frames, for tests of core and of ROS."""

from dataclasses import replace

import torch

from tam_ros.engine.torch_engine import build_network
from tam_ros.model.config import MODELS
from tam_ros.model.network import TrackingNetwork


def calm_network(image_size: int = 256, model: str = 'edgetam') -> TrackingNetwork:
    """Return a network with reproducible weights and softened attention.

    The plain reproducible weights make tracking chaotic: a rounding error grows a hundredfold a
    frame. With attention sixteen times softer it stays, so many frames can be compared.
    """
    network = build_network(replace(MODELS[model], image_size=image_size), 'reproducible')
    with torch.no_grad():
        for key, value in network.named_parameters():
            if 'q_proj' in key or 'k_proj' in key:
                value /= 4
    return network
