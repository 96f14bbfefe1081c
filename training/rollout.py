"""Run a network over a batch of clips as the tracker would, keeping gradients.

The memory rules are those of `fifo` in `tam_ros.tracker.policies`: the prompted frame, the newest
six tracked ones and up to sixteen pointers; every object of the batch was prompted on frame 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tam_ros.engine.grouping import HINT_OF
from tam_ros.model.edgetam import EdgeTAM
from tam_ros.model.mask_decoder import DecoderOutput
from tam_ros.model.network import Features, PlanTensors, PromptTensors, StoreTensors
from tam_ros.model.propagation import HINTS, GroupTensors
from tam_ros.preprocess import MASK_LOGIT
from tam_ros.tracker.memory import RECENT_POINTERS
from training.losses import Judged, judge
from training.prompting import PromptKind, draw_box, draw_click, draw_correction

# A wrong first mask is followed through the whole clip, so it weighs more than one frame.
PROMPT_SHARE = 0.4


class Batch(NamedTuple):
    """B clips of T frames, K objects followed in each; all of them are in frame 0.

    images: (B, T, 3, S, S) uint8. masks: (B, K, T, S, S) bool.
    """

    images: Tensor
    masks: Tensor


@dataclass(frozen=True)
class RolloutOptions:
    """How a batch is prompted, and what of it is remembered."""

    kind: PromptKind = 'box'
    """Of the prompt on frame 0."""
    corrections: int = 0
    """Clicks that follow it there."""
    late_correction: float = 0.0
    """Chance of a click on a tracked frame."""
    true_first: float = 0.0
    """Chance that the prompted frame is remembered with its true mask, not the predicted one."""
    true_memory: float = 0.0
    """Likewise of a tracked frame."""


@dataclass
class Trace:
    """What a rollout leaves: how it went, judgements per decoding, and features to distil."""

    options: RolloutOptions
    """Of the rollout."""
    choices: list
    """Everything random, for `Choices`."""
    judged: list[Judged] = field(default_factory=list)
    """A judgement of each decoding."""
    tops: Tensor | None = None
    """(B * T, C, h, h) stride-16 features."""
    attended: list[Tensor] = field(default_factory=list)
    """Per tracked frame (B * K, C, h, h), those conditioned on memories."""
    prompted: int = 0
    """How many of the judgements are of the prompted frame; they come first."""

    @property
    def loss(self) -> Tensor:
        """Mean loss over decodings; those of the prompted frame together weigh PROMPT_SHARE."""
        losses = torch.stack([j.loss for j in self.judged])
        first, later = losses[: self.prompted], losses[self.prompted :]
        if not len(first) or not len(later):
            return losses.mean()
        return first.mean().lerp(later.mean(), 1 - PROMPT_SHARE)


class Choices:
    """The random choices of a rollout: drawn, or those of another rollout again, in order."""

    def __init__(self, generator: torch.Generator | None = None, again: Sequence | None = None):
        self.made: list = []
        self._generator = generator
        self._again = None if again is None else iter(again)

    def __call__(self, draw: Callable, *arguments):
        """Return draw(*arguments, generator), or the choice made at this point before."""
        choice = draw(*arguments, self._generator) if self._again is None else next(self._again)
        self.made.append(choice)
        return choice


class _Remembered(NamedTuple):
    tokens: Tensor  # N, attended tokens, memory_dim
    dense: Tensor | None  # N, cells, memory_dim: with dense propagation
    pointer: Tensor  # N, C


def roll_out(network: EdgeTAM, batch: Batch, options: RolloutOptions, choose: Choices) -> Trace:
    """Prompt frame 0 of every clip and track through the others; N = B * K objects."""
    frames, objects = batch.images.shape[1], batch.masks.shape[1]
    images = batch.images.flatten(0, 1).float()
    # The trunk's depthwise convolutions are a fifth faster with channels innermost.
    encoded = network.encode_image(images.contiguous(memory_format=torch.channels_last))
    masks = batch.masks.flatten(0, 1)  # N, T, S, S
    rows = torch.arange(len(batch.images), device=masks.device).repeat_interleave(objects)
    trace = Trace(options, choose.made, tops=encoded.top)
    prompted: _Remembered | None = None
    recent: list[_Remembered] = []
    for t in range(frames):
        features = Features(*(x[rows * frames + t] for x in encoded if x is not None))
        if prompted is None:
            prompted = _prompt(network, features, masks[:, 0], options, choose, trace)
            trace.prompted = len(trace.judged)
        else:
            attended = _attend(network, features, prompted, recent, objects)
            trace.attended.append(attended[:, : network.config.model_dim])
            newest = _track(network, features, attended, masks[:, t], options, choose, trace)
            recent.insert(0, newest)
    return trace


def _prompt(
    network, features, masks, options: RolloutOptions, choose: Choices, trace
) -> _Remembered:
    if options.kind == 'mask':
        pointer = network.point_from_mask(features, masks[:, None].float()).pointer
        return _remember(network, features, mask_to_logits(masks), pointer, binarize=True)
    draw = draw_box if options.kind == 'box' else draw_click
    prompts = choose(draw, masks)
    output = network.decode_candidates(features, None, prompts)
    trace.judged.append(judge(output, masks, multimask=prompts.multimask))
    for _ in range(options.corrections):
        answer, _ = _answer(network, output, prompts.multimask)
        prompts = choose(draw_correction, prompts, answer, masks)
        output = network.decode_candidates(features, None, prompts)
        trace.judged.append(judge(output, masks, multimask=False))
    answer, pointer = _answer(network, output, prompts.multimask)
    if choose(_chance, options.true_first):
        answer = mask_to_logits(masks)
    return _remember(network, features, answer, pointer, binarize=True)


def _track(
    network, features, attended, masks, options: RolloutOptions, choose: Choices, trace
) -> _Remembered:
    none = masks.new_zeros((len(masks), 0), dtype=torch.int64)
    prompts = PromptTensors(attended.new_zeros(len(masks), 0, 2), none, None, True)
    output = network.decode_candidates(features, attended, prompts)
    trace.judged.append(judge(output, masks, multimask=True))
    answer, pointer = _answer(network, output, multimask=True)
    if choose(_chance, options.late_correction) and masks.flatten(1).any(1).all():
        prompts = choose(draw_correction, prompts, answer, masks)
        prompts = prompts._replace(multimask=True)  # as the tracker does for a single click
        output = network.decode_candidates(features, attended, prompts)
        trace.judged.append(judge(output, masks, multimask=True))
        answer, pointer = _answer(network, output, multimask=True)
    if choose(_chance, options.true_memory):
        answer = mask_to_logits(masks)
    return _remember(network, features, answer, pointer, binarize=False)


def _attend(
    network, features, prompted: _Remembered, recent: list[_Remembered], objects: int
) -> Tensor:
    """Attend as the tracker does; each image's objects are in a row."""
    limit = network.config.recent_memories
    remembered = [prompted, *recent[:limit]]
    store = StoreTensors(
        torch.stack([r.tokens for r in remembered], 1),
        torch.stack([r.pointer for r in [prompted, *recent[:RECENT_POINTERS]]], 1),
        _stack_dense([prompted, (recent or [prompted])[0]]),
    )
    rows = torch.arange(len(prompted.tokens), device=prompted.tokens.device)
    groups = None
    if store.dense is not None:  # each image is matched once, for all its objects
        groups = _group_by_image(rows, objects)
        features = features._replace(keys=features.keys[groups.leader_rows])
    plan = _plan_all(store, rows, limit)
    return network.attend_memory(features, network.gather(store, plan, groups, complete=True))


def _stack_dense(matched: list[_Remembered]) -> Tensor | None:
    """Return the (N, HINTS, cells, memory_dim) dense tokens of what is matched, if there are."""
    dense = [r.dense for r in matched if r.dense is not None]
    return torch.stack(dense, 1) if dense else None


def _plan_all(store: StoreTensors, rows: Tensor, limit: int) -> PlanTensors:
    """Plan to attend to all that is stored: the prompted frame, then the newest ones."""
    slots, pointer_slots = (
        torch.arange(x.shape[1], device=rows.device).expand(len(rows), -1)
        for x in (store.tokens, store.pointers)
    )
    ages = (slots - 1).where(slots > 0, limit)
    return PlanTensors(rows, slots, ages, pointer_slots)


def _group_by_image(rows: Tensor, objects: int) -> GroupTensors:
    """Group N objects by their image, once for each hint; those of an image follow in a row."""
    members = rows.view(-1, objects).repeat(HINTS, 1)  # G, V
    hints = torch.arange(HINTS, device=rows.device).repeat_interleave(len(rows) // objects)
    places = torch.arange(members.numel(), device=rows.device).view(HINTS, -1).T
    places = places[:, list(HINT_OF)]  # long ago is the prompted frame alone
    slots = hints[:, None].expand_as(members)
    return GroupTensors(members[:, 0], hints, hints, members, slots, places)


def _answer(network, output: DecoderOutput, multimask: bool) -> tuple[Tensor, Tensor]:
    """Return (N, m, m) logits and (N, C) pointers of the candidates that the tracker takes."""
    decoding = network.choose(output, multimask=multimask, dynamic=False)
    return decoding.logits, decoding.pointer


def _remember(network, features, logits: Tensor, pointer: Tensor, *, binarize) -> _Remembered:
    memory = network.encode_memory(features, logits[:, None], binarize=binarize)
    tokens, *dense = network.split_tokens(memory)
    return _Remembered(tokens, dense[0] if dense else None, pointer)


def mask_to_logits(masks: Tensor) -> Tensor:
    """Return (N, S / 4, S / 4) logits of (N, S, S) masks: -10 outside to 10 inside."""
    return F.avg_pool2d(masks[:, None].float(), 4)[:, 0] * 2 * MASK_LOGIT - MASK_LOGIT


def _chance(probability: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < probability)
