"""What the demo says: a line per answered frame, and figures at the end."""

import sys
import time

import numpy as np
from client import Answer, DemoClient
from film import Film
from truth import Truth

from tam_ros.msg import TrackedObject

STATES = {
    TrackedObject.TENTATIVE: 'tentative',
    TrackedObject.TRACKED: 'tracked',
    TrackedObject.OCCLUDED: 'occluded',
    TrackedObject.LOST: 'lost',
}


class Report:
    """Prints and films answers as they come. rate_hz is the video's own, for times in it."""

    def __init__(self, film: Film, rate_hz: float, truth: Truth | None):
        self._film = film
        self._rate_hz = rate_hz
        self._truth = truth
        self._latencies_ms: list[float] = []
        self._arrivals: list[float] = []
        self._count = 0

    def take(self, answer: Answer) -> None:
        """Print an answer, film it, and compare it with the truth."""
        self._count += 1
        if answer.latency_ms is not None:
            self._latencies_ms.append(answer.latency_ms)
            self._arrivals.append(time.monotonic())
        when = f'frame {answer.index:4d}  {answer.index / self._rate_hz:6.2f} s'
        age = 'held' if answer.latency_ms is None else f'{answer.latency_ms:.0f} ms'
        print(f'{when}  {age:>7}  {answer.detection_count} visible: {_in_words(answer.objects)}')
        sys.stdout.flush()
        what = 'held for the prompts' if answer.latency_ms is None else f'masks after {age}'
        self._film.add(answer.index, answer.overlay_rgb, f'{when}  {what}')
        if self._truth:
            self._truth.compare(answer.index, answer.objects)

    def summarise(self, client: DemoClient) -> None:
        """Print rates, latency and overlaps."""
        p50, p95 = np.percentile(self._latencies_ms or [np.nan], [50, 95])
        dropped = client.camera_frames - self._count
        print(f'\ncamera     {client.camera_frames} frames at {client.camera_rate_hz:.1f} Hz')
        print(
            f'tracker    {self._count} frames at {self._answers_per_second():.1f} Hz; '
            f'{dropped} dropped (the newest frame wins)'
        )
        print(f'latency    camera to masks: p50 {p50:.0f} ms, p95 {p95:.0f} ms')
        if self._truth:
            overlaps = self._truth.mean_overlaps()
            words = ', '.join(f'{name} {value:.3f}' for name, value in overlaps.items())
            print(f'mean IoU   {words} (against the ground truth of the answered frames)')

    def _answers_per_second(self) -> float:
        if len(self._arrivals) < 2:
            return 0.0
        return (len(self._arrivals) - 1) / (self._arrivals[-1] - self._arrivals[0])


def _in_words(objects: list[TrackedObject]) -> str:
    return ', '.join(_object_in_words(found) for found in objects)


def _object_in_words(found: TrackedObject) -> str:
    if not found.mask.data:
        return f'{found.label} {STATES[found.state]}'
    box = found.box
    at = f'{box.x_offset},{box.y_offset}+{box.width}x{box.height}'
    return f'{found.label} {found.score:.2f} [{at}]'
