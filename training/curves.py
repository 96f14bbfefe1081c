"""Curves of J over the frames of a clip."""

from collections.abc import Sequence
from pathlib import Path

from tam_ros.evaluation.pictures import color_of
from tam_ros.evaluation.scores import ClipScore


def save_curves(path: Path, scores: Sequence[ClipScore]) -> None:
    """Write a PNG of J per frame: a panel for each score of one clip, a line per object."""
    from matplotlib.figure import Figure  # only pictures need it

    figure = Figure(figsize=(9, 2.2 * len(scores)), layout='constrained')
    for axes, score in zip(figure.subplots(len(scores), squeeze=False)[:, 0], scores):
        for o in score.objects:
            frames = range(o.first_frame, o.first_frame + len(o.j))
            axes.plot(frames, o.j, color=color_of(o.object_id) / 255, label=str(o.object_id))
        axes.set(ylim=(0, 1), ylabel='J', title=f'{score.clip}: {score.tracker}, {score.prompt}')
        axes.legend(title='object', loc='center left', bbox_to_anchor=(1, 0.5), ncols=2)
    figure.savefig(path, dpi=80)
