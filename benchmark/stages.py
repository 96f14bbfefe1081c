"""Milliseconds per stage and frame of our tracker, beside the reference's in the same run."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from reference import FULL_MEMORY_FRAME, STAGE_METHODS, ReferenceTracker, median_ms

from tam_ros.engine.torch_engine import TorchEngine, build_network
from tam_ros.model.config import MODELS, NetworkConfig
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session

SIZE_WH = (1280, 720)


class TimedEngine:
    """An engine that notes the milliseconds of each stage of the current frame."""

    def __init__(self, engine):
        self.spec, self.allocate_store = engine.spec, engine.allocate_store
        self.stage_ms = dict.fromkeys(STAGE_METHODS, 0.0)
        for stage in STAGE_METHODS:
            setattr(self, stage, self._timed(stage, getattr(engine, stage)))

    def _timed(self, stage, method):
        def call(*arguments, **options):
            start = time.perf_counter()
            result = method(*arguments, **options)
            self._synchronize()
            self.stage_ms[stage] += 1e3 * (time.perf_counter() - start)
            return result

        return call

    def _synchronize(self) -> None:
        if self.spec.device != 'cpu':
            torch.cuda.synchronize()


@dataclass(frozen=True)
class Case:
    """What is measured: network, side of its input, number of objects."""

    model: str
    image_size: int
    objects: int

    @property
    def config(self) -> NetworkConfig:
        """The network's configuration."""
        return replace(MODELS[self.model], image_size=self.image_size)

    @property
    def clicks_xy(self) -> list[tuple[float, float]]:
        """One click per object, in a row."""
        width, height = SIZE_WH
        return [((i + 0.5) * width / self.objects, height / 2) for i in range(self.objects)]


def noise_frames(count: int) -> list[np.ndarray]:
    """Return 1280x720 RGB frames of noise: the time does not depend on what is seen."""
    shape = (count, SIZE_WH[1], SIZE_WH[0], 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def run_ours(case: Case, images_rgb: list[np.ndarray], device: str) -> dict[str, float]:
    """Return median ms per stage and in total over the frames with full memory."""
    network = build_network(case.config, 'reproducible')
    engine = TimedEngine(TorchEngine(network, mode='benchmark', device=device))
    session, rows = Session(engine), []
    for t, image in enumerate(images_rgb):
        engine.stage_ms = dict.fromkeys(STAGE_METHODS, 0.0)
        start = time.perf_counter()
        session.step(image, t)
        rows.append({**engine.stage_ms, 'total': 1e3 * (time.perf_counter() - start)})
        if t == 0:
            for click in case.clicks_xy:
                session.add_prompt(Prompt([click]))
    steady = rows[FULL_MEMORY_FRAME:]
    return {key: float(np.median([row[key] for row in steady])) for key in steady[0]}


def run_reference(
    case: Case, images_rgb: list[np.ndarray], checkout: Path, threads: int
) -> dict[str, float]:
    """Return the same of the reference; its frame time leaves preprocessing out."""
    state = build_network(case.config, 'reproducible').state_dict()
    arrays = {key: value.numpy() for key, value in state.items()}
    sizes = {'model': case.model, 'image_size': case.image_size}
    tracker = ReferenceTracker(checkout, arrays, **sizes, threads=threads)
    return median_ms(tracker.run(images_rgb, case.clicks_xy))


def measure(cases, *, frames: int, threads: int, device: str, checkout: Path | None) -> None:
    """Print a table row per case, ours and the reference one after the other."""
    torch.set_num_threads(threads)
    images_rgb = noise_frames(frames)
    columns = [*STAGE_METHODS, 'total']
    print('| model | px | objects | who | ' + ' | '.join(columns) + ' |')
    print('|---|---|---|---|' + '---|' * len(columns))
    for case in cases:
        ours = run_ours(case, images_rgb, device)
        _print_row(case, 'tam_ros', ours)
        if checkout:
            reference = run_reference(case, images_rgb, checkout, threads)
            _print_row(case, 'reference', reference)
            ratios = {key: ours[key] / reference[key] for key in columns}
            _print_row(case, 'ratio', ratios, '.2f')


def _print_row(case: Case, who: str, values: dict[str, float], form: str = '.0f') -> None:
    cells = ' | '.join(format(value, form) for value in values.values())
    print(f'| {case.model} | {case.image_size} | {case.objects} | {who} | {cells} |', flush=True)
