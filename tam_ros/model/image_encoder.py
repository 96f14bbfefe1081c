"""Image encoder: a trunk and a feature pyramid of 1x1 convolutions (paper section 3.1)."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from tam_ros.model.lite0 import Lite0
from tam_ros.model.repvit import RepViT
from tam_ros.networks import EdgeTAMConfig


class Lateral(nn.Module):
    """A 1x1 convolution of the pyramid (a module of its own because checkpoints name it so)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class FeaturePyramid(nn.Module):
    """Bring all strides to one width; only stride 16 gets a top-down addition."""

    def __init__(self, widths: tuple[int, ...], dim: int):
        super().__init__()
        self.convs = nn.ModuleList(Lateral(width, dim) for width in reversed(widths))

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return (stride 4, stride 8, stride 16) maps from the four stage outputs."""
        c2, c3, c4, c5 = stages
        coarse, middle, fine, finest = self.convs
        top_down = F.interpolate(coarse(c5).float(), scale_factor=2.0, mode='nearest')
        return finest(c2), fine(c3), middle(c4) + top_down.to(c4.dtype)


class Trunk(nn.Module):
    """Holds the trunk under the name that checkpoints use."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__()
        bodies: dict[str, Callable[[], RepViT | Lite0]] = {
            'repvit': lambda: RepViT(config.widths, config.depths),
            'lite0': Lite0,
        }
        self.body = bodies[config.trunk]()

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.body(image)


class ImageEncoder(nn.Module):
    """Normalised image (N, 3, S, S) to maps at strides 4, 8 and 16."""

    def __init__(self, config: EdgeTAMConfig):
        super().__init__()
        self.trunk = Trunk(config)
        self.neck = FeaturePyramid(self.trunk.body.widths, config.model_dim)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.neck(self.trunk(image))
