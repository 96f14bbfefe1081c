"""Prompt contrast: what stands out from what a prompt leaves out."""

import dataclasses

import pytest
import torch

from tam_ros.model.contrast import MOST_EVIDENCE, PromptContrast, Seeds
from tam_ros.model.propagation import DensePropagation
from tam_ros.networks import MODELS

CONFIG = dataclasses.replace(MODELS['tam_nano'], image_size=256)
SIDE = 32  # stride-8 cells


@pytest.fixture(scope='module')
def contrast() -> PromptContrast:
    torch.manual_seed(0)
    return PromptContrast(CONFIG).eval()


def grid(*areas: tuple[slice, slice]) -> torch.Tensor:
    """Return (1, cells) that are 1 in some columns and rows."""
    cells = torch.zeros(1, SIDE, SIDE)
    for x, y in areas:
        cells[:, y, x] = 1
    return cells.flatten(1)


def keys_of(look: torch.Tensor) -> torch.Tensor:
    """Return keys of cells that look in one way where (1, cells) look is 1, else in another."""
    propagation = DensePropagation(CONFIG)
    features = torch.zeros(1, SIDE * SIDE, propagation.key_dim)
    features[..., 0], features[..., 1] = look, 1 - look
    return torch.cat([features, propagation.places], dim=-1)


THING = slice(10, 16), slice(8, 20)
BOX = slice(8, 18), slice(6, 22)


def box_seeds() -> Seeds:
    box = grid(BOX)
    return Seeds(box, box, 1 - box, torch.tensor([True]))


@torch.no_grad()
def test_what_differs_from_outside_of_a_box_stands_out(contrast):
    evidence = contrast.evidence(keys_of(grid(THING)), box_seeds())
    assert evidence.shape == (1, 1, 2 * SIDE, 2 * SIDE)
    cells = torch.nn.functional.avg_pool2d(evidence, 2).flatten(1)
    thing, beside = grid(THING) > 0, (grid(BOX) - grid(THING)) > 0
    assert cells[thing].min() > cells[beside].max() + 3


@torch.no_grad()
def test_what_looks_like_all_the_rest_has_little_evidence(contrast):
    flat = keys_of(torch.zeros(1, SIDE * SIDE))
    evidence = contrast.evidence(flat, box_seeds())
    differing = contrast.evidence(keys_of(grid(THING)), box_seeds())
    assert evidence.max() < differing.max() - 3


@torch.no_grad()
@pytest.mark.parametrize('area', [(), ((slice(0, SIDE), slice(0, SIDE)),)])
def test_prompts_of_nothing_and_of_all_leave_finite_evidence(contrast, area):
    inside = grid(*area)
    seeds = Seeds(inside, inside, 1 - inside, torch.tensor([True]))
    evidence = contrast.evidence(keys_of(grid(THING)), seeds)
    assert evidence.isfinite().all()
    assert evidence.abs().max() <= MOST_EVIDENCE


@torch.no_grad()
def test_objects_of_a_batch_do_not_mix(contrast):
    keys = keys_of(grid(THING))
    click = Seeds(grid(BOX), grid(THING), 1 - grid(BOX), torch.tensor([False]))
    both = Seeds(*(torch.cat(pair) for pair in zip(box_seeds(), click)))
    stride4 = torch.randn(1, CONFIG.model_dim // 8, 2 * SIDE, 2 * SIDE)
    together = contrast.evidence(keys, both)
    for i, seeds in enumerate((box_seeds(), click)):
        alone = contrast.evidence(keys, seeds)
        torch.testing.assert_close(together[i : i + 1], alone)
        torch.testing.assert_close(
            contrast.prior(together, both, stride4)[i : i + 1],
            contrast.prior(alone, seeds, stride4),
        )
