"""What the newest frames occupy, and which of them a stamp is that of."""

from dataclasses import replace

import numpy as np
import pytest

from tam_ros.prompts import PromptError
from tam_ros.tracker.history import History
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.track import Frame

FEATURES_BYTES = 1000
KEPT = SessionOptions()


def frame(index: int, image_stamp_ns: int = 0, *, is_standing: bool = False) -> Frame:
    return Frame(
        index, index, image_stamp_ns, (320, 240), None, FEATURES_BYTES, is_standing=is_standing
    )


def seen_as(side: int) -> Observation:
    return Observation(0, 0, np.zeros((side, side), np.float32), 5.0, 0.9)


def counted(frames) -> int:
    """Return what frames occupy, counted from their parts."""
    logits = [seen.logits for each in frames for seen in each.observations.values()]
    return FEATURES_BYTES * len(frames) + sum(each.nbytes for each in logits)


def test_bytes_are_those_of_all_frames_kept_after_every_kind_of_change():
    history, frames = History(), [frame(i) for i in range(5)]

    def check(kept):
        assert len(history) == len(kept)
        assert history.nbytes == counted(kept) == sum(each.nbytes for each in kept)

    check([])
    frames[0].note(1, seen_as(4))  # before it is kept
    for i, each in enumerate(frames):
        history.add(each)
        check(frames[: i + 1])
    for side in (8, 8, 16, 2):  # again, in other sizes too
        frames[3].note(1, seen_as(side))
        frames[4].note(2, seen_as(side))
        check(frames)
    history.trim(replace(KEPT, history_frames=3))
    check(frames[2:])
    frames[0].note(1, seen_as(32))  # it is forgotten already
    check(frames[2:])
    history.trim(replace(KEPT, history_mb=0.0))
    check(frames[4:])
    history.clear()
    check([])
    frames[4].note(1, seen_as(32))
    check([])
    history.add(frame(9))
    check([frame(9)])


def test_no_frame_and_no_stamp_is_ahead_before_the_first():
    history = History()
    assert history.is_ahead(5)
    assert history.ahead_s(5) == 0.0
    with pytest.raises(PromptError, match='no frame has arrived yet: is the camera publishing'):
        history.at(None)


def test_the_stamp_at_which_stamps_stand_still_is_that_of_the_newest_frame():
    history = History()
    for i in range(3):
        history.add(frame(i, image_stamp_ns=0))
    assert history.at(0).index == 0
    history.add(frame(3, image_stamp_ns=0, is_standing=True))
    assert history.at(0).index == history.at(None).index == 3
