"""Measure all that needs a GPU, within minutes: see `gpu.sh`.

Each part is a process of its own, so that none can spoil another, and is stopped when the time is
up. results.json and results.md are written anew after every part, with what there is by then.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from gpu_parts import PARTS, Options, Row
from gpu_tables import markdown

from tam_ros.engine.base import EngineError
from tam_ros.engine.torch_engine import check_device

SHORTEST_S = 10  # a part is not begun with less
LARGEST_SHARE = 0.4  # of all the time, for one part that others follow


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--budget-s', type=float, default=290)
    parser.add_argument('--out', type=Path, default=Path('benchmark/out'))
    parser.add_argument('--size', type=int, default=1024, help='px, of the published networks')
    parser.add_argument('--nano-size', type=int, default=384, help='px, of tam_nano')
    parser.add_argument('--frames', type=int, default=40, help='per row; 16 fill the memory')
    parser.add_argument('--memory-frames', type=int, default=2000)
    parser.add_argument('--reference', type=Path, help='holds checkouts EdgeTAM, EfficientTAM')
    parser.add_argument('--parts', nargs='+', default=list(PARTS), choices=list(PARTS))
    parser.add_argument('--part', choices=list(PARTS), help='run only this one, here')
    arguments = parser.parse_args()
    try:
        check_device(arguments.device)
    except EngineError as error:
        parser.error(str(error))
    return arguments


def options_of(arguments: argparse.Namespace) -> Options:
    """Return what the parts want to know."""
    names = ('device', 'size', 'nano_size', 'frames', 'memory_frames', 'reference')
    return Options(**{name: getattr(arguments, name) for name in names})


def rows_path(out: Path, part: str) -> Path:
    """Return the file that a part writes its rows to, one a line."""
    return out / f'{part}.jsonl'


def run_part(part: str, options: Options, out: Path) -> None:
    """Measure one part, writing each row at once."""
    with rows_path(out, part).open('w') as file:
        for row in PARTS[part](options):
            print(json.dumps(row), file=file, flush=True)
            print(part, row, flush=True)


def run_apart(part: str, out: Path, seconds: float) -> Row:
    """Run a part in a process of its own; return its state, and what it said if it failed."""
    command = [sys.executable, __file__, *sys.argv[1:], '--part', part]
    log = out / f'{part}.log'
    start = time.monotonic()
    with log.open('w') as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            state = 'done' if process.wait(seconds) == 0 else f'ended with {process.returncode}'
        except subprocess.TimeoutExpired:
            state = f'stopped after {seconds:.0f} s'
        finally:
            _stop(process)
    row: Row = {'part': part, 'state': state, 'seconds': round(time.monotonic() - start, 1)}
    if state != 'done':
        row['log'] = log.read_text(errors='replace').strip()[-1000:]
    return row


def _stop(process: subprocess.Popen) -> None:
    """End a part with all that it started: compilers have workers."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def read_rows(out: Path, part: str) -> list[Row]:
    """Return what a part has written, without a line that was cut off."""
    path = rows_path(out, part)
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith('\n')]


def write_results(out: Path, options: Options, parts: list[Row]) -> str:
    """Write results.json and results.md; return the latter."""
    rows = {part: read_rows(out, part) for part in PARTS}
    asked = {**asdict(options), 'reference': options.reference is not None}
    results = {'options': asked, 'parts': parts, 'rows': rows}
    (out / 'results.json').write_text(json.dumps(results, indent=1))
    text = markdown(parts, rows)
    (out / 'results.md').write_text(text)
    return text


def main() -> None:
    """Run all parts that there is time for, and print the tables."""
    arguments = parse_arguments()
    options, out = options_of(arguments), arguments.out
    out.mkdir(parents=True, exist_ok=True)
    if arguments.part:
        run_part(arguments.part, options, out)
        return
    for part in PARTS:
        rows_path(out, part).unlink(missing_ok=True)
    end, parts, text = time.monotonic() + arguments.budget_s, [], ''
    for part in arguments.parts:
        left = end - time.monotonic()
        if part != arguments.parts[-1]:
            left = min(left, LARGEST_SHARE * arguments.budget_s)
        if left < SHORTEST_S:
            parts.append({'part': part, 'state': 'no time left', 'seconds': 0.0})
        else:
            parts.append(run_apart(part, out, left))
        text = write_results(out, options, parts)
    print(text)


if __name__ == '__main__':
    main()
