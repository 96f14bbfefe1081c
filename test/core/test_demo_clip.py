"""The demo clip and its ground truth belong together."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

CLIP = Path(__file__).resolve().parents[2] / 'demo' / 'clip'
LARGEST_BYTES = 3_000_000


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
