"""What defines a network, apart from its weights; known without any backend."""

from dataclasses import dataclass, replace
from typing import Literal

from tam_ros.preprocess import Resampling

Pooling = Literal['', 'in_logits', 'in_keys']
Trunk = Literal['repvit', 'lite0']


@dataclass(frozen=True)
class NetworkConfig:
    """What the two families share."""

    image_size: int = 1024
    """Side in pixels of the square input.

    Not part of the weights: any multiple of `step` works with the same checkpoint.
    """
    model_dim: int = 256
    """Channels of the encoded image, of attention and of an object pointer."""
    memory_dim: int = 64
    """Channels of a token of a memory."""
    memory_layers: int = 2
    """Layers of memory attention."""
    attention_ffn_dim: int = 2048
    """Hidden channels of the feed-forward part of such a layer."""
    decoder_ffn_dim: int = 2048
    """Hidden channels of the feed-forward parts of the mask decoder."""
    decoder_heads: int = 8
    """Heads of the attentions of the mask decoder."""
    recent_memories: int = 6
    """How many memories of frames without a prompt are attended to, at most."""
    resampling: Resampling = 'bicubic'
    """How images came to its size when it was trained, so how they should now."""

    def __post_init__(self) -> None:
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
    def match_dim(self) -> int:
        """Channels of a key of dense propagation."""
        return 0

    @property
    def tokens(self) -> int:
        """All tokens of one memory."""
        return self.attended_tokens + self.dense_tokens

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The maps that an image is encoded to, in their order."""
        return ('top',)

    @property
    def attends_apart(self) -> bool:
        """Whether a single memory is attended to in another way than several."""
        return False

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

    The published model has neither `propagation` nor `prompt_maps`.
    """

    trunk: Trunk = 'repvit'
    """'repvit', of `widths` and `depths`, or 'lite0', which has one shape."""
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    """Channels of the stages, of strides 4 to 32."""
    depths: tuple[int, int, int, int] = (2, 2, 14, 2)
    """Blocks of the stages."""
    perceiver_depth: int = 2
    """Layers of the perceiver that compresses memories."""
    global_latents: int = 256
    """Tokens of a memory that see the whole map."""
    grid_latents: int = 256
    """Tokens of a memory that see a window each; a square number."""
    propagation: bool = False
    """Whether masks are carried by dense matching (see `model.propagation`)."""
    match_dim: int = 32
    """Channels of a key of `propagation`, its place included.

    Fast kernels want a multiple of 16.
    """
    prompt_maps: bool = False
    """Whether the decoder sees prompts as maps (see `model.prompt_maps` and `contrast`).

    Needs the keys of `propagation`.
    """

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

    @property
    def feature_names(self) -> tuple[str, ...]:
        """With the finer maps, and what dense propagation matches."""
        return ('top', 'stride8', 'stride4', *(('keys',) if self.propagation else ()))


@dataclass(frozen=True)
class EfficientTAMConfig(NetworkConfig):
    """Sizes of one EfficientTAM network (arXiv 2411.18933); the defaults are the published -Ti."""

    memory_layers: int = 4
    """Layers of memory attention."""
    trunk_width: int = 192
    """Channels of the plain ViT."""
    trunk_heads: int = 3
    """Heads of its attentions."""
    trunk_depth: int = 12
    """Its blocks."""
    window: int = 14
    """Side of its attention windows, in patches."""
    pooling: Pooling = ''
    """How memory attention averages tokens two by two (section 3.2 of the paper).

    'in_logits' is its equation 5, 'in_keys' its equation 6; '' attends to all of them.
    """

    @property
    def step(self) -> int:
        """Whole patches, and whole pairs of them for pooling."""
        return 32

    @property
    def attended_tokens(self) -> int:
        """Every stride-16 cell."""
        return self.feature_side**2

    @property
    def attends_apart(self) -> bool:
        """A single memory is not pooled."""
        return bool(self.pooling)


ModelConfig = EdgeTAMConfig | EfficientTAMConfig
TAM_NANO = EdgeTAMConfig(
    image_size=384,
    trunk='lite0',
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
MODELS: dict[str, ModelConfig] = {
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
