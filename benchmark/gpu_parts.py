"""The parts of `gpu.py`: each measures one thing and yields a row as soon as it has it.

A row is a dict for JSON. What fails is a row as well, with an 'error' in place of figures.
"""

import gc
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import resident_memory
import stages
import torch
from reference import STAGE_METHODS

from tam_ros.engine.base import EngineError

Row = dict[str, Any]
FAILURES = (EngineError, ImportError, OSError, RuntimeError)  # RuntimeError: memory, compilers
PACKAGES = ('torch', 'numpy', 'onnxruntime', 'opencv-python-headless', 'timm')
ROOT = Path(__file__).parents[1]
SHIPPED_FIRST = ('clicks and not onnx', 'not clicks and not onnx')  # tests by their names
MEMORY_AT = (100, 200, 500, 1_000, 1_500, 2_000)


@dataclass(frozen=True)
class Options:
    """What is measured where."""

    device: str
    """As PyTorch names it."""
    size: int
    """Side of the published networks' input, in pixels."""
    nano_size: int
    """Side of tam_nano's input, in pixels."""
    frames: int
    """Per row of a table."""
    memory_frames: int
    """Of the long run."""
    reference: Path | None = None
    """Folder that holds checkouts EdgeTAM and EfficientTAM, or one of them; None for none."""


def machine(options: Options) -> Iterator[Row]:
    """What it is measured on."""
    gpu = torch.cuda.get_device_name(options.device) if options.device != 'cpu' else 'no GPU'
    yield {
        'gpu': gpu,
        'cuda': torch.version.cuda,
        'python': platform.python_version(),
        'processors': os.cpu_count(),
        'onnxruntime_providers': onnxruntime.get_available_providers(),
        **{name: _version(name) for name in PACKAGES},
    }


def golden(options: Options) -> Iterator[Row]:
    """The golden tests with PyTorch on the device, in fp32 and float64, without TF32."""
    for selection in SHIPPED_FIRST:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / 'golden.xml'
            command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
            command += ['test/core/test_golden.py', '-k', selection]
            command += ['-o', 'junit_family=xunit1', f'--junitxml={report}']
            environment = {**os.environ, 'DEVICE': options.device}
            run = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
            )
            if not report.exists():
                yield {'who': f'golden: {selection}', 'error': run.stdout.strip()[-300:]}
                continue
            yield from map(_golden_row, ElementTree.parse(report).iter('testcase'))


def eager(options: Options, model: str) -> Iterator[Row]:
    """A network with 1 and 8 objects, in all precisions, beside the official code."""
    kinds = ['fp32', 'tf32', 'bf16', 'fp16']
    yield from _speed(options, model, kinds, objects=(1, 8))
    for count in (1, 8) if options.reference else ():
        yield from _official(_case(options, model, count), options)


def compiled(options: Options, model: str, objects: int) -> Iterator[Row]:
    """The same with stages compiled; masks are compared with those of fp32."""
    kinds = ['fp32', 'bf16+compile', 'fp32+compile']
    yield from _speed(options, model, kinds, objects=(objects,))


def onnx(options: Options) -> Iterator[Row]:
    """tam_nano by ONNX Runtime on the device."""
    yield from _speed(options, 'tam_nano', ['onnx'], objects=(1, 8))


def memory(options: Options) -> Iterator[Row]:
    """Whether memory stays flat."""
    at = tuple(t for t in MEMORY_AT if t <= options.memory_frames)
    for usage in resident_memory.usage(options.memory_frames, device=options.device, at=at):
        yield vars(usage)


# In the order in which they are run: what matters most first, what may take minutes last.
PARTS: dict[str, Callable[[Options], Iterator[Row]]] = {
    'machine': machine,
    'golden': golden,
    'edgetam': lambda options: eager(options, 'edgetam'),
    'efficienttam_ti': lambda options: eager(options, 'efficienttam_ti'),
    'tam_nano': lambda options: eager(options, 'tam_nano'),
    'memory': memory,
    'onnx': onnx,
    'edgetam_1_compiled': lambda options: compiled(options, 'edgetam', 1),
    'efficienttam_ti_1_compiled': lambda options: compiled(options, 'efficienttam_ti', 1),
    'edgetam_8_compiled': lambda options: compiled(options, 'edgetam', 8),
    'efficienttam_ti_8_compiled': lambda options: compiled(options, 'efficienttam_ti', 8),
    'tam_nano_1_compiled': lambda options: compiled(options, 'tam_nano', 1),
    'tam_nano_8_compiled': lambda options: compiled(options, 'tam_nano', 8),
}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return 'not installed'


def _golden_row(case: ElementTree.Element) -> Row:
    """Return a test's outcome, and all that it compared with the bar of each."""
    outcome = next((e.tag for e in case if e.tag in ('failure', 'error', 'skipped')), 'passed')
    row: Row = {'test': case.get('name'), 'outcome': outcome}
    for name in ('difference', 'bar'):
        row[name] = ', '.join(
            p.get('value', '') for p in case.iter('property') if p.get('name') == name
        )
    return row


def _case(options: Options, model: str, objects: int) -> stages.Case:
    side = options.nano_size if model == 'tam_nano' else options.size
    return stages.Case(model, side, objects)


def _speed(options: Options, model: str, kinds: list[str], objects: tuple[int, ...]):
    """Yield a row per number of objects and kind; the first kind's masks are the right ones."""
    images_rgb = stages.noise_frames(options.frames)
    for count in objects:
        case, masks = _case(options, model, count), None
        for kind in kinds:
            row = {'model': model, 'px': case.image_size, 'objects': count, 'who': kind}
            try:
                run = _run(case, kind, options, images_rgb)
            except FAILURES as error:
                yield {**row, 'error': _in_one_line(error)}
                continue
            masks = run.masks if masks is None else masks
            yield {
                **row,
                'stage_ms': run.times_ms,
                'peak_mb': run.peak_mb,
                'mask_iou': stages.mask_iou(run.masks, masks),
            }


def _run(case: stages.Case, kind: str, options: Options, images_rgb: list[np.ndarray]):
    """Track a case; tf32 is fp32 with TF32 wherever PyTorch has it."""
    gc.collect()  # engines before this one, so that the peak of memory is its own
    _allow_tf32(kind == 'tf32')
    engine = stages.make_engine(
        case, 'fp32' if kind == 'tf32' else kind, options.device, torch.get_num_threads()
    )
    return stages.run_ours(case, images_rgb, engine)


def _official(case: stages.Case, options: Options) -> Iterator[Row]:
    """Yield the times of the official code, where its checkout has a folder of its own."""
    if options.reference is None or case.model == 'tam_nano':
        return
    folder = options.reference / ('EdgeTAM' if case.model == 'edgetam' else 'EfficientTAM')
    if not folder.is_dir():
        return
    _allow_tf32(False)
    images_rgb = stages.noise_frames(options.frames)
    for precision in ('fp32', 'bf16'):
        who = f'official {precision}'
        row = {'model': case.model, 'px': case.image_size, 'objects': case.objects, 'who': who}
        try:
            times_ms = stages.run_reference(
                case,
                images_rgb,
                folder,
                torch.get_num_threads(),
                device=options.device,
                autocast=precision == 'bf16',
            )
        except FAILURES as error:
            yield {**row, 'error': _in_one_line(error)}
        else:
            yield {**row, 'stage_ms': {k: times_ms[k] for k in (*STAGE_METHODS, 'total')}}


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _in_one_line(error: Exception) -> str:
    text = ' '.join(str(error).split()).replace('|', '/')  # of a table
    return f'{type(error).__name__}: {text[:300]}'
