"""Weights cut down: what is left out was hardly used."""

import dataclasses

import pytest
import torch

from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.propagation import PLACE
from training.settings import REPVIT
from training.slim import slim

WIDE = dataclasses.replace(
    REPVIT, image_size=128, match_dim=60, memory_layers=2, depths=(1, 1, 1, 1)
)
SLIM = dataclasses.replace(WIDE, match_dim=32, memory_layers=1)
USED = 12  # directions that the wide keys lie in


@pytest.fixture(scope='module')
def wide() -> dict[str, torch.Tensor]:
    """Weights whose keys lie in a few directions of all that there are."""
    torch.manual_seed(0)
    network = EdgeTAM(WIDE)
    few = torch.linalg.qr(torch.randn(WIDE.match_dim - PLACE, USED)).Q
    with torch.no_grad():
        for layer in (network.propagation.fine_key, network.propagation.coarse_key):
            layer.weight.copy_(torch.einsum('ij,j...->i...', few @ few.T, layer.weight))
            layer.bias.copy_(few @ few.T @ layer.bias)
    return network.state_dict()


@pytest.fixture(scope='module')
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, 128, 128), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def likeness(config, weights, image) -> torch.Tensor:
    """Return what each cell's key says of each other's."""
    network = EdgeTAM(config).eval()
    network.load_state_dict(weights)
    keys = network.encode_image(image[None].float()).keys[0, :, :-PLACE]
    return keys @ keys.T


def test_keys_in_few_directions_stay_as_alike_as_they_were(wide, images):
    slimmed, kept = slim(wide, images[:2], SLIM)
    assert kept == pytest.approx(1.0)
    other = images[2]  # from which no direction was taken
    torch.testing.assert_close(
        likeness(SLIM, slimmed, other), likeness(WIDE, wide, other), atol=1e-4, rtol=0
    )


def test_too_few_directions_are_told(wide, images):
    _, kept = slim(wide, images, dataclasses.replace(SLIM, match_dim=PLACE + USED // 2))
    assert 0.5 < kept < 0.999


def test_everything_else_is_kept(wide, images):
    slimmed, _ = slim(wide, images[:1], SLIM)
    gone = wide.keys() - slimmed.keys()
    assert gone == {key for key in wide if key.startswith('memory_attention.layers.1.')}
    assert gone
    changed = {key for key, value in slimmed.items() if not torch.equal(value, wide[key])}
    assert {key.rsplit('.', 1)[0] for key in changed} == {
        'propagation.fine_key',
        'propagation.coarse_key',
    }


def test_weights_of_that_shape_stay_as_they_are(wide, images):
    slimmed, _ = slim(wide, images[:1], SLIM)
    again, kept = slim(slimmed, images[:1], SLIM)
    assert kept == pytest.approx(1.0)
    torch.testing.assert_close(
        likeness(SLIM, again, images[2]), likeness(SLIM, slimmed, images[2]), atol=1e-4, rtol=0
    )
