"""Our tracker against the official code, both running freely over many frames.

The weights are the reproducible ones with memory attention four times softer, because with the
plain ones a rounding error grows a hundredfold a frame and any two programs part.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from reference import ReferenceTracker
from stages import Case

from tam_ros.engine.torch_engine import TorchEngine
from tam_ros.model.config import EdgeTAMConfig
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.reproducible import reproducible_state_dict
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session


def calm_state(image_size: int) -> dict[str, torch.Tensor]:
    """Return reproducible weights with softened memory attention."""
    state = reproducible_state_dict(EdgeTAM(EdgeTAMConfig(image_size=image_size)))
    for key, value in state.items():
        if key.startswith('memory_attention') and ('q_proj' in key or 'k_proj' in key):
            value /= 4
    return state


def measure(case: Case, images_rgb: list[np.ndarray], checkout: Path, threads: int) -> None:
    """Print per frame how far the objects' logits at video size are apart, at most."""
    state = calm_state(case.image_size)
    arrays = {key: value.numpy() for key, value in state.items()}
    reference = ReferenceTracker(
        checkout, arrays, image_size=case.image_size, threads=threads, float32_memory=True
    )
    expected = reference.run(images_rgb, case.clicks_xy)
    for t, logits in enumerate(ours(case, images_rgb, state)):
        difference = np.abs(logits - expected[t].logits).max()
        flipped = ((logits > 0) != (expected[t].logits > 0)).sum()
        print(f'frame {t:3}: logits differ by {difference:.1e}, {flipped} mask pixels', flush=True)


def ours(case: Case, images_rgb: list[np.ndarray], state: dict[str, torch.Tensor]):
    """Yield (objects, H, W) logits of each frame."""
    network = EdgeTAM(EdgeTAMConfig(image_size=case.image_size))
    network.load_state_dict(state)
    session = Session(TorchEngine(network.eval(), mode='benchmark'))
    size_wh = images_rgb[0].shape[1::-1]
    for t, image in enumerate(images_rgb):
        session.step(image, t)
        if t == 0:
            for click in case.clicks_xy:
                session.add_prompt(Prompt([click]))
        yield np.stack([cv2.resize(o.logits, size_wh) for o in session.objects])
