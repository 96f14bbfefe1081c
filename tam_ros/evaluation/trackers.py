"""What is evaluated: the interface of a tracker, the session behind it, and the truth itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tam_ros.engine.base import Engine
from tam_ros.evaluation.clips import Masks, TruthClip
from tam_ros.evaluation.truth_prompts import PROMPT_KINDS, PromptKind
from tam_ros.masks import label_image, tight_crop
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.forecast import Motion
from tam_ros.tracker.memory import MemoryPolicy
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.session import Session

MAX_OBJECTS = 32


@dataclass(frozen=True)
class Confidence:
    """What a tracker says of one object in one frame."""

    predicted_iou: float
    """IoU of the mask with the true one as the tracker expects it, in [0, 1]."""
    presence_logit: float
    """Above 0 the tracker takes the object to be there."""


class Tracker:
    """Every frame is a `step`; objects that appear in it are prompted then.

    prompt_kinds: those that it understands.
    """

    name: str
    prompt_kinds: ClassVar[tuple[PromptKind, ...]] = PROMPT_KINDS

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> None:
        """Find all objects in the next frame, (H, W, 3) uint8."""
        raise NotImplementedError

    def prompt(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> set[int]:
        """Start or correct objects, by id, on the frame of the last step; return those refused."""
        raise NotImplementedError

    def masks(self) -> Masks:
        """Return the masks of all started objects in the frame of the last step."""
        raise NotImplementedError

    def shown(self, ready_ns: int) -> Masks:
        """Return the masks that a user has from ready_ns on; forecast, if the tracker does so."""
        return self.masks()

    def confidences(self) -> dict[int, Confidence]:
        """Return how sure the last step was of each object; empty if the tracker cannot tell."""
        return {}


class SessionTracker(Tracker):
    """The public session: all objects in one session, none sharing pixels."""

    def __init__(
        self,
        engine: Engine,
        policy: MemoryPolicy | None = None,
        options: SessionOptions | None = None,
        name: str = '',
    ):
        self.name = name or engine.spec.model
        self._session = Session(engine, options, max_objects=MAX_OBJECTS, policy=policy)
        self._session_ids: dict[int, int] = {}  # by the truth's
        self._confidences: dict[int, Confidence] = {}

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> None:
        result = self._session.step(image_rgb, stamp_ns)
        truth_ids = {value: key for key, value in self._session_ids.items()}
        self._confidences = {
            truth_ids[o.object_id]: Confidence(
                o.observation.predicted_iou, o.observation.presence_logit
            )
            for o in result.objects
        }

    def prompt(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> set[int]:
        return {key for key, prompt in prompts.items() if not self._takes(key, prompt)}

    def _takes(self, key: int, prompt: Prompt) -> bool:
        try:
            answer = self._session.add_prompt(prompt, object_id=self._session_ids.get(key, 0))
        except PromptError:
            return False
        self._session_ids[key] = answer.object_id
        return True

    def masks(self) -> Masks:
        labels = self._session.latest().label_image()
        return {key: labels == value for key, value in self._session_ids.items()}

    def shown(self, ready_ns: int) -> Masks:
        masks, frame = self.masks(), self._session.latest()
        time_ns = self._session.options.forecast_ns(frame.stamp_ns, ready_ns)
        if time_ns is not None:
            motions = {key: frame.find(value).motion for key, value in self._session_ids.items()}
            masks |= forecast_masks(motions, time_ns, frame.size_wh)
        return masks

    def confidences(self) -> dict[int, Confidence]:
        return self._confidences


class TruthTracker(Tracker):
    """Knows the truth of each frame: what a stream shows of it is the cost of delay alone."""

    name = 'truth'

    def __init__(self, clip: TruthClip, options: SessionOptions | None = None):
        self._clip = clip
        self._options = options or SessionOptions()
        self._stamp_ns = 0
        self._motions: dict[int, Motion] = {}  # of all started objects

    def step(self, image_rgb: np.ndarray, stamp_ns: int) -> None:
        self._stamp_ns = stamp_ns
        for key, mask in self.masks().items():
            crop = tight_crop(0, 0, mask)
            if crop is not None:
                self._motions[key] = self._motions[key].follow(crop, stamp_ns)

    def prompt(self, image_rgb: np.ndarray, prompts: Mapping[int, Prompt]) -> set[int]:
        for key in prompts.keys() - self._motions.keys():
            crop = tight_crop(0, 0, self._truth()[key])
            if crop is not None:
                self._motions[key] = Motion.start(crop, self._stamp_ns)
        return set()

    def masks(self) -> Masks:
        return {key: mask for key, mask in self._truth().items() if key in self._motions}

    def _truth(self) -> Masks:
        return self._clip.masks(round(self._stamp_ns * 1e-9 * self._clip.rate_hz))

    def shown(self, ready_ns: int) -> Masks:
        masks, (height, width) = self.masks(), self._clip.truth.shape[1:]
        time_ns = self._options.forecast_ns(self._stamp_ns, ready_ns)
        if time_ns is not None:
            masks |= forecast_masks({n: self._motions[n] for n in masks}, time_ns, (width, height))
        return masks


def forecast_masks(
    motions: Mapping[int, Motion | None], time_ns: int, size_wh: tuple[int, int]
) -> Masks:
    """Return (H, W) masks of where objects will be, without those that have no forecast."""
    forecasts = {key: m and m.forecast(time_ns, size_wh) for key, m in motions.items()}
    crops = {key: forecast.mask for key, forecast in forecasts.items() if forecast}
    return {key: label_image({1: crop}, size_wh) == 1 for key, crop in crops.items()}
