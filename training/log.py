"""The log of a run: one JSON line per interval, and its curves as a picture."""

import json
import time
from pathlib import Path

from training.rollout import Trace

EVERY_STEPS = 25


class Log:
    """Collects what steps judged; writes log.jsonl, curves.png and a line of progress."""

    def __init__(self, folder: Path, steps: int | None, done: int):
        self._path = folder / 'log.jsonl'
        self._steps = steps
        self._last = time.monotonic(), done
        self._losses: list[float] = []
        self._ious: list[float] = []
        self._tracked: list[float] = []

    def add(self, step: int, phase: str, trace: Trace) -> None:
        """Take the judgements of a step into account."""
        self._losses.append(trace.loss.item())
        self._ious += [_mean_iou(j) for j in trace.judged[:1]]
        self._tracked += [_mean_iou(j) for j in trace.judged[-1:]]
        if step % EVERY_STEPS == 0 or step == self._steps:
            self._write(step, phase)

    def _write(self, step: int, phase: str) -> None:
        then, before = self._last
        rate = (step - before) / (time.monotonic() - then)
        entry = {
            'step': step,
            'phase': phase,
            'loss': _mean(self._losses),
            'first_iou': _mean(self._ious),
            'last_iou': _mean(self._tracked),
            'steps_per_s': rate,
        }
        with self._path.open('a') as file:
            file.write(json.dumps(entry) + '\n')
        left = ''
        if self._steps is not None:
            left = f', {(self._steps - step) / rate / 60:.0f} min left at this rate'
        print(
            f'{phase} {step}/{self._steps or "?"} loss {entry["loss"]:.3f} '
            f'iou first {entry["first_iou"]:.3f} last {entry["last_iou"]:.3f} '
            f'{rate:.2f} steps/s{left}',
            flush=True,
        )
        self._last = time.monotonic(), step
        self._losses, self._ious, self._tracked = [], [], []
        if step % (20 * EVERY_STEPS) == 0 or step == self._steps:
            draw_curves(self._path)


def draw_curves(log: Path) -> None:
    """Draw a run's loss and IoU over steps into curves.png beside its log."""
    from matplotlib.figure import Figure  # only pictures need it

    entries = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [e['step'] for e in entries]
    figure = Figure(figsize=(11, 4), layout='tight')
    left, right = figure.subplots(1, 2)
    left.plot(steps, [e['loss'] for e in entries])
    left.set(xlabel='step', ylabel='loss', yscale='log')
    for key in ('first_iou', 'last_iou'):
        right.plot(steps, [e[key] for e in entries], label=key)
    right.set(xlabel='step', ylabel='true IoU on training clips', ylim=(0, 1))
    right.legend()
    for axis in (left, right):
        for a, b in zip(entries, entries[1:]):
            if a['phase'] != b['phase']:
                axis.axvline(a['step'], color='grey', linewidth=0.5)
    figure.savefig(log.with_name('curves.png'), dpi=90)


def _mean_iou(judged) -> float:
    return judged.iou[judged.present].mean().item() if judged.present.any() else float('nan')


def _mean(values: list[float]) -> float:
    known = [v for v in values if v == v]
    return sum(known) / max(len(known), 1)
