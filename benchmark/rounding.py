"""How far the answers to prompts are from what float64 gives: ours, and the official code's.

    python benchmark/rounding.py [--reference EfficientTAM] [--models ...] [--seeds 0 1 2]

One row per model, seed of the weights and kind of prompt; what is compared is the object pointer
and the low-resolution logits of the chosen mask, the greatest absolute difference of each.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from float64 import float64, float64_engine
from reference import ReferenceTracker
from tables import print_head, print_row

from tam_ros.engine.base import Decoded
from tam_ros.engine.torch_engine import TorchEngine, choose_config, make_network
from tam_ros.model.network import TrackingNetwork
from tam_ros.model.reproducible import reproducible_state_dict, soften_attention
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

MODELS = ('efficienttam_ti_512x512', 'efficienttam_ti_1', 'efficienttam_ti_2', 'edgetam')


@dataclass(frozen=True)
class Answer:
    """What the decoder answered to a prompt."""

    pointer: np.ndarray
    """(C,) of the object."""
    logits: np.ndarray
    """(m, m) of the chosen mask."""

    def distance(self, other: 'Answer') -> tuple[float, float]:
        """Return the greatest absolute difference of pointers and of logits."""
        pairs = (self.pointer, other.pointer), (self.logits, other.logits)
        pointers, logits = (float(np.abs(a - b).max()) for a, b in pairs)
        return pointers, logits


def texture(side: int) -> np.ndarray:
    """Return a (side, side, 3) uint8 image with detail of every size."""
    stream, image = np.random.RandomState(0), np.zeros((side, side, 3))
    for cells in (4, 16, 64, side):
        coarse = stream.uniform(0, 255, (cells, cells, 3))
        image += coarse.repeat(side // cells, axis=0).repeat(side // cells, axis=1)
    return (image / 4).astype(np.uint8)


def prompts(side: int) -> dict[str, list[Prompt]]:
    """Return prompts of every kind on a square image; what follows the first refines it."""
    at = np.array([[26, 32], [35, 38], [6, 58]]) * side // 64  # whole, so that all read the same
    box = tuple(np.array([15, 11, 50, 58]) * side // 64)
    y, x = np.mgrid[:side, :side] / side
    ellipse = ((x - 0.49) / 0.21) ** 2 + ((y - 0.53) / 0.31) ** 2 < 1
    return {
        'click': [Prompt(at[:1])],
        'two clicks': [Prompt(at[:2])],
        'three clicks, one off': [Prompt(at, [1, 1, 0])],
        'box': [Prompt(box_xyxy=box)],
        'box and click off': [Prompt(at[2:], [0], box)],
        'mask': [Prompt(mask=ellipse)],
        'click, then one off': [Prompt(at[:1]), Prompt(at[2:], [0])],
    }


class RecordingEngine:
    """An engine that keeps what the decoder answered last."""

    def __init__(self, engine: TorchEngine):
        self._engine = engine
        self.decoded: Decoded  # once something has been

    def __getattr__(self, name: str):
        return getattr(self._engine, name)

    def decode_mask(self, *arguments) -> Decoded:
        """Decode, and keep the answer."""
        self.decoded = self._engine.decode_mask(*arguments)
        return self.decoded


def our_answers(engine: TorchEngine, image_rgb: np.ndarray) -> dict[str, Answer]:
    """Return the answer to each kind of prompt."""
    recording, answers = RecordingEngine(engine), {}
    session = Session(recording)
    session.step(image_rgb, 0)
    for kind, rounds in prompts(len(image_rgb)).items():
        session.reset()
        number = 0
        for prompt in rounds:
            number = session.add_prompt(prompt, object_id=number).object_id
        decoded = recording.decoded
        answers[kind] = Answer(np.asarray(decoded.pointers.cpu())[0], decoded.logits[0])
    return answers


def official_answers(tracker: ReferenceTracker, image_rgb: np.ndarray) -> dict[str, Answer]:
    """Return the same of the official code."""
    answers = {}
    for kind, rounds in prompts(len(image_rgb)).items():
        state = tracker.start([image_rgb])
        for given in rounds:
            tracker.prompt(state, 1, **official_arguments(given))
        logits, pointer = (tracker.returned['decode_mask'][i] for i in (3, 5))
        answers[kind] = Answer(pointer[0].cpu().numpy(), logits[0, 0].cpu().numpy())
    return answers


def official_arguments(prompt: Prompt) -> dict:
    """Return a prompt as arguments of the official code."""
    if prompt.mask is not None:
        return {'mask': prompt.mask}
    arguments: dict[str, Any] = {}
    if len(prompt.points_xy):
        arguments |= {'points': prompt.points_xy.tolist(), 'labels': prompt.point_labels.tolist()}
    if prompt.box_xyxy is not None:
        return arguments | {'box': list(prompt.box_xyxy)}
    return arguments | {'clear_old_points': False}


@dataclass(frozen=True)
class Subject:
    """What is compared."""

    model: str
    """Name of the network."""
    seed: int
    """Of its weights, which are made by rule."""
    size: int
    """Side of its input, in pixels."""
    soft: bool = False
    """With `soften_attention`."""

    def network(self) -> TrackingNetwork:
        """Return the network, in PyTorch's default precision."""
        network = make_network(choose_config(self.model, self.size))
        network.load_state_dict(reproducible_state_dict(network, self.seed))
        if self.soft:
            soften_attention(network)
        return network.eval()

    def official(self, checkout: Path) -> ReferenceTracker:
        """Return the official model with the same weights."""
        state = self.network().state_dict()
        arrays = {key: value.numpy().astype(np.float32) for key, value in state.items()}
        return ReferenceTracker(
            checkout,
            arrays,
            model=self.model,
            image_size=self.size,
            threads=torch.get_num_threads(),
            float32_memory=True,
        )


def measure(subject: Subject, checkout: Path | None) -> Iterator[tuple[str, dict[str, tuple]]]:
    """Yield per kind of prompt the distances to float64: the official code's where it is given."""
    image = texture(subject.size)
    answers = {'ours': our_answers(TorchEngine(subject.network(), mode='benchmark'), image)}
    if checkout:
        answers['official'] = official_answers(subject.official(checkout), image)
    with float64():
        exact = our_answers(float64_engine(subject.network()), image)
        if checkout:
            answers['ours, float64'] = exact
            exact = official_answers(subject.official(checkout), image)
    for kind, right in exact.items():
        yield kind, {who: answer[kind].distance(right) for who, answer in answers.items()}


def main() -> None:
    """Print a table of distances, pointer and logits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--reference', type=Path, help='checkout of the official code')
    parser.add_argument('--models', nargs='+', default=MODELS)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--size', type=int, default=512)
    options = parser.parse_args()
    print_head('model', 'seed', 'prompt', 'distance to float64: pointer, logits')
    for model in options.models:
        for seed in options.seeds:
            for kind, rows in measure(Subject(model, seed, options.size), options.reference):
                cells = '; '.join(f'{who} {p:.1e}, {m:.1e}' for who, (p, m) in rows.items())
                print_row(model, seed, kind, cells)


if __name__ == '__main__':
    main()
