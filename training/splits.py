"""The clips that weights are chosen by, and those that only judge what was chosen."""

from collections.abc import Sequence

SPLITS = {
    'development': [
        *('bear', 'tennis', 'dogs_jump', 'schoolgirls', 'chair', 'boat', 'bus', 'car-turn'),
        *('elephant', 'flamingo', 'hike', 'horsejump-low', 'lucia', 'mallard-water'),
        *('scooter-gray', 'train'),
    ],
    'validation': [
        *('bmx-bumps', 'breakdance-flare', 'dance-jump', 'drift-turn', 'hockey', 'kite-walk'),
        *('mallard-fly', 'motocross-bumps', 'motorbike', 'paragliding', 'rhino', 'rollerblade'),
        *('soccerball', 'stroller', 'surf', 'swing'),
    ],
}


def clips_of(split: str, clips: Sequence[str]) -> list[str]:
    """Return the clips of a split, or those of them that are named; raises ValueError."""
    others = [name for name in clips if name not in SPLITS[split]]
    if others:
        raise ValueError(f'--clips {",".join(others)} are not in the split {split!r}')
    return list(clips) or SPLITS[split]
