"""Memory of the tracker over many frames."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tam_ros.engine.allocation import resident_mb
from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

PROMPT_EVERY = 250  # frames: corrections come all the time
POWERS_OF_TEN = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Usage:
    """What was in use after some frames."""

    frame: int
    """How many frames there had been."""
    resident_mb: float
    """MiB of the process."""
    device_mb: float
    """MiB that the engine held on a GPU; 0 on the CPU."""
    rate_hz: float
    """Frames per second so far."""


def usage(
    frames: int, image_size: int = 256, *, device: str = 'cpu', at: tuple[int, ...] = POWERS_OF_TEN
) -> Iterator[Usage]:
    """Track two objects at a small size and yield the memory after so many frames."""
    engine = load_torch_engine('edgetam', image_size=image_size, device=device)
    session = Session(engine)
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
        if t + 1 in at:
            rate_hz = (t + 1) / (time.monotonic() - start)
            yield Usage(t + 1, resident_mb(), engine.device_memory_mb(), rate_hz)


def measure(frames: int) -> None:
    """Print the memory at each power of ten."""
    for u in usage(frames):
        print(f'frame {u.frame:7,}: {u.resident_mb:8.1f} MiB, {u.rate_hz:.1f} Hz', flush=True)
