"""Export a network as ONNX graphs for the ONNX Runtime engine, and check each against PyTorch.

Usage: export_onnx [--model NAME] [--weights FILE] [--image-size PX] [--precision fp32|fp16]
[--max-objects N] [--out DIR]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tam_ros.engine.manifest import PRECISIONS
from tam_ros.networks import MODELS

NEEDED = ('torch', 'onnx', 'onnxscript', 'onnxruntime', 'safetensors')  # packages


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `export_onnx`; return the exit status."""
    options, _ = make_parser().parse_known_args(arguments)  # `ros2 run` may add --ros-args
    try:
        from tam_ros.engine.export import export_as_asked

        return export_as_asked(options)
    except ModuleNotFoundError as error:
        if (error.name or '').partition('.')[0] not in NEEDED:
            raise
        print(f'export_onnx: {error}: pip install {" ".join(NEEDED)}', file=sys.stderr)
        return 1


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='export_onnx',
        description=__doc__.split('\n')[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        '--model', default='tam_nano', choices=list(MODELS), metavar='NAME', help=', '.join(MODELS)
    )
    add('--weights', default='', help="checkpoint; empty for the model's own")
    add('--image-size', type=int, default=0, help="0 for the model's own")
    add('--precision', default='fp32', choices=PRECISIONS, help='of weights and computation')
    add('--max-objects', type=int, default=16, help='that will be tracked')
    add('--out', type=Path, help='folder; one in the cache without it')
    return parser
