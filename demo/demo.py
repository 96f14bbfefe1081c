"""Track objects of a video through ROS 2, as on a robot: camera topic, service, results.

A player publishes the video as a camera, the tracker node runs in its own process, and this
program prompts it and receives its results. It prints what comes out, and writes a video.
"""

import argparse
import math
import os
import random
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import rclpy
from client import DemoClient
from film import Film, write_contact_sheet
from processes import DemoError, Program
from rclpy.signals import SignalHandlerOptions
from report import Report
from truth import CLIP, Truth

from tam_ros.engine.embedded import has_embedded_graphs
from tam_ros.engine.load import ENGINE_CHOICES, EngineChoice
from tam_ros.image_files import SourceError
from tam_ros.paths import PathError, user_path
from tam_ros.video_source import HIGHEST_RATE_HZ, open_source
from tam_ros.weights import DownloadError, find_weights

OUT = Path(__file__).resolve().parent / 'out'
UNTRAINED = 'reproducible'
NOTICE = 'UNTRAINED WEIGHTS: the masks mean nothing yet'
READY_TIMEOUT_S = 120.0
START_S = 1.0  # for the player to start and to end
SETTLE_S = 0.5  # for what was published before the last prompt to arrive


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


# -- what to do -----------------------------------------------------------------------------


def parse_arguments(arguments) -> argparse.Namespace:
    """Return the options of the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    parser.add_argument(
        '--rate',
        type=float,
        default=0.0,
        help="camera frames per second; 0: the video's, or less to fill --seconds",
    )
    parser.add_argument('--seconds', type=float, default=25.0, help='end playing after this time')
    return parser.parse_args(arguments)


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
    truth = None if options.box else Truth()
    video = options.video or CLIP / 'clip.mp4'
    frame_rate_hz, count = measure(video)
    boxes = {f'object {i}': box for i, box in enumerate(options.box, 1)}
    return Plan(
        video=video,
        frame_rate_hz=frame_rate_hz,
        rate_hz=options.rate or min(frame_rate_hz, count / options.seconds),
        seconds=options.seconds,
        boxes=truth.first_boxes() if truth else boxes,
        truth=truth,
        model=options.model,
        weights=check_weights(options),
        image_size=options.image_size,
        engine=EngineChoice(options.model, options.weights, engine=options.engine).resolved_engine,
    )


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


# -- doing it -------------------------------------------------------------------------------


def run(plan: Plan) -> None:
    """Play, prompt, track and report; ends the processes it started."""
    announce(plan)
    OUT.mkdir(exist_ok=True)
    weights = export_network(plan) if plan.must_export else plan.weights
    film = Film(OUT / 'overlay.mp4', plan.frame_rate_hz, plan.notice)
    report = Report(film, plan.frame_rate_hz, plan.truth)
    with ExitStack() as stack:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        tracker = stack.enter_context(start_tracker(plan, weights))
        player = stack.enter_context(start_player(plan))
        client = DemoClient([tracker, player], report.take)
        prompt(client, plan)
        play(client, player, plan)
    film.close(client.camera_frames - 1)
    write_contact_sheet(OUT / 'contact_sheet.png', film)
    report.summarise(client)
    for path in (film.path, OUT / 'contact_sheet.png'):
        print(f'wrote      {os.path.relpath(path)}')
    if plan.notice:
        print(f'\n{plan.notice}')


def announce(plan: Plan) -> None:
    """Say what will be done."""
    size = f'{plan.image_size} px' if plan.image_size else "the model's own size"
    print(f'video      {os.path.relpath(plan.video)} as a camera at {plan.rate_hz:.1f} Hz')
    weights = plan.weights or 'its own'
    print(f'network    {plan.model} at {size} with {plan.engine}, weights: {weights}')
    if plan.notice:
        print(f'           {plan.notice}; this shows the way through ROS, and its speed')
    sys.stdout.flush()


def export_network(plan: Plan) -> str:
    """Export the network for ONNX Runtime; returns the folder."""
    try:
        from tam_ros.engine.export import export  # slow, and only needed here
        from tam_ros.engine.tracing import ExportError
    except ModuleNotFoundError as error:
        raise DemoError(
            f'making graphs for ONNX Runtime needs PyTorch ({error}): run `make .venv/torch`'
        ) from error

    folder = OUT / 'onnx' / plan.model
    try:
        export(plan.model, plan.weights, folder, image_size=plan.image_size)
    except (ValueError, ExportError) as error:
        raise DemoError(str(error)) from error
    return str(folder)


def start_tracker(plan: Plan, weights: str) -> Program:
    """Start the tracker node on the camera's topic."""
    arguments = ['--ros-args', '-r', 'image:=/camera/image_raw']
    for name, value in (
        ('model', plan.model),
        ('weights', weights),
        ('engine', plan.engine),
        ('image_size', plan.image_size),
        # Best effort loses whole images where the sender outruns a busy machine.
        ('qos_overrides./camera/image_raw.subscription.reliability', 'reliable'),
    ):
        if value != '':  # an empty value would not be read as text
            arguments += ['-p', f'{name}:={value}']
    return Program('tracker_node', arguments, OUT / 'tracker_node.log')


def start_player(plan: Plan) -> Program:
    """Start the camera, which shows the video's first frame until it is told to play."""
    arguments = [str(plan.video), '--rate', str(plan.rate_hz), '--start-paused']
    arguments += ['--ros-args', '-r', '__ns:=/camera']
    return Program('play_video', arguments, OUT / 'play_video.log')


def prompt(client: DemoClient, plan: Plan) -> None:
    """Ask for every object on the first frame, and wait until the tracker answers with them."""
    client.wait_until(client.has_first_frame, READY_TIMEOUT_S, "the tracker's first results")
    object_ids = set()
    for label, box in plan.boxes.items():
        response = client.add_prompt(label, box)
        print(f'prompt     {label} {box}: {response.message}')
        if response.success:
            object_ids.add(response.object.id)
    if not object_ids:
        raise DemoError('no prompt was accepted')
    client.spin_until(lambda: False, SETTLE_S)
    client.expect(object_ids)
    client.wait_until(lambda: client.is_newest_answered, READY_TIMEOUT_S, 'the prompted frame')


def play(client: DemoClient, player: Program, plan: Plan) -> None:
    """Let the video run to its end, or the time's, and wait for the last answer."""
    client.play()
    client.spin_until(lambda: player.ended, plan.seconds + START_S)
    player.stop()
    client.spin_until(lambda: client.is_newest_answered, client.patience_s)
    if plan.truth and client.camera_frames > len(plan.truth):
        raise DemoError(f'{client.camera_frames} frames came of a clip of {len(plan.truth)}')


def main(arguments=None) -> int:
    """Run the demo; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Set before ROS starts: a network of the demo's own, away from other robots.
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 101)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    try:
        run(make_plan(parse_arguments(arguments)))
    except DemoError as error:
        print(f'demo failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
