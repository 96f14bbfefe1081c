"""Tables of what `gpu.py` measured, as Markdown for README.md."""

from collections.abc import Sequence
from typing import Any

from tables import table

Row = dict[str, Any]
STAGES = ('encode_image', 'attend_memory', 'decode_mask', 'encode_memory')
SPEED = ('model', 'px', 'objects', 'who', *STAGES, 'stages', 'total', 'x official', 'MiB', 'IoU')
GOLDEN = ('test', 'outcome', 'difference', 'bar')
PRECISE = ('fp32', 'tf32')  # kinds to be compared with the official code in fp32


def markdown(parts: Sequence[Row], rows: dict[str, list[Row]]) -> str:
    """Return all tables; rows are by part."""
    flat = [row for part in rows.values() for row in part]
    speed = [row for row in flat if 'stage_ms' in row]
    sections = [
        _machine(rows.get('machine', [])),
        '## Milliseconds per frame, 1280x720 input',
        table(SPEED, _speed_cells(speed)),
        '## The official outputs, PyTorch in fp32 and float64, TF32 off',
        table(GOLDEN, [_values(row, *GOLDEN) for row in flat if 'test' in row]),
        '## Memory, two objects at 256 px',
        table(('frame', 'resident MiB', 'device MiB', 'frames/s'), _memory_cells(flat)),
        '## What could not be measured',
        table(('what', 'why'), _failures(parts, flat)),
        '## Parts',
        table(
            ('part', 'state', 'seconds'), [_values(p, 'part', 'state', 'seconds') for p in parts]
        ),
    ]
    return '\n\n'.join(section for section in sections if section) + '\n'


def _machine(rows: list[Row]) -> str:
    return '\n'.join(', '.join(f'{k} {v}' for k, v in row.items()) for row in rows)


def _values(row: Row, *keys: str) -> list[object]:
    return [row.get(key, '') for key in keys]


def _speed_cells(rows: list[Row]) -> list[list[object]]:
    """Cells of one row each; the total has the image's resizing in it, the official one not."""
    official = {(_case(row), row['who']): _network_ms(row) for row in rows}
    return [_speed_row(row, official) for row in rows]


def _speed_row(row: Row, official: dict) -> list[object]:
    times, who = row['stage_ms'], str(row['who'])
    precision = 'fp32' if who.removesuffix('+compile') in PRECISE else 'bf16'
    theirs = official.get((_case(row), f'official {precision}'))
    network = _network_ms(row)
    ratio = f'{network / theirs:.2f}' if theirs and not who.startswith('official') else ''
    return [
        *_values(row, 'model', 'px', 'objects', 'who'),
        *(f'{times[stage]:.1f}' for stage in STAGES),
        f'{network:.1f}',
        f'{times["total"]:.1f}',
        ratio,
        f'{row["peak_mb"]:.0f}' if 'peak_mb' in row else '',
        f'{row["mask_iou"]:.3f}' if 'mask_iou' in row else '',
    ]


def _case(row: Row) -> tuple:
    return row['model'], row['px'], row['objects']


def _network_ms(row: Row) -> float:
    return sum(row['stage_ms'][stage] for stage in STAGES)


def _memory_cells(rows: list[Row]) -> list[list[str]]:
    return [
        [
            f'{row["frame"]:,}',
            f'{row["resident_mb"]:.0f}',
            f'{row["device_mb"]:.0f}',
            f'{row["rate_hz"]:.1f}',
        ]
        for row in rows
        if 'resident_mb' in row
    ]


def _failures(parts: Sequence[Row], rows: list[Row]) -> list[list[object]]:
    """What of a part, or which part, failed or was left out, and why."""
    failed = [
        [' '.join(map(str, _values(row, 'model', 'objects', 'who'))).strip(), row['error']]
        for row in rows
        if 'error' in row
    ]
    stopped = [[part['part'], part['state']] for part in parts if part['state'] != 'done']
    return failed + stopped
