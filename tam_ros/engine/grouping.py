"""Objects that remember the same frame are matched with it together."""

from dataclasses import dataclass

import numpy as np

from tam_ros.engine.base import MemoryPlan

HINT_OF = (0, 0, 1)  # of each of a plan's matched memories: which hint it serves as


@dataclass(frozen=True)
class MatchGroups:
    """G groups of B objects that share a remembered frame in the part of the same hint."""

    hints: np.ndarray
    """(G,) which hint the frame serves as."""
    members: np.ndarray
    """(G, V) the objects of each group, filled up with its first."""
    columns: np.ndarray
    """(G, V) which of its matched memories that is for each of them."""
    places: np.ndarray
    """(B, 3) where an object's matched memories stand in the flat G * V."""


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
    """(B, 3) as in MatchGroups."""


def locate_groups(plan: MemoryPlan, *, together: bool = True) -> StoredGroups:
    """Return where a plan's matched memories lie; together: objects of one frame in one group."""
    frames = plan.matched_frames if together else _apart(plan.matched_frames)
    groups = group_matches(frames)
    rows, slots = plan.rows[groups.members], plan.matched[groups.members, groups.columns]
    return StoredGroups(
        leader_rows=rows[:, 0],
        leader_slots=slots[:, 0],
        hints=groups.hints,
        member_rows=rows,
        member_slots=slots,
        places=groups.places,
    )


def _apart(frames: np.ndarray) -> np.ndarray:
    """Return other frames, of which no two are the same."""
    return np.arange(frames.size).reshape(frames.shape)


def group_matches(frames: np.ndarray) -> MatchGroups:
    """Group (B, 3) numbers of remembered frames; hints never share a group."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (row, column) by hint and frame
    places = np.empty(frames.shape, np.int64)
    for row, numbers in enumerate(frames):
        for column, (hint, number) in enumerate(zip(HINT_OF, numbers)):
            members = groups.setdefault((hint, int(number)), [])
            if not members or members[-1][0] != row:  # else it is the same memory again
                members.append((row, column))
            places[row, column] = len(members) - 1
    width = max(map(len, groups.values()))
    firsts = {key: group * width for group, key in enumerate(groups)}
    for column, hint in enumerate(HINT_OF):
        places[:, column] += [firsts[hint, int(number)] for number in frames[:, column]]
    filled = [members + members[:1] * (width - len(members)) for members in groups.values()]
    rows, columns = np.array(filled, np.int64).transpose(2, 0, 1)
    return MatchGroups(
        hints=np.array([hint for hint, _ in groups], np.int64),
        members=rows,
        columns=columns,
        places=places,
    )
