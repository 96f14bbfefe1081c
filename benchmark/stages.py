"""Milliseconds per stage and frame of our tracker, beside the reference's in the same run."""

import contextlib
import copy
import functools
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from reference import FULL_MEMORY_FRAME, STAGE_METHODS, ReferenceTracker, median_ms
from tables import print_head, print_row

from tam_ros.engine.export import Origin, export_network, without_complex_tables
from tam_ros.engine.onnx_engine import OnnxEngine
from tam_ros.engine.onnx_graph import parse_device
from tam_ros.engine.torch_engine import TorchEngine, TorchPrecision, build_network
from tam_ros.model.fuse import fuse
from tam_ros.model.network import TrackingNetwork
from tam_ros.model.reproducible import soften_attention
from tam_ros.networks import MODELS, ModelConfig
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session
from tam_ros.weights import REPRODUCIBLE

SIZE_WH = (1280, 720)
COMPILED = '+compile'  # ends the name of a kind


class TimedEngine:
    """An engine that notes the milliseconds of each stage of the current frame."""

    def __init__(self, engine):
        self.spec, self.nbytes = engine.spec, engine.nbytes
        self.allocate_store = engine.allocate_store
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
    """What is measured."""

    model: str
    """Name of the network."""
    image_size: int
    """Side of its input, in pixels."""
    objects: int
    """How many are tracked."""

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return replace(MODELS[self.model], image_size=self.image_size)

    def calm_network(self) -> TrackingNetwork:
        """Return the network with softened attention: else rounding would change the masks."""
        return copy.deepcopy(_calm_network(self.config))

    @property
    def clicks_xy(self) -> list[tuple[float, float]]:
        """One click per object, in a row."""
        width, height = SIZE_WH
        return [((i + 0.5) * width / self.objects, height / 2) for i in range(self.objects)]


@functools.cache
def _calm_network(config: ModelConfig) -> TrackingNetwork:
    network = build_network(config, REPRODUCIBLE)
    soften_attention(network)
    return network


def noise_frames(count: int) -> list[np.ndarray]:
    """Return 1280x720 RGB frames of noise: the time does not depend on what is seen."""
    shape = (count, SIZE_WH[1], SIZE_WH[0], 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


@dataclass(frozen=True)
class Run:
    """What an engine took for the frames of a case, and answered."""

    times_ms: dict[str, float]
    """Median milliseconds of each stage, and of the `total`, over frames with full memory."""
    masks: np.ndarray
    """(T, objects, m, m) bool, of all frames."""
    peak_mb: float = 0.0
    """MiB of the GPU's memory, all that PyTorch held at once; 0 on the CPU."""


def make_engine(case: Case, kind: str, device: str, threads: int):
    """Return our engine for a case.

    kind: fp32, bf16 or fp16 of PyTorch, with +compile after it to have its stages compiled when
    they are first run, or onnx. Raises EngineError where the device cannot do that.
    """
    if kind == 'onnx':
        parse_device(device)  # before the export, which takes a minute
    network = case.calm_network()
    if kind.endswith(COMPILED):
        return compiled_engine(network, device, cast(TorchPrecision, kind.removesuffix(COMPILED)))
    if kind != 'onnx':
        precision = cast(TorchPrecision, kind)  # what is none, the engine refuses
        return TorchEngine(network, mode='benchmark', device=device, precision=precision)
    folder = Path(tempfile.mkdtemp(prefix='onnx_'))
    try:
        export_network(network, Origin(case.model, REPRODUCIBLE), folder, report=lambda _: None)
        return OnnxEngine(folder, mode='benchmark', device=device, threads=threads)
    finally:
        shutil.rmtree(folder)


def compiled_engine(
    network: TrackingNetwork, device: str, precision: TorchPrecision
) -> TorchEngine:
    """Return an engine whose stages are compiled; packed layers would stand in the way."""
    fuse(network, values=False)
    engine = TorchEngine(
        network, mode='benchmark', device=device, precision=precision, fused=False
    )
    without_complex_tables(network)
    for stage in STAGE_METHODS:
        setattr(network, stage, torch.compile(getattr(network, stage), dynamic=False))
    return engine


def run_ours(case: Case, images_rgb: list[np.ndarray], engine) -> Run:
    """Track the case's objects."""
    engine = TimedEngine(engine)
    on_gpu = engine.spec.device != 'cpu' and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    session, rows, masks = Session(engine), [], []
    for t, image in enumerate(images_rgb):
        engine.stage_ms = dict.fromkeys(STAGE_METHODS, 0.0)
        start = time.perf_counter()
        session.step(image, t)
        rows.append({**engine.stage_ms, 'total': 1e3 * (time.perf_counter() - start)})
        if t == 0:
            for click in case.clicks_xy:
                session.add_prompt(Prompt([click]))
        masks.append([result.logits > 0 for result in session.objects])
    steady = rows[FULL_MEMORY_FRAME:]
    times_ms = {key: float(np.median([row[key] for row in steady])) for key in steady[0]}
    peak_mb = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0
    return Run(times_ms, np.array(masks), peak_mb)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Return the IoU of all masks of two runs together."""
    return int(np.count_nonzero(a & b)) / max(int(np.count_nonzero(a | b)), 1)


def run_reference(
    case: Case,
    images_rgb: list[np.ndarray],
    checkout: Path,
    threads: int,
    *,
    device: str = 'cpu',
    autocast: bool = False,
) -> dict[str, float]:
    """Return the times of the reference; its frame time leaves preprocessing out.

    autocast: to bfloat16, as its own examples run it on a GPU.
    """
    arrays = {key: value.numpy() for key, value in case.calm_network().state_dict().items()}
    tracker = ReferenceTracker(
        checkout,
        arrays,
        model=case.model,
        image_size=case.image_size,
        threads=threads,
        device=device,
    )
    narrow = torch.autocast(tracker.device.type, torch.bfloat16)
    with narrow if autocast else contextlib.nullcontext():
        return median_ms(tracker.run(images_rgb, case.clicks_xy))


def measure(
    cases, *, kinds: list[str], frames: int, threads: int, device: str, checkout: Path | None
) -> None:
    """Print table rows per case: the reference, and our engines with their ratio to it.

    Masks are compared with those of the first of the kinds.
    """
    torch.set_num_threads(threads)
    images_rgb = noise_frames(frames)
    columns = [*STAGE_METHODS, 'total']
    print_head('model', 'px', 'objects', 'who', *columns, 'x reference', 'mask IoU')
    for case in cases:
        reference, masks = None, None
        if checkout:
            reference = run_reference(case, images_rgb, checkout, threads, device=device)
            _print_row(case, 'reference', reference, '', '')
        for kind in kinds:
            run = run_ours(case, images_rgb, make_engine(case, kind, device, threads))
            masks = run.masks if masks is None else masks
            ratio = f'{run.times_ms["total"] / reference["total"]:.2f}' if reference else ''
            _print_row(case, kind, run.times_ms, ratio, f'{mask_iou(run.masks, masks):.3f}')


def _print_row(case: Case, who: str, times_ms: dict[str, float], *comparisons: str) -> None:
    cells = [*(f'{ms:.0f}' for ms in times_ms.values()), *comparisons]
    print_row(case.model, case.image_size, case.objects, who, *cells)
