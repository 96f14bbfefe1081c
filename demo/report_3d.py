"""What the demo says of boxes and points, beside the truth where that is known."""

import numpy as np
from boxes import BoxAnswer, positions_m
from tabulate import tabulate

from tam_ros.evaluation.boxes import BoxScore, BoxScores
from tam_ros.evaluation.depth_clips import DepthClip

COLUMNS = ['', 'position, mm', 'p95', 'sides, mm', '% points off', 'flips', 'frames behind']


class BoxReport:
    """Keeps the answers, and compares them. clip: None where no truth is known."""

    def __init__(self, clip: DepthClip | None):
        self._clip = clip
        self._scores = None if clip is None else BoxScores(clip)
        self.answers: list[BoxAnswer] = []

    def take(self, answer: BoxAnswer) -> None:
        """Keep an answer, and compare it with the truth."""
        self.answers.append(answer)
        if self._clip is None or self._scores is None:
            return
        for name, box in answer.boxes.items():
            points_m = positions_m(answer.points[name])
            self._scores.add(answer.index, self._clip.numbers[name], box, points_m)

    def summarise(self) -> None:
        """Print the latency, and how far boxes and points are from the truth."""
        late_ms = [a.latency_ms for a in self.answers if a.index]  # the first was held
        p50, p95 = np.percentile(late_ms or [np.nan], [50, 95])
        print(
            f'in 3D      {len(self.answers)} frames; camera to boxes: p50 {p50:.0f} ms, ', end=''
        )
        print(f'p95 {p95:.0f} ms')
        if self._clip is None or self._scores is None or not self.answers:
            return
        names = {number: name for name, number in self._clip.numbers.items()}
        scores = {names[n]: self._scores.score([n]) for n in self._scores.numbers}
        scores['all'] = self._scores.score()
        print('\nBoxes and points against the truth of the answered frames:')
        print(tabulate([_row(*item) for item in scores.items()], COLUMNS, disable_numparse=True))
        print('flips: a minute, of axes by more than 30 degrees. Points off: by more than 2 cm.')


def _row(name: str, score: BoxScore) -> list[str]:
    behind = '' if np.isnan(score.frames_behind) else f'{score.frames_behind:.2f}'
    return [
        name,
        f'{score.position_mm:.1f}',
        f'{score.position_p95_mm:.1f}',
        f'{score.sides_mm:.1f}',
        f'{score.off_percent:.2f}',
        f'{score.flips_per_minute:.0f}',
        behind,
    ]
