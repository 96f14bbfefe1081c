"""Image mode: segment one still image from prompts, without tracking."""

from dataclasses import dataclass

import numpy as np

from tam_ros.engine.base import DecoderPrompts, Engine
from tam_ros.masks import upsample_around_mask
from tam_ros.preprocess import check_image, resize_still
from tam_ros.prompts import Prompt, PromptError, check_prompt, network_points
from tam_ros.tracker.decoding import decode_mask, former_logits, refusing_prompts


@dataclass(frozen=True)
class ImageMask:
    """One answer."""

    mask: np.ndarray
    """(H, W) bool."""
    predicted_iou: float
    """In [0, 1]."""
    logits: np.ndarray
    """(m, m) float32 low-resolution mask logits."""


class ImageSegmenter:
    """Holds one encoded image and answers prompts on it (SAM's image predictor)."""

    def __init__(self, engine: Engine, image_rgb: np.ndarray):
        """Encode a (H, W, 3) uint8 image, which is not kept."""
        image_rgb = check_image(image_rgb)
        self._engine = engine
        self._size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        spec = engine.spec
        self._features = engine.encode_image(
            resize_still(image_rgb, spec.image_size, spec.resampling)
        )

    def segment(self, prompt: Prompt, *, former: ImageMask | None = None) -> list[ImageMask]:
        """Return the answers to points and a box, best first.

        A single click is ambiguous and has three answers, other prompts have one. former: an
        earlier answer, to be refined. Raises PromptError.
        """
        prompt = check_prompt(prompt, self._size_wh, is_new=True)
        if prompt.mask is not None:
            raise PromptError('a mask needs no segmenting: give points or a box')
        side = self._engine.spec.image_size
        points, labels = network_points(prompt, self._size_wh, side)
        refined = None if former is None else former_logits(former.logits)
        prompts = DecoderPrompts(points[None], labels[None], refined)
        with refusing_prompts():
            decoded = decode_mask(self._engine, self._features, None, prompts)
        ious = decoded.candidate_ious[0]
        if len(ious) == 1:
            return [self._image_mask(decoded.logits[0], decoded.predicted_ious[0])]
        logits = decoded.candidate_logits[0]
        return [self._image_mask(logits[i], ious[i]) for i in np.argsort(-ious)]

    def _image_mask(self, logits: np.ndarray, predicted_iou: float) -> ImageMask:
        mask = np.zeros(self._size_wh[::-1], np.uint8)
        crop = upsample_around_mask(logits, self._size_wh)
        tight = crop and crop.tight()
        if tight:
            tight.paste(mask, 1)
        return ImageMask(mask.astype(bool), float(predicted_iou), logits)
