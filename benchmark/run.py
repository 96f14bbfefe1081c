"""Run the benchmarks: `make bench [REFERENCE=checkout] [BENCH_ARGS="stages ros memory"]`."""

import argparse
import platform
from datetime import date
from pathlib import Path

import parity
import stages
import torch


def machine_line(threads: int) -> str:
    """Return what the figures were measured on."""
    with open('/proc/cpuinfo') as file:
        models = [line.split(':')[1].strip() for line in file if line.startswith('model name')]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'
    return (
        f'{date.today()}, {models[0] if models else platform.machine()} x {len(models)}, {gpu}, '
        f'{threads} threads, torch {torch.__version__}, Python {platform.python_version()}'
    )


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'what', nargs='*', default=list(BENCHMARKS), help=f'of {", ".join(BENCHMARKS)}'
    )
    parser.add_argument('--reference', type=Path, help='checkout of the official code')
    parser.add_argument('--model', default='edgetam', help="its family must be the checkout's")
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--kinds', nargs='+', default=['fp32', 'bf16'], help='of fp32, bf16, fp16 and onnx'
    )
    parser.add_argument('--sizes', type=int, nargs='+', default=[512, 1024])
    parser.add_argument('--objects', type=int, nargs='+', default=[1, 3, 8])
    parser.add_argument('--frames', type=int, default=17, help='per case; memory is full at 7')
    parser.add_argument('--engine', default='torch', help='of latency: torch or onnx')
    parser.add_argument('--weights', default='', help="of latency: default the model's own")
    parser.add_argument('--image-size', type=int, default=0, help="of latency: 0 the model's own")
    parser.add_argument('--precision', default='', help='of latency: fp32 or bf16')
    parser.add_argument('--camera-hz', type=float, default=30.0, help='of latency')
    parser.add_argument(
        '--best-effort', action='store_true', help='of latency: the camera does not send again'
    )
    parser.add_argument('--seconds', type=float, default=30.0, help='of latency, per row')
    parser.add_argument('--memory-frames', type=int, default=10_000)
    return parser.parse_args()


def title(text: str) -> None:
    """Print the title of a section."""
    print(f'\n## {text}\n', flush=True)


def run_stages(options: argparse.Namespace) -> None:
    """Measure the stages, beside the reference where there is one."""
    title('Milliseconds per frame, 1280x720 input, full memory')
    stages.measure(
        [stages.Case(options.model, s, n) for s in options.sizes for n in options.objects],
        kinds=options.kinds,
        frames=options.frames,
        threads=options.threads,
        device=options.device,
        checkout=options.reference,
    )


def run_parity(options: argparse.Namespace) -> None:
    """Compare with the reference, where there is one."""
    if options.reference:
        title('Difference from the reference, two objects at 256 px')
        images_rgb = stages.noise_frames(options.frames)
        case = stages.Case(options.model, 256, 2)
        parity.measure(case, images_rgb, options.reference, options.threads)


def run_ros(options: argparse.Namespace) -> None:
    """Measure what ROS costs."""
    import ros_cost  # here, as below: the other benchmarks run without ROS

    title('Milliseconds of ROS per 1280x720 frame, beside the tracker')
    ros_cost.measure()


def run_latency(options: argparse.Namespace) -> None:
    """Measure how old masks are."""
    import latency

    title(f'Age of masks, {options.model}, 640x480 at {options.camera_hz:g} Hz')
    latency.print_columns()
    names = ('model', 'image_size', 'engine', 'precision', 'device', 'threads', 'weights')
    for objects in options.objects:
        latency.measure(
            objects,
            options.seconds,
            rate_hz=options.camera_hz,
            reliable=not options.best_effort,
            **{name: getattr(options, name) for name in names},
        )


def run_search(options: argparse.Namespace) -> None:
    """Measure what a search costs frames."""
    import search_latency

    title('Processor time of frames and of the steps of a search between them, tam_nano')
    search_latency.measure_steps()
    title('Age of masks while a search goes on, tam_nano, the demo clip at 10 Hz')
    search_latency.measure()


def run_memory(options: argparse.Namespace) -> None:
    """Measure memory over many frames."""
    import resident_memory

    title('Resident memory, two objects at 256 px')
    resident_memory.measure(options.memory_frames)


def run_geometry(options: argparse.Namespace) -> None:
    """Measure boxes and clouds of objects on exact scenes."""
    import geometry

    title('Boxes and clouds of objects')
    geometry.print_tables()


def run_rgbd(options: argparse.Namespace) -> None:
    """Measure boxes and clouds of objects on a rendered clip."""
    import rgbd

    title('Boxes and clouds of objects on the clip with depth')
    rgbd.print_tables()


def run_web(options: argparse.Namespace) -> None:
    """Measure what viewers of the page cost."""
    import web_cost

    title('Processor time of the node web, 1280x720 at 10 Hz, three objects')
    web_cost.measure()


BENCHMARKS = {
    'stages': run_stages,
    'parity': run_parity,
    'ros': run_ros,
    'latency': run_latency,
    'search': run_search,
    'memory': run_memory,
    'geometry': run_geometry,
    'rgbd': run_rgbd,
    'web': run_web,
}


def main() -> None:
    """Run what was asked for and print tables."""
    options = parse_arguments()
    print(machine_line(options.threads), flush=True)
    for name, run in BENCHMARKS.items():
        if name in options.what:
            run(options)


if __name__ == '__main__':
    main()
