"""The engine that a command line chooses; shared by the commands that track."""

import argparse
from typing import NoReturn

from tam_ros.engine.load import ENGINE_CHOICES, ENGINE_PRECISIONS, EngineChoice
from tam_ros.options import check_options


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that tracks: which network, and what runs it."""
    add = parser.add_argument
    add('--model', default=EngineChoice.model, help='name of the network')
    add('--weights', default='', help="checkpoint (default: the model's own)")
    add('--engine', default='', choices=ENGINE_CHOICES, help='torch or onnx (default: as node)')
    add('--image-size', type=int, default=0, help="network input (default: the model's)")
    add('--device', default=EngineChoice.device)
    add('--precision', default='', choices=ENGINE_PRECISIONS)
    add('--threads', type=int, default=0, help='CPU threads of the network (default: all cores)')


def engine_choice(args: argparse.Namespace) -> EngineChoice:
    """Return what the options choose; raises ValueError for what no engine could be."""
    choice = EngineChoice(
        args.model,
        args.weights,
        engine=args.engine,
        image_size=args.image_size,
        device=args.device,
        precision=args.precision,
        threads=args.threads,
    )
    check_options(choice)
    return choice


def refuse(parser: argparse.ArgumentParser, error: Exception) -> NoReturn:
    """End a command that cannot do what it is asked; in one line, for it was called rightly."""
    parser.exit(2, f'{parser.prog}: error: {error}\n')
