"""Tables of scores: rows of clips and of their means, as text and for JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from tabulate import tabulate

from tam_ros.evaluation.scores import ClipScore

TEXTS = ('tracker', 'prompt', 'clip')
COLUMNS = (
    *(*TEXTS, 'objects', 'first', 'J', 'F', 'J&F', 'spread', 'sJ&F', 'dropped', 'switches'),
    *('reacquired', 'refused', 'ms/frame'),
)


@dataclass(frozen=True)
class Row:
    """The scores of one clip, or of several: means over all their objects, sums of counts."""

    tracker: str
    """Name, such as tam_nano/fifo."""
    clip: str
    """Name of its folder, or of a mean."""
    prompt: str
    """Kind of the prompts, one of PROMPT_KINDS."""
    objects: int
    """How many there are."""
    j: float
    """Region similarity, in [0, 1]."""
    f: float
    """Boundary accuracy, in [0, 1]."""
    j_and_f: float
    """Mean of both."""
    streamed_j_and_f: float | None
    """Against the clock; None where that was not measured."""
    dropped: int | None
    """Frames left out against the clock; None where that was not measured."""
    id_switches: int
    """How often tracks moved onto another object."""
    returns: int
    """How often objects came back into view."""
    reacquired: int
    """How many of the returns were found."""
    reacquire_s: float | None
    """Mean time until they were; None if none was."""
    refused: int
    """Objects whose first prompt was refused."""
    ms_per_frame: float
    """Mean over clips of the median over steps."""
    first_j: float
    """Region similarity of the answers to the prompts."""
    spread: float | None = None
    """Standard deviation of J&F over clips; None for one clip and for means of objects."""


def summarize(scores: Sequence[ClipScore], name: str = '') -> Row:
    """Return the row of one or more clips, all of one tracker and kind of prompt.

    name: of the row; left out, that of the first clip.
    """
    objects = [o for score in scores for o in score.objects]
    returns = [seconds for o in objects for seconds in o.reacquire_s]
    found = [seconds for seconds in returns if seconds is not None]
    streamed = [score.streamed for score in scores if score.streamed]
    j, f = _means(scores)
    return Row(
        tracker=scores[0].tracker,
        clip=name or scores[0].clip,
        prompt=scores[0].prompt,
        objects=len(objects),
        j=j,
        f=f,
        j_and_f=(j + f) / 2,
        streamed_j_and_f=sum(_means(streamed)) / 2 if streamed else None,
        dropped=sum(score.dropped for score in streamed) if streamed else None,
        id_switches=sum(o.switches for o in objects),
        returns=len(returns),
        reacquired=len(found),
        reacquire_s=float(np.mean(found)) if found else None,
        refused=sum(o.is_refused for o in objects),
        ms_per_frame=float(np.mean([score.ms_per_frame for score in scores])),
        first_j=float(np.mean([o.first_j for o in objects])),
    )


def mean_of_clips(scores: Sequence[ClipScore]) -> Row:
    """Return the row of several clips in which each clip counts the same."""
    rows = [summarize([score]) for score in scores]
    streamed = [r.streamed_j_and_f for r in rows if r.streamed_j_and_f is not None]
    return replace(
        summarize(scores, 'mean of clips'),
        j=float(np.mean([r.j for r in rows])),
        f=float(np.mean([r.f for r in rows])),
        j_and_f=float(np.mean([r.j_and_f for r in rows])),
        streamed_j_and_f=float(np.mean(streamed)) if streamed else None,
        first_j=float(np.mean([r.first_j for r in rows])),
        spread=float(np.std([r.j_and_f for r in rows], ddof=1)) if len(rows) > 1 else None,
    )


def mean_rows(scores: Sequence[ClipScore]) -> list[Row]:
    """Return both means of several clips: over all objects, and over the clips."""
    return [summarize(scores, 'mean of objects'), mean_of_clips(scores)]


def group_scores(scores: Sequence[ClipScore]) -> dict[tuple[str, str], list[ClipScore]]:
    """Return the scores of each (tracker, prompt)."""
    groups: dict[tuple[str, str], list[ClipScore]] = {}
    for score in scores:
        groups.setdefault((score.tracker, score.prompt), []).append(score)
    return groups


def format_table(scores: Sequence[ClipScore]) -> str:
    """Return a table of all clips, each tracker and kind of prompt ending with its means."""
    lines: list[list[str]] = []
    for group in group_scores(scores).values():
        rows = [summarize([score]) for score in group] + mean_rows(group)
        lines += [*map(_cells, rows), [''] * len(COLUMNS)]
    align = ['left' if name in TEXTS else 'right' for name in COLUMNS]
    return tabulate(lines, COLUMNS, tablefmt='plain', disable_numparse=True, colalign=align)


def _cells(row: Row) -> list[str]:
    """Return a row's cells, in the order of COLUMNS."""
    shares = (row.first_j, row.j, row.f, row.j_and_f, row.spread, row.streamed_j_and_f)
    return [
        *(row.tracker, row.prompt, row.clip, str(row.objects)),
        *map(_format_share, shares),
        '-' if row.dropped is None else str(row.dropped),
        *(str(row.id_switches), _reacquired(row), str(row.refused), f'{row.ms_per_frame:.1f}'),
    ]


def _format_share(share: float | None) -> str:
    return '-' if share is None else f'{share:.3f}'


def _reacquired(row: Row) -> str:
    """Return how many of the returns were found, and how soon: '2/3 0.21 s'."""
    if not row.returns:
        return '-'
    seconds = '' if row.reacquire_s is None else f' {row.reacquire_s:.2f} s'
    return f'{row.reacquired}/{row.returns}{seconds}'


def scores_to_json(scores: Sequence[ClipScore]) -> dict:
    """Return rows of clips and means, and the values of every object and frame, for JSON."""
    return {
        'clips': [asdict(summarize([score])) for score in scores],
        'means': [asdict(r) for group in group_scores(scores).values() for r in mean_rows(group)],
        'objects': _objects(scores),
        'streamed_objects': _objects([score.streamed for score in scores if score.streamed]),
    }


def _objects(scores: Sequence[ClipScore]) -> list[dict]:
    return [
        {'tracker': score.tracker, 'clip': score.clip, 'prompt': score.prompt, **asdict(o)}
        for score in scores
        for o in score.objects
    ]


def _means(scores: Sequence[ClipScore]) -> tuple[float, float]:
    """Return J and F, means over frames, then over all objects."""
    objects = [o for score in scores for o in score.objects]
    j, f = (np.mean([np.mean(o.j) for o in objects]), np.mean([np.mean(o.f) for o in objects]))
    return float(j), float(f)
