"""What defines an EdgeTAM network, apart from its weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EdgeTAMConfig:
    """Sizes of one EdgeTAM network; the defaults are the published model (arXiv 2501.07256).

    image_size is the side in pixels of the square network input. It is not part of the weights:
    any multiple of 16 * grid_side works with the same checkpoint. propagation and
    prompt_maps add cues that the published model has not; see the modules of these names.
    """

    image_size: int = 1024
    widths: tuple[int, int, int, int] = (48, 96, 192, 384)
    depths: tuple[int, int, int, int] = (2, 2, 14, 2)
    model_dim: int = 256
    memory_dim: int = 64
    memory_layers: int = 2
    attention_ffn_dim: int = 2048
    decoder_ffn_dim: int = 2048
    decoder_heads: int = 8
    perceiver_depth: int = 2
    global_latents: int = 256
    grid_latents: int = 256
    recent_memories: int = 6
    propagation: bool = False
    prompt_maps: bool = False

    def __post_init__(self):
        step = 16 * self.grid_side
        if self.image_size <= 0 or self.image_size % step:
            raise ValueError(
                f'image_size {self.image_size} does not fit this network: use a multiple of '
                f'{step}, such as {4 * step} or {2 * step}'
            )

    @property
    def grid_side(self) -> int:
        """Side of the square of grid latents."""
        return round(self.grid_latents**0.5)

    @property
    def latents(self) -> int:
        """Perceiver latents of one memory."""
        return self.global_latents + self.grid_latents

    @property
    def tokens(self) -> int:
        """All tokens of one memory: latents, and one per stride-8 cell with propagation."""
        return self.latents + self.propagation * (2 * self.feature_side) ** 2

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


TAM_NANO = EdgeTAMConfig(
    image_size=384,
    widths=(32, 64, 128, 256),
    depths=(1, 2, 6, 1),
    model_dim=128,
    attention_ffn_dim=512,
    decoder_ffn_dim=512,
    global_latents=64,
    grid_latents=64,
    propagation=True,
    prompt_maps=True,
)
MODELS = {'edgetam': EdgeTAMConfig(), 'tam_nano': TAM_NANO}
