"""The graphs that a network is exported to: their stages, inputs by name, and examples of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tam_ros.engine.graph_names import (
    ATTEND_FIRST,
    ATTEND_MEMORY,
    DECODE_MASK,
    DECODE_PROMPT,
    DECODE_PROMPT_TRACKED,
    DECODED,
    ENCODE_IMAGE,
    ENCODE_MEMORY,
    POINT_FROM_MASK,
)
from tam_ros.model.network import PlanTensors, TrackingNetwork
from tam_ros.model.propagation import HINTS, MATCHED, GroupTensors
from tam_ros.model.stages import (
    AttendMemory,
    DecodeMask,
    DecodePrompt,
    EncodeImage,
    EncodeMemory,
    PointFromMask,
)


@dataclass(frozen=True)
class Sizes:
    """How many there are of what varies, in the examples of a graph's inputs; each 1 or more."""

    objects: int = 3
    """Of a batch."""
    memories: int = 5
    """That each object attends to."""
    pointers: int = 7
    """That each object attends to."""
    points: int = 4
    """Of each object's prompt."""
    groups: int = 6
    """As in `MatchGroups`: remembered frames that are matched with the present one."""
    members: int = 9
    """Of each group, as in `MatchGroups`."""


PROMPT: tuple[str, ...] = ('points', 'labels', 'former', 'refined', 'multimask', 'dynamic')
Examples = Callable[[Sizes], tuple[Tensor, ...]]


@dataclass(frozen=True)
class StageGraph:
    """One graph to be."""

    name: str
    """One of `graph_names`."""
    stage: nn.Module
    """What is traced."""
    inputs: tuple[str, ...]
    """Names of what the stage takes, in order."""
    outputs: tuple[str, ...]
    """Names of what it returns, in order."""
    examples: Examples
    """Makes the inputs for given sizes."""
    varying: tuple[dict[int, str], ...]
    """Per input, the names of its dimensions that vary, by axis."""


class GraphMaker:
    """Makes the graphs of one network."""

    def __init__(self, network: TrackingNetwork):
        self.network = network
        self.config = network.config
        self.features = network.config.feature_names
        self._random = torch.Generator().manual_seed(0)

    def graphs(self) -> list[StageGraph]:
        """Return all graphs of stages."""
        graphs = [
            self._encode_image(),
            self._attend(ATTEND_MEMORY),
            self._decode_mask(),
            self._decode_prompt(DECODE_PROMPT, remembers=False),
            self._decode_prompt(DECODE_PROMPT_TRACKED, remembers=True),
            self._point_from_mask(),
            self._encode_memory(),
        ]
        if self.config.attends_apart:
            graphs.insert(1, self._attend(ATTEND_FIRST))
        return graphs

    def _encode_image(self) -> StageGraph:
        side = self.config.image_size
        return StageGraph(
            ENCODE_IMAGE,
            EncodeImage(self.network),
            ('image',),
            self.features,
            lambda sizes: (255 * self._uniform(side, side, 3),),
            ({},),
        )

    def _attend(self, name: str) -> StageGraph:
        inputs: tuple[str, ...] = ('memories', 'pointers', *PlanTensors._fields)
        varying = [{0: 'stored', 1: 'slots'}, {0: 'stored', 1: 'pointer_slots'}, {0: 'objects'}]
        memories = {} if name == ATTEND_FIRST else {1: 'attended'}
        varying += [{0: 'objects', **memories}] * 2 + [{0: 'objects', 1: 'pointers'}]
        if self.config.dense_tokens:
            inputs += ('dense', *GroupTensors._fields)
            varying += [{0: 'stored', 1: 'slots'}] + [{0: 'groups'}] * 3
            varying += [{0: 'groups', 1: 'members'}] * 2 + [{0: 'objects'}]

        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            if name == ATTEND_FIRST:
                sizes = replace(sizes, memories=1)
            return (*self._feature_examples(), *self._memory_examples(sizes))

        stage = AttendMemory(self.network)
        return self._graph(name, stage, inputs, ('attended',), examples, varying)

    def _decode_mask(self) -> StageGraph:
        return self._graph(
            DECODE_MASK,
            DecodeMask(self.network),
            ('attended',),
            DECODED,
            lambda sizes: (*self._feature_examples(), self._attended(sizes)),
            [{0: 'objects'}],
        )

    def _decode_prompt(self, name: str, *, remembers: bool) -> StageGraph:
        inputs = PROMPT
        varying = [{0: 'objects', 1: 'points'}] * 2 + [{0: 'objects'}] * 2 + [{}] * 2
        if remembers:
            inputs, varying = ('attended', *inputs), [{0: 'objects'}, *varying]

        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            attended = (self._attended(sizes),) if remembers else ()
            return (*self._feature_examples(), *attended, *self._prompt_examples(sizes))

        stage = DecodePrompt(self.network, remembers=remembers)
        return self._graph(name, stage, inputs, DECODED, examples, varying)

    def _point_from_mask(self) -> StageGraph:
        side = self.config.image_size

        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            masks = (self._uniform(sizes.objects, 1, side, side) > 0.5).float()
            return (*self._feature_examples(), masks)

        stage = PointFromMask(self.network)
        return self._graph(POINT_FROM_MASK, stage, ('masks',), DECODED, examples, [{0: 'objects'}])

    def _encode_memory(self) -> StageGraph:
        def examples(sizes: Sizes) -> tuple[Tensor, ...]:
            return (*self._feature_examples(), self._logits(sizes), torch.tensor(False))

        return self._graph(
            ENCODE_MEMORY,
            EncodeMemory(self.network),
            ('logits', 'binarize'),
            ('memories', 'dense') if self.config.dense_tokens else ('memories',),
            examples,
            [{0: 'objects'}, {}],
        )

    def _graph(
        self,
        name: str,
        stage: nn.Module,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        examples: Examples,
        varying: Sequence[dict[int, str]],
    ) -> StageGraph:
        """Return a graph whose inputs follow the features."""
        varying = ({},) * len(self.features) + tuple(varying)
        return StageGraph(name, stage, (*self.features, *inputs), outputs, examples, varying)

    # -- examples of inputs -----------------------------------------------------------------

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._random)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._random)

    def _below(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self._random)

    def _feature_examples(self) -> tuple[Tensor, ...]:
        side = self.config.image_size
        with torch.inference_mode():
            maps = EncodeImage(self.network)(255 * self._uniform(side, side, 3))
        return tuple(x.clone() for x in maps)

    def _logits(self, sizes: Sizes) -> Tensor:
        return 5 * self._normal(sizes.objects, self.config.mask_side, self.config.mask_side)

    def _attended(self, sizes: Sizes) -> Tensor:
        side, dim = self.config.feature_side, self.config.model_dim
        attended = self._normal(sizes.objects, dim, side, side)
        if not self.config.dense_tokens:
            return attended
        hints = self._uniform(sizes.objects, 16 * HINTS, side, side)  # as `match` packs them
        return torch.cat([attended, hints], dim=1)

    def _memory_examples(self, sizes: Sizes) -> tuple[Tensor, ...]:
        stored, slots, pointer_slots = 4, 8, 17
        config, count = self.config, sizes.objects
        plan = [
            self._normal(stored, slots, config.attended_tokens, config.memory_dim),
            self._normal(stored, pointer_slots, config.model_dim),
            self._below(stored, count),
            self._below(slots, count, sizes.memories),
            self._below(config.recent_memories + 1, count, sizes.memories),
            self._below(pointer_slots, count, sizes.pointers),
        ]
        plan[5][-1, -1] = -1  # a pointer that is missing
        if not config.dense_tokens:
            return tuple(plan)
        groups, members = sizes.groups, sizes.members
        return (
            *plan,
            0.1 * self._normal(stored, slots, config.dense_tokens, config.memory_dim),
            self._below(stored, groups),
            self._below(slots, groups),
            self._below(HINTS, groups),
            self._below(stored, groups, members),
            self._below(slots, groups, members),
            self._below(groups * members, count, MATCHED),
        )

    def _prompt_examples(self, sizes: Sizes) -> tuple[Tensor, ...]:
        count, points = sizes.objects, sizes.points
        return (
            self.config.image_size * self._uniform(count, points, 2),
            self._below(4, count, points),
            self._logits(sizes)[:, None],
            torch.arange(count) % 2 == 0,
            torch.tensor(points == 1),
            torch.tensor(True),
        )
