"""Whether a tracker knows how good its masks are, and whether the object is there at all.

Takes the confidences of scored frames beside their truth; knows nothing of trackers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tam_ros.evaluation.scores import ClipScore
from tam_ros.evaluation.trackers import Confidence

BINS = 10


@dataclass(frozen=True)
class Record:
    """A confidence and what was true."""

    confidence: Confidence
    """The tracker's, of a frame and object."""
    true_iou: float
    """Of its mask with the true one, in [0, 1]."""
    is_present: bool
    """Whether the object was there."""


@dataclass(frozen=True)
class Reliability:
    """Predicted against true IoU in bins of equal width over [0, 1].

    Only frames where the tracker takes the object to be there count, as elsewhere it gives no
    mask.
    """

    predicted: np.ndarray
    """(BINS,) mean of each bin, in [0, 1]; NaN in empty bins."""
    true: np.ndarray
    """(BINS,) mean of each bin, in [0, 1]; NaN in empty bins."""
    counts: np.ndarray
    """(BINS,) records in each."""

    @property
    def expected_error(self) -> float:
        """The expected calibration error: mean over records of their bin's |predicted - true|."""
        gaps = np.abs(self.predicted - self.true)
        return float(np.nansum(gaps * self.counts) / max(self.counts.sum(), 1))


def records_of(scores: Sequence[ClipScore]) -> list[Record]:
    """Return a record of each object and frame in which the tracker told its confidence."""
    return [
        Record(confidence, j, area > 0)
        for score in scores
        for o in score.objects
        for confidence, j, area in zip(o.confidences, o.j, o.areas)
        if confidence is not None
    ]


def reliability(records: Sequence[Record]) -> Reliability:
    """Sort records into bins by their predicted IoU."""
    seen = [r for r in records if r.confidence.presence_logit > 0]
    predicted = np.array([r.confidence.predicted_iou for r in seen])
    true = np.array([r.true_iou for r in seen])
    bins = np.clip((predicted * BINS).astype(int), 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    sums = [np.bincount(bins, values, BINS) for values in (predicted, true)]
    with np.errstate(invalid='ignore'):
        return Reliability(sums[0] / counts, sums[1] / counts, counts)


def presence_logits(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Return the presence logits where the object was there, and where it was not."""
    there, away = (
        np.array([r.confidence.presence_logit for r in records if r.is_present == is_present])
        for is_present in (True, False)
    )
    return there, away


def presence_precision_recall(records: Sequence[Record]) -> tuple[float, float]:
    """Return how often 'there' is true, and how often a present object is found; NaN of none."""
    present, absent = presence_logits(records)
    hits, false_alarms = (present > 0).sum(), (absent > 0).sum()
    precision = hits / (hits + false_alarms) if hits + false_alarms else np.nan
    return float(precision), float(hits / len(present) if len(present) else np.nan)


def describe_calibration(records: Sequence[Record]) -> str:
    """Return one line with the calibration error and how well presence is told."""
    curve = reliability(records)
    precision, recall = presence_precision_recall(records)
    absent = sum(not r.is_present for r in records)
    return (
        f'predicted IoU: expected calibration error {curve.expected_error:.3f} over '
        f'{curve.counts.sum()} masks; presence: precision {precision:.3f}, recall {recall:.3f} '
        f'over {len(records)} frames of objects, {absent} of them absent'
    )


def save_calibration(path: Path, records: Sequence[Record], title: str = '') -> None:
    """Write a PNG of two panels: the reliability curve, and presence logits by truth."""
    from matplotlib.figure import Figure  # only pictures need it

    figure = Figure(figsize=(11, 4.5), layout='constrained')
    left, right = figure.subplots(1, 2)
    _draw_reliability(left, reliability(records))
    _draw_presence(right, *presence_logits(records))
    figure.suptitle(title)
    figure.savefig(path, dpi=100)


def _draw_reliability(axes, curve: Reliability) -> None:
    has_any = curve.counts > 0
    shares = curve.counts / max(curve.counts.sum(), 1)
    centers = (np.arange(BINS) + 0.5) / BINS
    axes.bar(centers, shares, 1 / BINS, color='0.88', label='share of masks')
    axes.plot([0, 1], [0, 1], '--', color='0.5', label='calibrated')
    axes.plot(curve.predicted[has_any], curve.true[has_any], 'o-', label='measured')
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel='predicted IoU', ylabel='true IoU')
    axes.set_title(f'expected calibration error {curve.expected_error:.3f}')
    axes.legend(loc='upper left')


def _draw_presence(axes, present: np.ndarray, absent: np.ndarray) -> None:
    edges = np.histogram_bin_edges(np.concatenate([present, absent, [0.0]]), 40)
    axes.hist(present, edges, alpha=0.6, label=f'present ({len(present)})')
    axes.hist(absent, edges, alpha=0.6, label=f'absent ({len(absent)})')
    axes.axvline(0, color='black', linewidth=1)
    axes.set(xlabel='presence logit', ylabel='frames of objects', yscale='log')
    axes.legend()
