"""Objects that remember the same frame are matched with it together."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MatchGroups:
    """G groups of B objects that share a remembered frame in the part of the same hint.

    leaders: (G,) an object of each group. hints: (G,). members: (G, V) the objects of each group,
    filled up with its leader. places: (B, HINTS) where an object stands in the flat G * V.
    """

    leaders: np.ndarray
    hints: np.ndarray
    members: np.ndarray
    places: np.ndarray


def group_matches(frames: np.ndarray) -> MatchGroups:
    """Group (B, HINTS) remembered frame indices; hints never share a group."""
    members: dict[tuple[int, int], list[int]] = {}
    for row, per_hint in enumerate(frames):
        for hint, frame in enumerate(per_hint):
            members.setdefault((hint, int(frame)), []).append(row)
    width = max(map(len, members.values()))
    places = np.empty(frames.shape, np.int64)
    for group, ((hint, _), rows) in enumerate(members.items()):
        places[rows, hint] = group * width + np.arange(len(rows))
    filled = [rows + rows[:1] * (width - len(rows)) for rows in members.values()]
    return MatchGroups(
        leaders=np.array([rows[0] for rows in filled], np.int64),
        hints=np.array([hint for hint, _ in members], np.int64),
        members=np.array(filled, np.int64),
        places=places,
    )
