"""Objects that remember the same frame are matched with it together."""

from dataclasses import dataclass

import numpy as np

from tam_ros.engine.base import MemoryPlan


@dataclass(frozen=True)
class MatchGroups:
    """G groups of B objects that share a remembered frame in the part of the same hint."""

    leaders: np.ndarray
    """(G,) an object of each group."""
    hints: np.ndarray
    """(G,) which hint the frame serves as."""
    members: np.ndarray
    """(G, V) the objects of each group, filled up with its leader."""
    places: np.ndarray
    """(B, HINTS) where an object stands in the flat G * V."""


@dataclass(frozen=True)
class StoredGroups:
    """Where in the store the groups of a plan lie."""

    leader_rows: np.ndarray
    """(G,) of the remembered frames' keys."""
    leader_slots: np.ndarray
    """(G,) likewise."""
    hints: np.ndarray
    """(G,) as in MatchGroups."""
    member_rows: np.ndarray
    """(G, V) of their masks."""
    member_slots: np.ndarray
    """(G, V) likewise."""
    places: np.ndarray
    """(B, HINTS) as in MatchGroups."""


def locate_groups(plan: MemoryPlan, *, together: bool = True) -> StoredGroups:
    """Return where a plan's matched memories lie; together: objects of one frame in one group."""
    groups = group_matches(plan.matched_frames if together else _apart(plan.matched_frames))
    return StoredGroups(
        leader_rows=plan.rows[groups.leaders],
        leader_slots=plan.matched[groups.leaders, groups.hints],
        hints=groups.hints,
        member_rows=plan.rows[groups.members],
        member_slots=plan.matched[groups.members, groups.hints[:, None]],
        places=groups.places,
    )


def _apart(frames: np.ndarray) -> np.ndarray:
    """Return other frames, of which no two objects remember the same."""
    return np.arange(len(frames))[:, None].repeat(frames.shape[1], axis=1)


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
