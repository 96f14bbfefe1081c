"""Resident memory of the tracker over many frames."""

import time

import numpy as np

from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.prompts import Prompt
from tam_ros.ros.diagnostics import resident_mb
from tam_ros.tracker.session import Session

PROMPT_EVERY = 250  # frames: corrections come all the time


def measure(frames: int, image_size: int = 256) -> None:
    """Track two objects at a small size and print the memory at each power of ten."""
    session = Session(load_torch_engine('edgetam', image_size=image_size))
    images = np.random.default_rng(0).integers(0, 256, (16, 240, 320, 3), np.uint8)
    start = time.monotonic()
    for t in range(frames):
        result = session.step(images[t % 16], t)
        result.label_image()
        if t == 0:
            session.add_prompt(Prompt([[80, 120]]))
            session.add_prompt(Prompt(box_xyxy=(160, 60, 300, 200)))
        elif t % PROMPT_EVERY == 0:
            session.add_prompt(Prompt([[80, 120]]), object_id=1)
        if t + 1 in (100, 1_000, 10_000, 100_000):
            rate = (t + 1) / (time.monotonic() - start)
            print(f'frame {t + 1:7,}: {resident_mb():8.1f} MiB, {rate:.1f} Hz', flush=True)
