"""A network whose tracking can be compared over many frames, for tests of core and of ROS."""

from tam_ros.model.config import EdgeTAMConfig
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.reproducible import reproducible_state_dict


def calm_network(image_size: int = 256) -> EdgeTAM:
    """Return a network with reproducible weights and softened memory attention.

    The plain reproducible weights make tracking chaotic: a rounding error grows a hundredfold a
    frame. With attention four times softer it stays, so many frames can be compared.
    """
    network = EdgeTAM(EdgeTAMConfig(image_size=image_size))
    state = reproducible_state_dict(network)
    for key, value in state.items():
        if key.startswith('memory_attention') and ('q_proj' in key or 'k_proj' in key):
            value /= 4
    network.load_state_dict(state)
    return network.eval()
