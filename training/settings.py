"""What a training run does: its phases, and everything that can be chosen, in dataclasses."""

from dataclasses import dataclass, field, replace

from tam_ros.networks import TAM_NANO, EdgeTAMConfig
from training.prompting import PromptKind


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one shape of clips."""

    name: str
    """For the log."""
    steps: int
    """Of the optimiser."""
    side: int
    """Of the images, in pixels."""
    frames: int
    """Per clip; 1 trains images."""
    clips: int
    """Per step and process."""
    learning_rate: tuple[float, float]
    """At the start and the end, cosine between."""
    true_memory: tuple[float, float] = (0.0, 0.0)
    """Chance of remembering the true mask of a tracked frame, at the start and the end."""
    freeze_encoder: bool = False
    """Whether the image encoder rests, as in the paper's last stage."""
    rendered: float = 0.4
    """Share of rendered clips; what is neither these nor filmed is composed."""
    filmed: float = 0.0
    """Share of filmed clips."""
    objects: int = 2
    """Followed per clip."""


@dataclass(frozen=True)
class Distillation:
    """Weights of the losses that pull the student's features to the teacher's."""

    image: float = 1.0
    """On the stride-16 features (paper section 3.3, L_img)."""
    memory: float = 1.0
    """On the output of memory attention (L_mem)."""


@dataclass(frozen=True)
class Settings:
    """One training run."""

    model: EdgeTAMConfig
    """The network's shape; phases replace its image size."""
    phases: tuple[Phase, ...]
    """In their order."""
    prompts: dict[PromptKind, float] = field(
        default_factory=lambda: {'mask': 0.34, 'box': 0.36, 'click': 0.3}
    )
    """How often masks, boxes and clicks start an object."""
    true_first: float = 0.6
    """Chance of remembering the true mask of the prompted frame: what is tracked then is what the
    losses ask for, however little the prompt has told."""
    weight_decay: float = 0.05
    """Of matrices and filters."""
    gradient_clip: float = 1.0
    """The largest norm of all gradients together."""
    average_decay: float = 0.998
    """What of the weights' mean stays in a step; see `RunningMean`."""
    trunk_rate: float = 1.0
    """The trunk's learning rate, as a part of the others'; one that is pretrained is led away by
    the rate that new parts need."""
    warmup_steps: int = 100
    """In which the learning rate rises."""
    seed: int = 0
    """Of weights, clips and prompts."""
    distillation: Distillation | None = None
    """With a teacher."""

    @property
    def steps(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def at(self, step: float) -> tuple[Phase, float]:
        """Return the phase that a step belongs to, and how much of it is done, in 0..1."""
        for phase in self.phases:
            if step < phase.steps:
                return phase, step / phase.steps
            step -= phase.steps
        return self.phases[-1], 1.0

    def rest(self, step: int) -> range:
        """Return the steps from this one to the end of its phase."""
        end = 0
        for phase in self.phases:
            end += phase.steps
            if step < end:
                break
        return range(step, end)


# What `training.train --model` takes: the shipped shape; the one before it, whose trunk was
# trained from nothing, and as it was before slimming; a teacher, and shapes to compare that with.
REPVIT = replace(TAM_NANO, trunk='repvit', widths=(32, 64, 128, 256), depths=(1, 2, 6, 1))
UNSLIMMED = replace(REPVIT, memory_layers=2, match_dim=60)
SHAPES: dict[str, EdgeTAMConfig] = {
    'tam_nano': TAM_NANO,
    'repvit': REPVIT,
    'unslimmed': UNSLIMMED,
    'teacher': replace(UNSLIMMED, widths=(48, 96, 192, 384), depths=(2, 2, 10, 2)),
    'narrow': replace(UNSLIMMED, widths=(24, 48, 96, 192), depths=(1, 1, 4, 1)),
    'one_layer': replace(UNSLIMMED, memory_layers=1),
    'no_cues': replace(UNSLIMMED, propagation=False, prompt_maps=False),
}


def scale_steps(phases: tuple[Phase, ...], scale: float) -> tuple[Phase, ...]:
    """Return the phases with their steps multiplied, at least one each."""
    return tuple(replace(p, steps=max(1, round(scale * p.steps))) for p in phases)


# For two CPU cores.
CPU_PHASES = (
    Phase('images', 60, 128, 1, 12, (1e-3, 1e-3), rendered=0.0),
    Phase('clips', 564, 128, 4, 6, (1e-3, 6e-4), (0.25, 0.0)),
    Phase('larger', 741, 256, 4, 3, (6e-4, 3e-4)),
    Phase('longer', 330, 256, 8, 2, (3e-4, 2e-5), freeze_encoder=True),
)
# For two CPU cores, to go on from weights that the phases above have made.
CPU_MORE_PHASES = (
    Phase('larger', 1200, 256, 4, 3, (6e-4, 4e-4)),
    Phase('long', 650, 256, 8, 2, (4e-4, 1e-4)),
    Phase('longer', 450, 256, 8, 2, (1e-4, 1e-5), freeze_encoder=True),
)
# For two CPU cores, to go on from there: what boxes and clicks mean, then tracking with it.
CPU_PROMPT_PHASES = (
    Phase('prompts', 800, 256, 1, 10, (5e-4, 3e-4)),
    Phase('tracks', 300, 256, 4, 3, (3e-4, 1e-5)),
)
# For two CPU cores, to go on from there with real videos.
CPU_FILM_PHASES = (
    Phase('films', 600, 256, 4, 3, (3e-4, 2e-4), rendered=0.2, filmed=0.6),
    Phase('film frames', 150, 256, 1, 10, (2e-4, 2e-4), rendered=0.2, filmed=0.6),
    Phase('long films', 300, 256, 8, 2, (2e-4, 1e-5), rendered=0.2, filmed=0.6),
)
# For two CPU cores and many hours, from a pretrained trunk: rounds of objects in single frames,
# short clips and longer ones, first small ones. Weights of any round can be used; the last rounds
# settle.
ROUND = (
    Phase('objects', 100, 256, 1, 10, (4e-4, 4e-4), rendered=0.2, filmed=0.25),
    Phase('tracks', 250, 256, 4, 3, (4e-4, 4e-4), (0.1, 0.1), rendered=0.25, filmed=0.3),
    Phase('long tracks', 50, 256, 8, 2, (4e-4, 4e-4), rendered=0.25, filmed=0.3),
)
SMALL_ROUND = tuple(replace(p, side=128, clips=2 * p.clips) for p in ROUND)
SETTLED_RATE = 1e-5


def with_rates(phases: tuple[Phase, ...], start: float, end: float) -> tuple[Phase, ...]:
    """Return the phases with a learning rate that falls by the same factor in each."""
    rates = [start * (end / start) ** (i / len(phases)) for i in range(len(phases) + 1)]
    return tuple(replace(p, learning_rate=pair) for p, pair in zip(phases, zip(rates, rates[1:])))


CPU_LITE0_PHASES = SMALL_ROUND + 11 * ROUND + with_rates(4 * ROUND, 4e-4, SETTLED_RATE)
# To compare shapes and losses with, each from nothing, on one CPU core.
COMPARISON_PHASES = (
    Phase('images', 60, 128, 1, 12, (1e-3, 1e-3), rendered=0.0),
    Phase('clips', 540, 128, 4, 6, (1e-3, 2e-5), (0.25, 0.0)),
)
# To compare trunks behind which all else is trained already, on one CPU core.
TRAINED_COMPARISON_PHASES = scale_steps(with_rates(SMALL_ROUND + ROUND, 4e-4, SETTLED_RATE), 0.5)
# For half an hour of a data-centre GPU.
GPU_PHASES = (
    Phase('images', 1500, 256, 1, 64, (1e-3, 1e-3), rendered=0.0),
    Phase('clips', 4000, 256, 8, 16, (1e-3, 3e-4), (0.5, 0.0)),
    Phase('longer', 1000, 384, 12, 8, (3e-4, 2e-5), freeze_encoder=True),
)

# For ten minutes of one, to go on from what the rounds have made: by time, so the steps are parts
# of it. With 14 processes that compose clips, batches of these sizes keep both sides busy.
GPU_LITE0_PHASES = tuple(
    replace(phase, steps=steps, clips=clips, learning_rate=rates)
    for phase, steps, clips, rates in (
        (ROUND[0], 150, 64, (4e-4, 4e-4)),
        (ROUND[1], 450, 48, (4e-4, 2.5e-4)),
        (ROUND[2], 400, 48, (2.5e-4, 5e-6)),
    )
)
