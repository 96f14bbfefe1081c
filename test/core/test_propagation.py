"""Dense propagation: what it carries where, and that it keeps the engine's contract."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tam_ros.engine.torch_engine import TorchEngine, build_network
from tam_ros.model.config import MODELS
from tam_ros.model.propagation import DensePropagation
from tam_ros.prompts import Prompt
from tam_ros.tracker.session import Session
from tam_ros.weights import find_weights

CONFIG = dataclasses.replace(MODELS['tam_nano'], image_size=256)
TOLERANCE = 1e-4
BOXES = [(60, 80, 120, 140), (200, 40, 260, 120), (20, 20, 60, 200)]


@pytest.fixture(scope='module')
def propagation() -> DensePropagation:
    torch.manual_seed(0)
    return DensePropagation(CONFIG).eval()


@pytest.fixture(scope='module')
def keys(propagation) -> torch.Tensor:
    """Keys of random features, which no two cells share."""
    side, dim = CONFIG.feature_side, CONFIG.model_dim
    with torch.no_grad():
        return propagation.make_keys(
            torch.randn(1, dim // 4, 2 * side, 2 * side), torch.randn(1, dim, side, side)
        )


def square_logits(x: int, y: int) -> torch.Tensor:
    logits = torch.full((1, 1, CONFIG.mask_side, CONFIG.mask_side), -10.0)
    logits[..., y : y + 16, x : x + 16] = 10
    return logits


def carried(propagation, keys, tokens) -> torch.Tensor:
    """Return the two hints as (2, 64, 64) probabilities."""
    hints = propagation.match(keys, tokens)
    return F.pixel_shuffle(F.pixel_shuffle(hints, 2), 2)[0]


@torch.no_grad()
def test_a_mask_stays_where_the_frame_is_the_same(propagation, keys):
    sharp = DensePropagation(CONFIG).eval()
    sharp.load_state_dict(propagation.state_dict())
    sharp.sharpness.fill_(100.0)
    first, newest = square_logits(8, 8), square_logits(32, 24)
    tokens = torch.stack([sharp.make_tokens(keys, logits) for logits in (first, newest)], 1)
    for hint, logits in zip(carried(sharp, keys, tokens), (first, newest)):
        assert torch.equal(hint > 0.5, logits[0, 0] > 0)


@torch.no_grad()
def test_a_mask_follows_its_features(propagation, keys):
    """The frame shifted by 8 cells carries the mask with it, where distance counts little."""
    loose = DensePropagation(CONFIG).eval()
    loose.load_state_dict(propagation.state_dict())
    loose.sharpness.fill_(100.0)
    loose.nearness.fill_(-10.0)
    cells = 2 * CONFIG.feature_side
    moved = keys.clone()
    feature = keys[..., : loose.key_dim].unflatten(1, (cells, cells)).roll(8, 2)
    moved[..., : loose.key_dim] = feature.flatten(1, 2)
    tokens = loose.make_tokens(keys, square_logits(8, 8))[:, None].expand(-1, 2, -1, -1)
    for hint in carried(loose, moved, tokens):
        assert torch.equal(hint > 0.5, square_logits(8 + 16, 8)[0, 0] > 0)


@torch.no_grad()
def test_affinity_is_likeness_minus_squared_distance(propagation, keys):
    tokens = propagation.make_tokens(keys.flip(1), square_logits(20, 30))
    feature, place = keys[..., : propagation.key_dim], keys[..., propagation.key_dim :][..., :2]
    other, there = tokens[..., : propagation.key_dim], place.flip(1)
    for hint in range(2):
        distance = torch.cdist(place, there) ** 2
        affinity = propagation.sharpness[hint] * feature @ other.transpose(1, 2)
        affinity = affinity - F.softplus(propagation.nearness[hint]) * distance
        # The stored place is that of the remembered cell, which flipping the keys moved along.
        expected = affinity.softmax(-1) @ tokens[..., -4:]
        torch.testing.assert_close(
            propagation._carry(keys, tokens, hint), expected, atol=1e-5, rtol=1e-4
        )


# -- with the embedded weights ----------------------------------------------------------------


def make_engine(**options) -> TorchEngine:
    network = build_network(CONFIG, find_weights('tam_nano', ''))
    return TorchEngine(network, model='tam_nano', **options)


def track(engine, frames, boxes) -> dict[tuple[int, int], np.ndarray]:
    """Track masks that fill boxes; return logits by object and frame."""
    session, logits = Session(engine), {}
    for t, image in enumerate(frames):
        session.step(image, t)
        for x0, y0, x1, y1 in boxes if t == 0 else ():
            mask = np.zeros(image.shape[:2], bool)
            mask[y0:y1, x0:x1] = True
            session.add_prompt(Prompt(mask=mask))
        for result in session.objects:
            logits[result.object_id, t] = result.logits
    return logits


def test_a_batch_of_objects_equals_single_runs(frames):
    engine = make_engine()
    batch = track(engine, frames, BOXES)
    for i, box in enumerate(BOXES):
        single = track(engine, frames, [box])
        for t in range(len(frames)):
            np.testing.assert_allclose(batch[i + 1, t], single[1, t], atol=10 * TOLERANCE)


def test_folding_changes_no_answer(frames):
    plain, folded = (track(make_engine(fold=f), frames[:4], BOXES[:1]) for f in (False, True))
    for key, logits in plain.items():
        np.testing.assert_allclose(folded[key], logits, atol=10 * TOLERANCE)


def test_a_moving_square_is_followed(frames):
    session = Session(make_engine())
    for t, image in enumerate(frames):
        session.step(image, t)
        if t == 0:
            session.add_prompt(Prompt(box_xyxy=BOXES[0]))
    truth = np.zeros(frames[-1].shape[:2], bool)
    truth[80:140, 60 + 8 * 9 : 120 + 8 * 9] = True
    found = session.latest().label_image() > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.8
