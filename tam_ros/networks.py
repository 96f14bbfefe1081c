"""What defines a network, apart from its weights; known without any backend."""

from dataclasses import dataclass, replace
from typing import Literal

from tam_ros.preprocess import Resampling

Pooling = Literal['', 'in_logits', 'in_keys']
Trunk = Literal['repvit', 'lite0']


@dataclass(frozen=True)
class NetworkConfig:
    """What the two families share; image_size is the side in pixels of the square input.

    It is not part of the weights: any multiple of `step` works with the same checkpoint.
    resampling: how images came to its size when it was trained, so how they should now.
    """

    image_size: int = 1024
    model_dim: int = 256
    memory_dim: int = 64
    memory_layers: int = 2
    attention_ffn_dim: int = 2048
    decoder_ffn_dim: int = 2048
    decoder_heads: int = 8
    recent_memories: int = 6
    resampling: Resampling = 'bicubic'

    def __post_init__(self):
        if self.image_size <= 0 or self.image_size % self.step:
            raise ValueError(
                f'image_size {self.image_size} does not fit this network: use a multiple of '
                f'{self.step}, such as {4 * self.step} or {2 * self.step}'
            )

    @property
    def step(self) -> int:
        """What the image size is a multiple of."""
        raise NotImplementedError

    @property
    def attended_tokens(self) -> int:
        """Tokens of one memory that memory attention reads."""
        raise NotImplementedError

    @property
    def dense_tokens(self) -> int:
        """Tokens that follow them, for dense propagation."""
        return 0

    @property
    def tokens(self) -> int:
        """All tokens of one memory."""
        return self.attended_tokens + self.dense_tokens

    @property
    def feature_side(self) -> int:
        """Side of the stride-16 feature map."""
        return self.image_size // 16

    @property
    def mask_side(self) -> int:
        """Side of the low-resolution mask logits (stride 4)."""
        return self.image_size // 4

    @property
    def pointer_tokens(self) -> int:
        """Tokens that one object pointer is cut into."""
        return self.model_dim // self.memory_dim


@dataclass(frozen=True)
class EdgeTAMConfig(NetworkConfig):
    """Sizes of one EdgeTAM network; the defaults are the published model (arXiv 2501.07256).

    propagation and prompt_maps add cues that the published model has not; see the modules of
    these names, and `contrast`, which belongs to prompt_maps and needs the keys of propagation.
    match_dim: channels of such a key, its place included; fast kernels want a multiple of 16.
    trunk: 'repvit', of widths and depths, or 'lite0', which has one shape.
    """

    trunk: Trunk = 'repvit'
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    depths: tuple[int, int, int, int] = (2, 2, 14, 2)
    perceiver_depth: int = 2
    global_latents: int = 256
    grid_latents: int = 256
    propagation: bool = False
    match_dim: int = 32
    prompt_maps: bool = False

    @property
    def step(self) -> int:
        """Every grid latent sees a window of whole stride-16 cells, and stride 32 is whole."""
        return 16 * max(self.grid_side, 2)

    @property
    def grid_side(self) -> int:
        """Side of the square of grid latents."""
        return round(self.grid_latents**0.5)

    @property
    def attended_tokens(self) -> int:
        """The perceiver's latents."""
        return self.global_latents + self.grid_latents

    @property
    def dense_tokens(self) -> int:
        """One per stride-8 cell."""
        return (2 * self.feature_side) ** 2 if self.propagation else 0


@dataclass(frozen=True)
class EfficientTAMConfig(NetworkConfig):
    """Sizes of one EfficientTAM network (arXiv 2411.18933); the defaults are the published -Ti.

    trunk_width and trunk_heads: of the plain ViT. window: side of its attention windows, in
    patches. pooling: how memory attention averages tokens two by two (section 3.2 of the paper):
    'in_logits' is its equation 5, 'in_keys' its equation 6, '' attends to all of them.
    """

    memory_layers: int = 4
    trunk_width: int = 192
    trunk_heads: int = 3
    trunk_depth: int = 12
    window: int = 14
    pooling: Pooling = ''

    @property
    def step(self) -> int:
        """Whole patches, and whole pairs of them for pooling."""
        return 32

    @property
    def attended_tokens(self) -> int:
        """Every stride-16 cell."""
        return self.feature_side**2


TAM_NANO = EdgeTAMConfig(
    image_size=384,
    widths=(32, 64, 128, 256),
    depths=(1, 2, 6, 1),
    resampling='area',
    model_dim=128,
    memory_layers=1,
    attention_ffn_dim=512,
    decoder_ffn_dim=512,
    global_latents=64,
    grid_latents=64,
    propagation=True,
    prompt_maps=True,
)
SMALL = EfficientTAMConfig(trunk_width=384, trunk_heads=6)
TINY = EfficientTAMConfig()
MODELS: dict[str, NetworkConfig] = {
    'edgetam': EdgeTAMConfig(),
    'tam_nano': TAM_NANO,
    'efficienttam_s': SMALL,
    'efficienttam_s_1': replace(SMALL, pooling='in_logits'),
    'efficienttam_s_2': replace(SMALL, pooling='in_keys'),
    'efficienttam_s_512x512': replace(SMALL, image_size=512),
    'efficienttam_ti': TINY,
    'efficienttam_ti_1': replace(TINY, pooling='in_logits'),
    'efficienttam_ti_2': replace(TINY, pooling='in_keys'),
    'efficienttam_ti_512x512': replace(TINY, image_size=512),
}
