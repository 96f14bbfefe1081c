"""Run and time the official code of either family from a checkout, to compare numbers and speed.

Knows nothing of our own implementation. Imports the checkout and torch only when a
ReferenceTracker is made. Runs with the official post-processing off.
"""

import argparse
import contextlib
import importlib
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

STAGE_METHODS = {
    'encode_image': 'forward_image',
    'attend_memory': '_prepare_memory_conditioned_features',
    'decode_mask': '_forward_sam_heads',
    'encode_memory': '_encode_new_memory',
}
FULL_MEMORY_FRAME = 7  # the first frame that sees one prompted and six tracked frames


@dataclass(frozen=True)
class FrameTiming:
    """What the official code took for a frame, and answered."""

    stage_ms: dict[str, float]
    """Milliseconds of each stage, by its name here."""
    total_ms: float
    """Milliseconds of the whole frame."""
    logits: np.ndarray
    """(objects, height, width), at the size of the video."""


class ReferenceTracker:
    """The official video predictor over frames that are already in memory."""

    def __init__(
        self,
        checkout: Path,
        state_dict: dict[str, np.ndarray],
        *,
        model: str = 'edgetam',
        image_size: int = 1024,
        threads: int,
        device: str = 'cpu',
        float32_memory: bool = False,
    ) -> None:
        """Build the official model and load its weights strictly.

        checkout: the folder that holds the official package, `sam2` for EdgeTAM and
        `efficient_track_anything` for EfficientTAM. model: the name of one of its yaml files.
        image_size: side of the model input, a multiple of 256. float32_memory: skip the official
        bfloat16 rounding. EdgeTAM's perceiver runs object by object, since the official one fails
        in a `view` for more than one; that is fair, as all the rest stays one batch and it is a
        small part. device: as PyTorch names it.
        Raises FileNotFoundError for no checkout, ModuleNotFoundError for a missing package.
        """
        is_edgetam = model == 'edgetam'
        self._video = (import_edgetam if is_edgetam else import_efficienttam)(checkout)
        torch = importlib.import_module('torch')
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        without_bfloat16 = SimpleNamespace(**{**vars(torch), 'bfloat16': torch.float32})
        self._torch = without_bfloat16 if float32_memory else torch
        self._predictor = (
            build_edgetam(image_size) if is_edgetam else build_efficienttam(model, image_size)
        )
        tensors = {key: torch.from_numpy(array) for key, array in state_dict.items()}
        self._predictor.load_state_dict(tensors, strict=True)
        self._predictor.to(self.device)
        if is_edgetam:
            loop_perceiver_over_objects(self._predictor.spatial_perceiver)
        self.returned: dict[str, Any] = {}  # by stage, what the newest call gave
        for stage, name in STAGE_METHODS.items():
            setattr(self._predictor, name, self._timed(stage, getattr(self._predictor, name)))

    def run(
        self, images_rgb: list[np.ndarray], clicks_xy: list[tuple[float, float]]
    ) -> list[FrameTiming]:
        """Track objects through all frames, each from one positive click on frame 0.

        images_rgb: (height, width, 3) uint8 each, all of one size. clicks_xy: in their pixels.
        Preprocessing is not counted. Frame 0 has the clicks and no memory attention.
        """
        state = self.start(images_rgb)
        for number, click_xy in enumerate(clicks_xy, start=1):
            self.prompt(state, number, points=[click_xy], labels=[1])
        return list(self.track(state))

    def start(self, images_rgb: list[np.ndarray]) -> dict:
        """Return the official state of a video."""
        pixels = preprocess(images_rgb, self._predictor.image_size).to(self.device)
        self._video.load_video_frames = lambda **_: (pixels, *images_rgb[0].shape[:2])
        self._video.tqdm = lambda frames, **_: frames
        self._video.torch = self._torch
        self._start_frame()
        return self._predictor.init_state(video_path='')

    def prompt(self, state: dict, number: int, **prompt) -> None:
        """Prompt an object on frame 0: points (N, 2) and labels (N,), box, or mask (H, W)."""
        add = self._predictor.add_new_points_or_box
        if 'mask' in prompt:
            add = self._predictor.add_new_mask
        add(state, 0, number, **prompt)

    def track(self, state: dict) -> Iterator[FrameTiming]:
        """Read the clocks as each frame comes out of the official generator."""
        for _, _, logits in self._predictor.propagate_in_video(state):
            self._synchronize()
            total_ms = 1e3 * (time.perf_counter() - self._start)
            yield FrameTiming(self._stage_ms, total_ms, logits[:, 0].cpu().numpy().copy())
            self._start_frame()

    def _start_frame(self) -> None:
        """Set the clocks of a new frame to zero."""
        self._stage_ms = dict.fromkeys(STAGE_METHODS, 0.0)
        self._start = time.perf_counter()

    def _timed(self, stage: str, method: Callable) -> Callable:
        """Return the method with its milliseconds and its result noted."""

        def call(*args, **kwargs):
            start = time.perf_counter()
            result = self.returned[stage] = method(*args, **kwargs)
            self._synchronize()
            self._stage_ms[stage] += 1e3 * (time.perf_counter() - start)
            return result

        return call

    def _synchronize(self) -> None:
        if self.device.type == 'cuda':
            self._torch.cuda.synchronize(self.device)


def import_edgetam(checkout: Path) -> Any:
    """Import the official video predictor's module, with a trunk that downloads nothing."""
    video = _import_from(checkout, 'sam2.sam2_video_predictor')
    trunk: Any = importlib.import_module('sam2.modeling.backbones.timm')
    create = importlib.import_module('timm.models').create_model
    trunk.create_model = lambda name, **options: create(name, **{**options, 'pretrained': False})
    return video


def import_efficienttam(checkout: Path) -> Any:
    """Import the official video predictor's module."""
    return _import_from(checkout, 'efficient_track_anything.efficienttam_video_predictor')


def _import_from(checkout: Path, name: str) -> Any:
    file = checkout / f'{name.replace(".", "/")}.py'
    if not file.is_file():
        raise FileNotFoundError(f'no {file}')
    sys.path.insert(0, str(checkout.resolve()))
    try:
        import_torchvision()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        needed = 'pip install torch torchvision timm hydra-core iopath pillow tqdm'
        raise ModuleNotFoundError(f'{error.name} is missing; needed: {needed}') from error


def import_torchvision() -> None:
    """Import torchvision for timm, declaring the operators it lacks; the trunk calls none."""
    try:
        importlib.import_module('torchvision')
    except RuntimeError as error:  # operator torchvision::nms does not exist
        library = importlib.import_module('torch.library')
        library.define(str(error).split()[1], '(Tensor boxes) -> Tensor')
        import_torchvision()


def build_edgetam(image_size: int):
    """Build the official predictor from its own yaml, in the given size, without weights."""
    build = importlib.import_module('sam2.build_sam').build_sam2_video_predictor
    sizes = [
        f'++model.image_size={image_size}',
        f'++model.memory_attention.layer.cross_attention.q_sizes={[image_size // 16] * 2}',
    ]
    options = {'device': 'cpu', 'hydra_overrides_extra': sizes, 'apply_postprocessing': False}
    with contextlib.redirect_stdout(sys.stderr):
        return build('configs/edgetam.yaml', **options)


def build_efficienttam(model: str, image_size: int):
    """Build the official predictor from its own yaml, in the given size, without weights.

    The official builder drops overrides where there is no recent GPU, so it is not used.
    """
    hydra, omegaconf = map(importlib.import_module, ('hydra', 'omegaconf'))
    module = 'efficient_track_anything.efficienttam_video_predictor'
    side = [image_size // 16] * 2
    attention = '++model.memory_attention.layer'
    overrides = [
        f'++model._target_={module}.EfficientTAMVideoPredictor',
        '++model.compile_image_encoder=False',
        f'++model.image_size={image_size}',
        f'{attention}.self_attention.feat_sizes={side}',
        f'{attention}.cross_attention.feat_sizes={side}',
    ]
    config = hydra.compose(f'configs/efficienttam/{model}.yaml', overrides=overrides)
    omegaconf.OmegaConf.resolve(config)
    return importlib.import_module('hydra.utils').instantiate(config.model).eval()


def loop_perceiver_over_objects(perceiver) -> None:
    """Make the official perceiver accept several objects by running them one by one."""
    concatenate, forward = importlib.import_module('torch').cat, perceiver.forward

    def forward_each(features, positions):
        results = map(forward, features.split(1), positions.split(1))
        return tuple(concatenate(parts) for parts in zip(*results, strict=True))

    perceiver.forward = forward_each


def preprocess(images_rgb: list[np.ndarray], image_size: int):
    """Return a (frames, 3, S, S) tensor: bicubic resize to a square, then ImageNet scaling."""
    torch, size_wh = importlib.import_module('torch'), (image_size, image_size)
    from_array = importlib.import_module('PIL.Image').fromarray
    squares = [np.asarray(from_array(image).resize(size_wh)) for image in images_rgb]
    pixels = torch.from_numpy(np.stack(squares)) / 255
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    return ((pixels - mean) / std).permute(0, 3, 1, 2).contiguous()


def median_ms(timings: list[FrameTiming]) -> dict[str, float]:
    """Return the median per stage and in total, over frames with full memory if there are any."""
    steady = timings[FULL_MEMORY_FRAME:] or timings[1:]
    rows = [{**timing.stage_ms, 'total': timing.total_ms} for timing in steady]
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}


def main() -> None:
    """Time the reference on frames of noise and print the median milliseconds per stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--checkout', type=Path, required=True)
    parser.add_argument('--weights-module', type=Path, required=True)
    parser.add_argument('--model', default='edgetam')
    for option, default in (('image-size', 1024), ('objects', 1), ('frames', 10), ('threads', 2)):
        parser.add_argument(f'--{option}', type=int, default=default)
    args = parser.parse_args()
    weights = runpy.run_path(str(args.weights_module))['state_dict'](args.model)
    tracker = ReferenceTracker(
        args.checkout,
        weights,
        model=args.model,
        image_size=args.image_size,
        threads=args.threads,
    )
    shape = (args.frames, 720, 1280, 3)
    images_rgb = list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    clicks_xy = [((number + 0.5) * 1280 / args.objects, 360.0) for number in range(args.objects)]
    for name, milliseconds in median_ms(tracker.run(images_rgb, clicks_xy)).items():
        print(f'{name:14} {milliseconds:8.1f} ms')


if __name__ == '__main__':
    main()
