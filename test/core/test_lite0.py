"""The pretrained trunk's shape: padded as TensorFlow pads, and alike in every engine."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from tam_ros.engine.export import _prepared
from tam_ros.engine.stage_graphs import GraphMaker
from tam_ros.engine.torch_engine import build_network
from tam_ros.engine.tracing import compare_graph, write_graph
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.fuse import fuse
from tam_ros.model.lite0 import Lite0, SameConv
from tam_ros.model.packed import activated
from tam_ros.model.precision import narrow
from tam_ros.networks import MODELS
from tam_ros.weights import REPRODUCIBLE

CONFIG = replace(MODELS['tam_nano'], image_size=128)


def padded_as_tensorflow(conv: SameConv, x: torch.Tensor) -> torch.Tensor:
    """Follow the documentation of `tf.nn.convolution`: what is odd of the padding comes last."""
    kernel, stride, side = conv.kernel_size[0], conv.stride[0], x.shape[-1]
    padding = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    before, after = padding // 2, padding - padding // 2
    x = F.pad(x, (before, after, before, after))
    return F.conv2d(x, conv.weight, conv.bias, stride, groups=conv.groups)


@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('stride', [1, 2])
def test_padding_is_tensorflows(kernel, stride):
    if kernel == 1 and stride == 2:
        return  # there is none in this trunk
    torch.manual_seed(0)
    conv, x = SameConv(6, 6, kernel, stride, groups=6), torch.randn(2, 6, 12, 12)
    expected = padded_as_tensorflow(conv, x)
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(conv.fused()(x), expected)
    with torch.inference_mode():  # where other kernels serve
        for layer in (conv, conv.fused()):
            answer = activated(layer, 9 * x, 'relu6')
            torch.testing.assert_close(answer, padded_as_tensorflow(conv, 9 * x).clamp(0, 6))


def test_maps_have_the_strides_and_widths_of_the_pyramid():
    maps = Lite0()(torch.zeros(1, 3, 64, 96))
    shapes = [tuple(x.shape[1:]) for x in maps]
    assert shapes == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (192, 2, 3)]


def test_grey_127_is_what_it_takes_for_nothing():
    network = EdgeTAM(CONFIG)
    image = torch.tensor([-1.0, 127.0, 255.0]).repeat(3, 2, 1)[None]
    expected = torch.tensor([-1.0, 0.0, 1.0]).repeat(3, 2, 1)[None]
    torch.testing.assert_close(network._normalized(image), expected)


def fresh_network() -> EdgeTAM:
    """Return a network whose maps were standardised to something."""
    return build_network(CONFIG, REPRODUCIBLE).eval()


@pytest.fixture(scope='module')
def image() -> torch.Tensor:
    return 255 * torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_fusing_changes_nothing(image):
    network = fresh_network()
    expected = network.encode_image(image)
    for name, a, b in zip(expected._fields, fuse(network).encode_image(image), expected):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3, msg=name)


@torch.inference_mode()
def test_half_the_precision_tells_the_same(image):
    network = fuse(fresh_network())
    expected = network.image_encoder(network._normalized(image))
    narrow(network, torch.bfloat16)
    for a, b in zip(network.image_encoder(network._normalized(image)), expected):
        assert a.dtype == torch.bfloat16
        assert F.cosine_similarity(a.float().flatten(), b.flatten(), dim=0) > 0.99


def test_the_exported_graph_encodes_as_pytorch_does(tmp_path, image):
    graph = GraphMaker(_prepared(fresh_network())).graphs()[0]
    path = tmp_path / 'encode.onnx'
    write_graph(graph, path)
    assert compare_graph(graph, path, 'fp32').largest < 1e-2
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    (top, *_) = session.run(None, {'image': image[0].permute(1, 2, 0).numpy()})
    with torch.inference_mode():
        expected = fresh_network().encode_image(image).top
    np.testing.assert_allclose(top, expected, rtol=1e-3, atol=1e-3)
