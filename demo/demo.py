"""Track objects of a video through ROS 2, as on a robot: camera topic, service, results.

A player publishes the video as a camera, the tracker node runs in its own process, and this
program prompts it and receives its results. It prints what comes out, and writes a video.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import rclpy
from boxes import BoxInput, start_objects_3d
from client import DemoClient
from depth_folder import with_stereo_noise
from film import Film, write_contact_sheet
from plan import Depth, Plan, make_plan, parse_arguments
from processes import DemoError, Program, on_own_network
from rclpy.signals import SignalHandlerOptions
from report import Report
from report_3d import BoxReport

OUT = Path(__file__).resolve().parent / 'out'
READY_TIMEOUT_S = 120.0
START_S = 1.0  # for the player to start and to end
SETTLE_S = 0.5  # for what was published before the last prompt to arrive


def run(plan: Plan) -> None:
    """Play, prompt, track and report; ends the processes it started."""
    announce(plan)
    OUT.mkdir(exist_ok=True)
    weights = export_network(plan) if plan.must_export else plan.weights
    film = Film(OUT / 'overlay.mp4', plan.frame_rate_hz, plan.notice)
    report = Report(film, plan.frame_rate_hz, plan.truth)
    in_3d = BoxReport(plan.depth.clip) if plan.depth else None
    with ExitStack() as stack:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        programs = [stack.enter_context(program) for program in start_programs(plan, weights)]
        client = DemoClient(programs, report.take)
        prompt(client, plan)
        boxes = BoxInput(client, in_3d.take) if in_3d else None
        if boxes:
            client.wait_until(boxes.has_all, READY_TIMEOUT_S, 'the first boxes')
        play(client, programs[1], plan)
        if boxes:
            client.spin_until(boxes.has_all, client.patience_s)
    film.close(client.camera_frames - 1)
    write_contact_sheet(OUT / 'contact_sheet.png', film)
    report.summarise(client)
    written = [film.path, OUT / 'contact_sheet.png']
    if in_3d and plan.depth:
        in_3d.summarise()
        written += draw(plan.depth, in_3d)
    for path in written:
        print(f'wrote      {os.path.relpath(path)}')
    if plan.notice:
        print(f'\n{plan.notice}')


def announce(plan: Plan) -> None:
    """Say what will be done."""
    size = f'{plan.image_size} px' if plan.image_size else "the model's own size"
    print(f'video      {os.path.relpath(plan.video)} as a camera at {plan.rate_hz:.1f} Hz')
    weights = plan.weights or 'its own'
    print(f'network    {plan.model} at {size} with {plan.engine}, weights: {weights}')
    if plan.depth:
        depth = 'as it is' if plan.depth.exact else 'with the faults of a stereo camera'
        print(f'depth      {depth}')
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


def draw(depth: Depth, report: BoxReport) -> list[Path]:
    """Draw what was found in 3D; returns the files."""
    from pictures_3d import Painter  # which needs matplotlib

    if not report.answers:
        raise DemoError('no boxes came: see demo/out/objects_3d.log')
    painter = Painter(depth.files, report.answers, depth.clip)
    painter.draw_boxes(OUT / 'boxes.png')
    painter.draw_top_view(OUT / 'top_view.png')
    return [OUT / 'boxes.png', OUT / 'top_view.png']


def start_programs(plan: Plan, weights: str) -> Iterator[Program]:
    """Start tracker, camera, and where depth is played, what locates objects by it."""
    yield start_tracker(plan, weights)
    yield start_player(plan)
    if plan.depth:
        fixed_frame = plan.depth.files.camera.parent_frame
        yield start_objects_3d(fixed_frame, OUT / 'objects_3d.log')


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
    folder = plan.video
    if plan.depth and not plan.depth.exact:
        folder = with_stereo_noise(plan.video, OUT / 'clip_3d')
    arguments = [str(folder), '--rate', str(plan.rate_hz), '--start-paused']
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
    on_own_network()
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
