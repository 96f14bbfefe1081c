"""What is shown of objects in a frame: their results, and that each has a pixel of its own."""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np

from tam_ros.masks import MaskCrop
from tam_ros.prompts import PromptError
from tam_ros.tracker.continuity import Remark
from tam_ros.tracker.objects import LARGEST_ID
from tam_ros.tracker.observation import Observation
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.results import FrameMasks, FrameResult, ObjectResult, ObjectState
from tam_ros.tracker.track import Frame, PromptAnswer, Track


class NewestView:
    """The newest frame as it is shown: the masks of objects that have been looked for in it."""

    def __init__(self, frame: Frame, tracks: Sequence[Track], options: SessionOptions):
        """tracks: in order of ids, as results are."""
        self._frame = frame
        self._tracks = tracks
        self._options = options
        visible = {t.object_id: t.observation for t in tracks if t.observation.visible}
        self._masks = _masks_in(frame, visible, options)

    def follow_motions(self) -> None:
        """Have the motions of objects follow their masks, if the session forecasts."""
        if self._options.forecast == 'none':
            return
        for track in self._tracks:
            track.follow_motion(self._masks.crops.get(track.object_id), self._frame.stamp_ns)

    def note_shown(self) -> None:
        """Note which objects have a pixel of their own."""
        for track in self._tracks:
            if track.object_id in self._shown:
                track.shown_ns = self._frame.stamp_ns

    def result(self, *, reset_reason: str = '', remark: Remark | None = None) -> FrameResult:
        """Return all objects in the frame; the arguments are what else it says."""
        frame, objects = self._frame, tuple(self.result_of(track) for track in self._tracks)
        return FrameResult(frame.stamp_ns, frame.size_wh, objects, reset_reason, remark=remark)

    def result_of(self, track: Track) -> ObjectResult:
        """Return one of the objects in the frame."""
        is_shown = track.object_id in self._shown
        return ObjectResult(
            track.object_id,
            track.label,
            _state(self._frame, track, self._options, is_shown=is_shown),
            track.observation,
            is_shown,
            self._masks,
            track.motion_at(self._frame.stamp_ns),
            stamp_ns=self._frame.image_stamp_ns,
        )

    @cached_property
    def _shown(self) -> frozenset[int]:
        """The objects with a pixel of their own; most are told without their masks."""
        ids = (track.object_id for track in self._tracks)
        return frozenset(i for i in ids if self._masks.has_pixel(i))


def show_prompted(
    frame: Frame, track: Track, known: Collection[int], options: SessionOptions
) -> ObjectResult:
    """Return the answer to an object's prompt on an earlier frame, among those known there."""
    masks = _masks_in(frame, _seen_in(frame, known), options)
    return ObjectResult(
        track.object_id,
        track.label,
        ObjectState.TENTATIVE if track.tentative else ObjectState.TRACKED,
        track.answer.observation,
        True,
        masks,
        stamp_ns=frame.image_stamp_ns,
    )


def _state(frame: Frame, track: Track, options: SessionOptions, *, is_shown: bool) -> ObjectState:
    if track.tentative:
        return ObjectState.TENTATIVE
    if is_shown:
        return ObjectState.TRACKED
    unseen_s = (frame.stamp_ns - track.shown_ns) * 1e-9
    return ObjectState.LOST if unseen_s > options.lost_after_s else ObjectState.OCCLUDED


def _masks_in(
    frame: Frame, visible: Mapping[int, Observation], options: SessionOptions
) -> FrameMasks:
    """Return the masks of what was seen in a frame, by object id."""
    return FrameMasks(visible, frame.size_wh, exclusive=options.exclusive_masks)


def _seen_in(frame: Frame, known: Collection[int]) -> dict[int, Observation]:
    """Return what was seen of the known objects that were visible in a frame."""
    return {i: seen for i, seen in frame.observations.items() if seen.visible and i in known}


def check_pixels(
    frame: Frame,
    answer: PromptAnswer,
    others: Collection[int],
    options: SessionOptions,
    *,
    object_id: int = 0,
) -> None:
    """Raise PromptError for an answer that has no pixel in its frame among other objects there.

    object_id: of the object that was prompted; 0 for a new one, whose id will be the largest.
    """
    own_id = object_id or LARGEST_ID + 1
    visible = _seen_in(frame, [i for i in others if i != own_id]) | {own_id: answer.observation}
    masks = _masks_in(frame, visible, options)
    if masks.has_pixel(own_id):
        return
    upsampled = answer.observation.upsampled(frame.size_wh)
    pixels = upsampled and upsampled.tight()
    raise PromptError(_taken(pixels, masks) if pixels else _too_small(frame, answer))


def _taken(pixels: MaskCrop, masks: FrameMasks) -> str:
    shared = {i: _shared(pixels, crop) for i, crop in masks.crops.items() if crop is not None}
    holders = sorted((i for i, count in shared.items() if count), key=lambda i: -shared[i])
    named = ', '.join(map(str, holders))
    return (
        f'all {int(pixels.mask.sum())} pixels of the answer belong to object {named}: refine '
        f'that with object_id {holders[0]}, remove it, or set exclusive_masks to false'
    )


def _shared(a: MaskCrop, b: MaskCrop) -> int:
    """Return how many pixels two masks have in common."""
    x0, y0 = np.maximum(a.box_xyxy[:2], b.box_xyxy[:2])
    x1, y1 = np.minimum(a.box_xyxy[2:], b.box_xyxy[2:])
    if x0 >= x1 or y0 >= y1:
        return 0
    parts = (c.mask[y0 - c.box_xyxy[1] : y1 - c.box_xyxy[1]] for c in (a, b))
    first, second = (
        part[:, x0 - c.box_xyxy[0] : x1 - c.box_xyxy[0]] for part, c in zip(parts, (a, b))
    )
    return int((first & second).sum())


def _too_small(frame: Frame, answer: PromptAnswer) -> str:
    (width, height), side = frame.size_wh, answer.observation.logits.shape[0]
    least = 'x'.join(str(math.ceil(2 * length / side)) for length in (width, height))
    return (
        f'the answer has no pixel left in the image of {width}x{height}: masks are computed as '
        f'{side}x{side} cells, so give an object of about {least} pixels or larger, or set a '
        'larger image_size'
    )
