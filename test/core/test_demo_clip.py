"""The demo clip and its ground truth belong together, and the embedded weights track it."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from tam_ros.engine.torch_engine import load_torch_engine
from tam_ros.evaluation.measures import region_similarity
from tam_ros.evaluation.truth_prompts import draw_prompt
from tam_ros.masks import label_image
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session
from tam_ros.weights import find_weights

CLIP = Path(__file__).resolve().parents[2] / 'demo' / 'clip'
LARGEST_BYTES = 3_000_000
EVERY = 6  # frames: the tracker then runs at 5 Hz
FRAME_NS = 33_333_333
# Measured with the embedded weights: mug 0.86, ball 0.78, can 0.82, block 0.82, bottle 0.91,
# other mug 0.88, oats box 0.77, and none of the masks more on another object than on their own.
LEAST_IOU = {'mug': 0.8, 'ball': 0.7, 'can': 0.76, 'block': 0.78, 'bottle': 0.87}
LEAST_IOU |= {'other mug': 0.83, 'oats box': 0.72}
MOST_STOLEN = 0.02


@pytest.fixture(scope='module')
def clip_masks():
    spec = importlib.util.spec_from_file_location('clip_masks', CLIP / 'clip_masks.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def masks(clip_masks):
    return clip_masks.load_masks(CLIP / 'clip_masks.zip')


def test_every_frame_has_a_mask_of_its_size(masks):
    video = cv2.VideoCapture(str(CLIP / 'clip.mp4'))
    shapes = []
    while (read := video.read())[0]:
        shapes.append(read[1].shape[:2])
    assert shapes == [masks.shape[1:]] * len(masks)


def test_every_id_has_a_name_and_is_seen_in_the_first_frame(clip_masks, masks):
    assert set(np.unique(masks)) == {0, *clip_masks.NAMES}
    assert set(np.unique(masks[0])) == {0, *clip_masks.NAMES}


def test_clip_stays_small():
    assert sum(path.stat().st_size for path in CLIP.glob('clip*.*')) < LARGEST_BYTES


def test_embedded_weights_track_the_clip(clip_masks, masks):
    """Every object keeps most of its pixels and its identity, through crossings and absences."""
    overlaps, stolen = {n: [] for n in clip_masks.NAMES}, []
    for truth, found in track_clip(masks):
        for n in clip_masks.NAMES:
            mask, own = found == n, truth == n
            if own.any():
                overlaps[n].append(region_similarity(mask, own))
            others = max(np.count_nonzero(mask & (truth == m)) for m in clip_masks.NAMES if m != n)
            stolen.append(others > np.count_nonzero(mask & own))
    for n, name in clip_masks.NAMES.items():
        assert np.mean(overlaps[n]) > LEAST_IOU[name], name
    assert np.mean(stolen) <= MOST_STOLEN


def test_boxes_give_whole_things(clip_masks, masks):
    """Measured: 0.92, and 0.88 with a single look."""
    image = cv2.VideoCapture(str(CLIP / 'clip.mp4')).read()[1]
    session = Session(load_torch_engine('tam_nano', find_weights('tam_nano', '')))
    session.step(np.ascontiguousarray(image[..., ::-1]), 0)
    overlaps = []
    for n in clip_masks.NAMES:
        truth = masks[0] == n
        session.reset()
        answer = session.add_prompt(draw_prompt(truth, 'box'))
        shown = label_image({1: answer.mask}, truth.shape[::-1]) == 1
        overlaps.append(region_similarity(shown, truth))
    assert np.mean(overlaps) > 0.9


def track_clip(masks):
    """Yield the truth and the tracker's label image of frames, prompted with the first truth."""
    session = Session(load_torch_engine('tam_nano', find_weights('tam_nano', '')))
    video = cv2.VideoCapture(str(CLIP / 'clip.mp4'))
    for t, truth in enumerate(masks):
        image = video.read()[1]
        if t % EVERY:
            continue
        session.step(np.ascontiguousarray(image[..., ::-1]), t * FRAME_NS)
        if t == 0:
            for n in range(1, truth.max() + 1):
                session.add_prompt(Prompt(mask=truth == n))
        yield truth, session.latest().label_image()
