"""What the demo plays and tracks, and how: from its options, before anything is started."""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from processes import DemoError
from truth import CLIP, CLIP_3D, Truth

from tam_ros.engine.embedded import has_embedded_graphs
from tam_ros.engine.load import ENGINE_CHOICES, EngineChoice
from tam_ros.evaluation.depth_clips import DepthClip
from tam_ros.image_files import SourceError
from tam_ros.paths import PathError, user_path
from tam_ros.rgbd_folder import HIGHEST_RATE_HZ, RgbdFolder, open_rgbd
from tam_ros.video_source import open_source
from tam_ros.weights import DownloadError, find_weights

UNTRAINED = 'reproducible'
FILLED_3D_S = 12.0  # by the clip with depth, which has fewer frames
NOTICE = 'UNTRAINED WEIGHTS: the masks mean nothing yet'


@dataclass(frozen=True)
class Depth:
    """What is known of a folder of images with depth."""

    files: RgbdFolder
    """Its files."""
    clip: DepthClip | None
    """The truth of the clip that comes with the demo; None for objects that the user boxed."""
    exact: bool
    """Whether depth is played as it is, not as a stereo camera would see it."""


@dataclass(frozen=True)
class Plan:
    """What to play and track, and how."""

    video: Path
    """The file to play."""
    frame_rate_hz: float
    """The video's own."""
    rate_hz: float
    """That of the camera which plays it."""
    seconds: float
    """How long it plays, at most."""
    boxes: dict[str, tuple[int, int, int, int]]
    """By label, x0, y0, x1, y1 in pixels of the first frame."""
    truth: Truth | None
    """Masks of the clip that comes with the demo; None for objects that the user boxed."""
    model: str
    """Name of the network."""
    weights: str
    """Checkpoint, folder of graphs, or rule; empty for the model's own."""
    image_size: int
    """Side of the network's input; 0 for the model's own."""
    engine: str
    """torch or onnx."""
    depth: Depth | None
    """Of the video, where objects are to be located in 3D."""

    @property
    def must_export(self) -> bool:
        """Whether graphs for ONNX Runtime have to be made first."""
        if self.weights:
            return self.engine == 'onnx' and not user_path(self.weights).is_dir()
        embedded = has_embedded_graphs(self.model, self.image_size, '')
        return self.engine == 'onnx' and not embedded

    @property
    def notice(self) -> str:
        """What must be said about the weights, if anything."""
        return NOTICE if self.weights == UNTRAINED else ''


def parse_arguments(arguments) -> argparse.Namespace:
    """Return the options of the demo."""
    parser = argparse.ArgumentParser(description='Track objects of a video through ROS 2.')
    parser.add_argument(
        '--video', type=Path, help='video file or folder of images; left out, the demo clip'
    )
    parser.add_argument(
        '--box',
        type=parse_box,
        action='append',
        default=[],
        metavar='X0,Y0,X1,Y1',
        help='box in pixels around an object in the first frame; may be given several times',
    )
    _add_network_options(parser)
    parser.add_argument(
        '--rate',
        type=float,
        default=0.0,
        help="camera frames per second; 0: the video's, or less to fill --seconds",
    )
    parser.add_argument('--seconds', type=float, default=25.0, help='end playing after this time')
    parser.add_argument(
        '--depth',
        action='store_true',
        help='locate objects in 3D as well; a --video is then a folder with rgb/, depth/ and '
        'camera.json',
    )
    parser.add_argument(
        '--exact-depth',
        action='store_true',
        help='play the depth of the demo clip without the faults of a stereo camera',
    )
    return parser.parse_args(arguments)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--model', default=EngineChoice.model, help='network to track with')
    parser.add_argument(
        '--weights',
        default='',
        help="checkpoint; left out, the model's embedded or downloaded one",
    )
    parser.add_argument(
        '--engine',
        default='',
        choices=ENGINE_CHOICES,
        help='torch, or onnx, which exports what has no graphs yet; left out, as the node',
    )
    parser.add_argument(
        '--image-size', type=int, default=0, help="network input in pixels; 0: the model's own"
    )


def parse_box(text: str) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of an option; raises ArgumentTypeError."""
    try:
        x0, y0, x1, y1 = (int(part) for part in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text!r} is not four numbers X0,Y0,X1,Y1') from None
    if not (0 <= x0 < x1 and 0 <= y0 < y1):
        raise argparse.ArgumentTypeError(f'{text!r} is empty: X1 > X0 >= 0 and Y1 > Y0 >= 0')
    return x0, y0, x1, y1


def make_plan(options: argparse.Namespace) -> Plan:
    """Decide what the options leave open; raises DemoError for what cannot be done."""
    if options.video and not options.box:
        raise DemoError('--video needs --box X0,Y0,X1,Y1 around an object in its first frame')
    if not 0 < options.seconds < math.inf or not 0 <= options.rate <= HIGHEST_RATE_HZ:
        raise DemoError(f'--seconds {options.seconds} --rate {options.rate}: use positive numbers')
    depth = open_depth(options) if options.depth else None
    video = options.video or (CLIP_3D if depth else CLIP / 'clip.mp4')
    frame_rate_hz, count = measure(video)
    truth = None if options.box else find_truth(depth)
    boxes = {f'object {i}': box for i, box in enumerate(options.box, 1)}
    seconds = min(options.seconds, FILLED_3D_S) if depth else options.seconds
    return Plan(
        video=video,
        frame_rate_hz=frame_rate_hz,
        rate_hz=options.rate or min(frame_rate_hz, count / seconds),
        seconds=options.seconds,
        boxes=truth.first_boxes() if truth else boxes,
        truth=truth,
        model=options.model,
        weights=check_weights(options),
        image_size=options.image_size,
        engine=EngineChoice(options.model, options.weights, engine=options.engine).resolved_engine,
        depth=depth,
    )


def open_depth(options: argparse.Namespace) -> Depth:
    """Return what there is of depth; raises DemoError."""
    try:
        import matplotlib  # noqa: F401 - only needed here
    except ModuleNotFoundError:
        raise DemoError('pictures need matplotlib: run `make .venv/pictures`') from None
    folder = options.video or CLIP_3D
    if not folder.is_dir():
        raise DemoError(f'--depth --video {folder}: give a folder with rgb/, depth/, camera.json')
    try:
        clip = None if options.box else DepthClip(folder)
        return Depth(open_rgbd(folder), clip, options.exact_depth or bool(options.video))
    except SourceError as error:
        raise DemoError(str(error)) from error


def find_truth(depth: Depth | None) -> Truth:
    """Return the truth of the clip that comes with the demo, or of that with depth."""
    return Truth.of_clip_3d(depth.clip) if depth and depth.clip else Truth.of_clip()


def measure(video: Path) -> tuple[float, int]:
    """Return a video's frames per second and number of frames."""
    if not video.exists():
        raise DemoError(f'--video {video} does not exist')
    try:
        source = open_source(str(video))
        if source.is_live:
            raise DemoError(
                f'--video {video} is a webcam, whose first frame has no boxes: use a file'
            )
        return source.rate_hz, source.count or sum(1 for _ in source.frames)
    except SourceError as error:
        raise DemoError(str(error)) from error


def check_weights(options: argparse.Namespace) -> str:
    """Return the weights asked for; raises DemoError if they are not there."""
    weights = options.weights
    try:
        path = user_path(weights)
        if weights and weights != UNTRAINED and not path.exists():
            raise DemoError(f'--weights {weights} does not exist')
        if weights and path.is_dir():  # graphs, which the node checks
            return weights
        find_weights(options.model, weights)
    except (DownloadError, PathError) as error:
        raise DemoError(str(error)) from error
    return weights
