"""Which stored memories a batch of objects attends to in a frame, as an engine is told."""

from collections.abc import Sequence

import numpy as np

from tam_ros.engine.base import MemoryPlan
from tam_ros.tracker.memory import MemoryEntry, ObjectMemory, Recall
from tam_ros.tracker.window import WHOLE, Window


def plan_memories(
    rows: Sequence[int], memories: Sequence[ObjectMemory], frame_index: int
) -> MemoryPlan:
    """Return the plan of a frame for the objects in the given rows of the store.

    An object that is followed on several pathways is as many objects of the plan, one after the
    other.
    """
    prompted_age = memories[0].limits.recent  # networks have one embedding more for these
    planned = [(row, m, r) for row, m in zip(rows, memories) for r in m.recall(frame_index)]
    recalls = [recall for _, _, recall in planned]
    ages = [[prompted_age if age is None else age for _, age in r.memories] for r in recalls]
    matched = [_matched(m.prompted[-1], recall) for _, m, recall in planned]
    numbers = _image_numbers([e for entries in matched for e in entries])
    return MemoryPlan(
        rows=np.array([row for row, _, _ in planned], np.int64),
        slots=_padded([[entry.slot for entry, _ in r.memories] for r in recalls]),
        ages=_padded(ages),
        pointer_slots=_padded([[entry.slot for entry in r.pointers] for r in recalls]),
        matched=np.array([[e.slot for e in entries] for entries in matched], np.int64),
        matched_frames=np.array(
            [[numbers[_image(e)] for e in entries] for entries in matched], np.int64
        ),
    )


def _image(entry: MemoryEntry) -> tuple[int, Window]:
    return entry.frame_index, entry.window


def _image_numbers(entries: Sequence[MemoryEntry]) -> dict[tuple[int, Window], int]:
    """Return a number for each image that a memory is of: its frame's, a negative of a window."""
    windows = {_image(e) for e in entries if e.window != WHOLE}
    numbers = {image: -1 - i for i, image in enumerate(sorted(windows, key=repr))}
    return numbers | {_image(e): e.frame_index for e in entries if e.window == WHOLE}


def _matched(prompted: MemoryEntry, recall: Recall) -> tuple[MemoryEntry, ...]:
    """Return the newest prompted entry, a landmark after it or itself again, and the newest one.

    Only a prompt is surely right, a landmark shows what the object has come to look like.
    """
    landmark = recall.landmark
    if landmark is None or landmark.frame_index < prompted.frame_index:
        landmark = prompted
    return prompted, landmark, _newest_good(recall)


def _newest_good(recall: Recall) -> MemoryEntry:
    """Return the newest entry whose mask may be carried on; prompted ones all may."""
    good = [entry for entry, _ in recall.memories if entry.is_good]
    return max(good, key=lambda e: e.frame_index)


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Return ragged rows as a (len(rows), longest) int64 array, padded at the end with -1."""
    padded = np.full((len(rows), max(map(len, rows))), -1, np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded
