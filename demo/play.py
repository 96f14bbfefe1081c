"""Show a video as a camera in a loop, with the tracker and its page to click on, until Ctrl-C."""

import argparse
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from processes import DemoError, Program, on_own_network

HERE = Path(__file__).resolve().parent
OUT = HERE / 'out'
POLL_S = 0.1
READY_TIMEOUT_S = 120.0
HISTORY = {'history_s': 10.0, 'history_frames': 100}  # for boxes that are drawn at leisure


def parse_arguments(arguments) -> argparse.Namespace:
    """Return what to show, and where."""
    parser = argparse.ArgumentParser(prog='play', description=__doc__)
    parser.add_argument(
        '--video',
        default=str(HERE / 'clip' / 'clip.mp4'),
        help='video, folder of images, or webcam: 0, /dev/video0; left out, the demo clip',
    )
    parser.add_argument('--port', type=int, default=8080, help='of the page; 0: any')
    parser.add_argument('--model', default='', help="network to track with; left out, the node's")
    return parser.parse_args(arguments)


def programs(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the arguments of each program, in the order in which they start."""
    tracker = ['--ros-args', '-r', 'image:=/camera/image_raw']
    for name, value in HISTORY.items():
        tracker += ['-p', f'{name}:={value}']
    if options.model:
        tracker += ['-p', f'model:={options.model}']
    return {
        'web': ['--ros-args', '-p', f'port:={options.port}'],
        'tracker_node': tracker,
        'play_video': [options.video, '--loop', '--ros-args', '-r', '__ns:=/camera'],
    }


def play(options: argparse.Namespace) -> None:
    """Start all programs, say where the page is, and wait; raises DemoError where one ends."""
    OUT.mkdir(exist_ok=True)
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(Program(name, arguments, OUT / f'{name}.log'))
            for name, arguments in programs(options).items()
        }
        address = running['web'].wait_for_words('ready: ', READY_TIMEOUT_S)
        check_all(running)  # such as a camera without its video
        print(f'video      {options.video}')
        print(f'page       {address}   (Ctrl-C ends all)', flush=True)
        while True:
            check_all(running)
            time.sleep(POLL_S)


def check_all(running: Mapping[str, Program]) -> None:
    """Raise DemoError for a program that has ended."""
    for program in running.values():
        program.check()
        if program.ended:
            raise DemoError(f'{program.name} has ended')


def main(arguments=None) -> int:
    """Play until an interruption, which is no failure; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # also where a shell ignores them
    on_own_network()
    try:
        play(parse_arguments(arguments))
    except DemoError as error:
        print(f'play failed: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('ended', file=sys.stderr)
    return 0


if __name__ == '__main__':
    sys.exit(main())
