"""Dense propagation: what it carries where, and that it keeps the engine's contract."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from tam_ros.engine.base import MemoryPlan
from tam_ros.engine.grouping import HINT_OF, StoredGroups, group_matches
from tam_ros.engine.torch_engine import TorchEngine, build_network
from tam_ros.model.network import PlanTensors
from tam_ros.model.propagation import (
    HINTS,
    MATCHED,
    SUBPIXELS,
    DenseMemories,
    DensePropagation,
    GroupTensors,
)
from tam_ros.networks import MODELS
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
    """Return the hints of (HINTS, cells, memory_dim) tokens as (HINTS, 64, 64) probabilities."""
    hints = torch.arange(HINTS)
    dense = DenseMemories(
        tokens[..., : CONFIG.match_dim], tokens[:, None, :, -SUBPIXELS:], hints, hints[None]
    )
    return propagation.unpack(propagation.match(keys, dense))[0]


def sharp_matcher(propagation) -> DensePropagation:
    """Return a copy in which likeness decides alone."""
    sharp = DensePropagation(CONFIG).eval()
    sharp.load_state_dict(propagation.state_dict())
    sharp.log_sharpness.fill_(math.log(100.0))
    sharp.log_nearness.fill_(math.log(1e-4))
    return sharp


@torch.no_grad()
def test_a_mask_stays_where_the_frame_is_the_same(propagation, keys):
    sharp = sharp_matcher(propagation)
    first, newest = square_logits(8, 8), square_logits(32, 24)
    tokens = torch.cat([sharp.make_tokens(keys, logits) for logits in (first, newest)])
    for hint, logits in zip(carried(sharp, keys, tokens), (first, newest)):
        assert torch.equal(hint > 0.5, logits[0, 0] > 0)


@torch.no_grad()
def test_a_mask_follows_its_features(propagation, keys):
    """The frame shifted by 8 cells carries the mask with it, where distance counts little."""
    loose = sharp_matcher(propagation)
    cells = 2 * CONFIG.feature_side
    moved = keys.clone()
    feature = keys[..., : loose.key_dim].unflatten(1, (cells, cells)).roll(8, 2)
    moved[..., : loose.key_dim] = feature.flatten(1, 2)
    tokens = loose.make_tokens(keys, square_logits(8, 8)).expand(HINTS, -1, -1)
    for hint in carried(loose, moved, tokens):
        assert torch.equal(hint > 0.5, square_logits(8 + 16, 8)[0, 0] > 0)


@torch.no_grad()
def test_affinity_is_likeness_minus_squared_distance(propagation, keys):
    other = keys.flip(1)
    feature, place = keys[..., : propagation.key_dim], keys[..., propagation.key_dim :][..., :2]
    values = torch.rand(1, keys.shape[1], 3 * SUBPIXELS)
    for hint in range(HINTS):
        # The stored place is that of the remembered cell, which flipping the keys moved along.
        distance = torch.cdist(place, place.flip(1)) ** 2
        likeness = feature @ feature.flip(1).transpose(1, 2)
        affinity = propagation.log_sharpness[hint].exp() * likeness
        affinity = affinity - propagation.log_nearness[hint].exp() * distance
        actual = propagation._carry(keys, other, values, torch.tensor([hint]))
        torch.testing.assert_close(actual, affinity.softmax(-1) @ values, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize('objects', [2, 9])  # 9: more than fit into one attention
def test_objects_of_a_group_are_carried_as_if_alone(propagation, keys, objects):
    masks = torch.rand(HINTS, objects, keys.shape[1], SUBPIXELS)
    remembered = keys.roll(5, 1).expand(HINTS, -1, -1)
    hints = torch.arange(HINTS)
    places = torch.stack([torch.arange(objects), objects + torch.arange(objects)], 1)
    together = propagation.match(keys, DenseMemories(remembered, masks, hints, places))
    for i in range(objects):
        alone = DenseMemories(remembered, masks[:, i : i + 1], hints, hints[None])
        torch.testing.assert_close(together[i : i + 1], propagation.match(keys, alone))


def test_objects_are_grouped_by_frame_and_hint():
    frames = np.array([[0, 0, 5], [3, 2, 5], [0, 3, 0]])
    groups = group_matches(frames)
    found = {
        (int(hint), *sorted({*map(int, members)}))
        for hint, members in zip(groups.hints, groups.members)
    }
    assert found == {(0, 0, 2), (0, 1, 2), (0, 1), (1, 0, 1), (1, 2)}
    members = groups.members.reshape(-1)
    hints = np.repeat(groups.hints, groups.members.shape[1])
    columns = groups.columns.reshape(-1)
    for row, places in enumerate(groups.places):
        assert [members[place] for place in places] == [row] * 3
        assert [hints[place] for place in places] == list(HINT_OF)
        assert [frames[row, columns[place]] for place in places] == frames[row].tolist()


def test_what_long_ago_carries_is_the_mean_of_two_frames(propagation, keys):
    masks = torch.rand(MATCHED, 1, keys.shape[1], SUBPIXELS)
    remembered = torch.cat([keys.roll(shift, 1) for shift in (5, 9, 1)])
    hints = torch.tensor(HINT_OF)
    both = DenseMemories(remembered, masks, hints, torch.tensor([[0, 1, 2]]))
    first, second = (both._replace(places=torch.tensor([[i, i, 2]])) for i in (0, 1))
    mean = (propagation.match(keys, first) + propagation.match(keys, second)) / 2
    torch.testing.assert_close(propagation.match(keys, both), mean)
    alone = both._replace(places=torch.tensor([[0, 2]]))
    torch.testing.assert_close(propagation.match(keys, first), propagation.match(keys, alone))


def test_engines_and_graphs_name_what_they_gather_alike():
    assert PlanTensors._fields == tuple(f.name for f in dataclasses.fields(MemoryPlan))[:4]
    assert GroupTensors._fields == tuple(f.name for f in dataclasses.fields(StoredGroups))


@torch.no_grad()
def test_a_graph_gathers_the_same_as_pytorch(propagation):
    store = torch.rand(3, 4, 8, CONFIG.memory_dim)
    leaders, members = torch.tensor([0, 2]), torch.tensor([[0, 1], [2, 2]])
    groups = GroupTensors(leaders, leaders, leaders // 2, members, members + 1, members)
    eager = propagation.gather(store, groups)
    graph = sharp_matcher(propagation)
    graph.for_graph = True
    for a, b in zip(eager, graph.gather(store, groups)):
        assert torch.equal(a, b)
    assert torch.equal(eager.keys[1], store[2, 2, :, : CONFIG.match_dim])
    assert torch.equal(eager.masks[0, 1], store[1, 2, :, -SUBPIXELS:])


# -- with the embedded weights ----------------------------------------------------------------


def make_engine(config=CONFIG, **options) -> TorchEngine:
    network = build_network(config, find_weights('tam_nano', ''))
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


def test_fusing_changes_no_answer(frames):
    plain, fused = (track(make_engine(fused=f), frames[:4], BOXES[:1]) for f in (False, True))
    for key, logits in plain.items():
        np.testing.assert_allclose(fused[key], logits, atol=10 * TOLERANCE)


def test_a_moving_square_is_followed(frames):
    session = Session(make_engine(MODELS['tam_nano']))
    for t, image in enumerate(frames):
        session.step(image, t)
        if t == 0:
            session.add_prompt(Prompt(box_xyxy=BOXES[0]))
    truth = np.zeros(frames[-1].shape[:2], bool)
    truth[80:140, 60 + 8 * 9 : 120 + 8 * 9] = True
    found = session.latest().label_image() > 0
    assert (found & truth).sum() / (found | truth).sum() > 0.8
