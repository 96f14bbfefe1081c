"""Our tracker against the official code, both running freely over many frames.

The weights are the reproducible ones with every attention sixteen times softer, because with the
plain ones a rounding error grows a hundredfold a frame and any two programs part.
"""

from pathlib import Path

import cv2
import numpy as np
from reference import ReferenceTracker
from stages import Case

from tam_ros.engine.torch_engine import TorchEngine
from tam_ros.model.network import TrackingNetwork
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session


def measure(case: Case, images_rgb: list[np.ndarray], checkout: Path, threads: int) -> None:
    """Print per frame how far the objects' logits at video size are apart, at most."""
    network = case.calm_network()
    arrays = {key: value.numpy().copy() for key, value in network.state_dict().items()}
    reference = ReferenceTracker(
        checkout,
        arrays,
        model=case.model,
        image_size=case.image_size,
        threads=threads,
        float32_memory=True,
    )
    expected = reference.run(images_rgb, case.clicks_xy)
    for t, logits in enumerate(ours(network, case, images_rgb)):
        difference = np.abs(logits - expected[t].logits).max()
        flipped = ((logits > 0) != (expected[t].logits > 0)).sum()
        print(f'frame {t:3}: logits differ by {difference:.1e}, {flipped} mask pixels', flush=True)


def ours(network: TrackingNetwork, case: Case, images_rgb: list[np.ndarray]):
    """Yield (objects, H, W) logits of each frame."""
    session = Session(TorchEngine(network, mode='benchmark'))
    size_wh = images_rgb[0].shape[1::-1]
    for t, image in enumerate(images_rgb):
        session.step(image, t)
        if t == 0:
            for click in case.clicks_xy:
                session.add_prompt(Prompt([click]))
        yield np.stack([cv2.resize(o.logits, size_wh) for o in session.objects])
