"""Prompts as a command line and a JSON file give them; and a file's searches."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tam_ros.mask_files import VOID, read_masks
from tam_ros.offline.plan import LARGEST_ID, Moment, Planned, PlannedPrompt
from tam_ros.offline.recording import SECOND
from tam_ros.offline.search_options import check_number, make_search, read_numbers
from tam_ros.paths import file_fault, user_path
from tam_ros.prompts import Prompt, PromptError

SHOWN = ('points', 'point_labels', 'box', 'mask')  # what is said of one object
KEYS = ('frame', 'stamp', 'object', 'label', *SHOWN, 'discover')

Given = tuple[str, str]  # box, click or mask, and its text


# -- of the command line --------------------------------------------------------------------


def prompts_of_options(given: Sequence[Given]) -> list[PlannedPrompt]:
    """Return the prompts of options for the first frame, in their order.

    Masks name their objects themselves; each box and click is an object of its own, under the
    lowest number that is free. Raises PromptError or SourceError.
    """
    masks = [planned for kind, text in given if kind == 'mask' for planned in _of_mask(text)]
    ids = [planned.object_id for planned in masks]
    for object_id in ids:
        if ids.count(object_id) > 1:
            raise PromptError(f'two masks hold object {object_id}: number them differently')
    free = iter(n for n in range(1, LARGEST_ID + 1) if n not in ids)
    others = [
        _of_numbers(kind, text, next(free, LARGEST_ID + 1))
        for kind, text in given
        if kind != 'mask'
    ]
    return masks + others


def _of_numbers(kind: str, text: str, object_id: int) -> PlannedPrompt:
    source = f'--{kind} {text}'
    numbers = read_numbers(source, text, {'box': 'x0,y0,x1,y1', 'click': 'x,y'}[kind])
    prompt = Prompt(box_xyxy=numbers) if kind == 'box' else Prompt([numbers])
    return PlannedPrompt(source, object_id, prompt)


def _of_mask(text: str) -> list[PlannedPrompt]:
    """Return a prompt for each object of a mask file."""
    labels = _read_mask(user_path(text))
    ids = [int(n) for n in np.unique(labels) if n not in (0, VOID)]
    if not ids:
        raise PromptError(f'--mask {text} shows no object: all its pixels are 0')
    return [PlannedPrompt(f'--mask {text}', n, Prompt(mask=labels == n)) for n in ids]


def _read_mask(path: Path) -> np.ndarray:
    """Return (H, W) uint8 numbers of objects; raises PromptError or SourceError."""
    fault = file_fault(path)
    if fault:
        raise PromptError(f'mask {path} {fault}')
    return read_masks([path])[0]


# -- of a JSON file -------------------------------------------------------------------------


def read_prompt_file(path: Path) -> list[Planned]:
    """Return the prompts of a file: a list, or {"prompts": a list}, of objects with `KEYS`.

    A frame is an index, a stamp seconds; a mask is a file beside this one; what one with
    `discover` asks for is a search. Raises PromptError or SourceError, which name the prompt.
    """
    fault = file_fault(path)
    if fault:
        raise PromptError(f'prompts {path} {fault}')
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise PromptError(f'{path} is no JSON: {error}') from error
    listed = values.get('prompts') if isinstance(values, dict) else values
    if not isinstance(listed, list):
        raise PromptError(f'{path}: give a list of prompts, or {{"prompts": [...]}}')
    return [_of_values(f'{path}: prompt {n}', each, path) for n, each in enumerate(listed, 1)]


def _of_values(source: str, values: Any, path: Path) -> Planned:
    try:
        if not isinstance(values, dict):
            raise PromptError(f'{values!r} is no object with keys of {", ".join(KEYS)}')
        _check_keys(values)
        label, at = _text(values, 'label'), _moment(values)
        if 'discover' in values:
            return make_search(source, values['discover'], label, at)
        return PlannedPrompt(source, _whole(values, 'object'), _prompt(values, path), label, at)
    except PromptError as error:
        raise PromptError(f'{source}: {error}') from error


def _check_keys(values: Mapping[str, Any]) -> None:
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise PromptError(f'{unknown[0]!r} is unknown: use {", ".join(KEYS)}')
    if 'frame' in values and 'stamp' in values:
        raise PromptError('it has a frame and a stamp: give one of them')
    shown = [key for key in ('object', *SHOWN) if key in values]
    if 'discover' in values and shown:
        raise PromptError(f'it has discover and {shown[0]}: give one of them')
    if 'discover' not in values and 'object' not in values:
        raise PromptError(f'it names no object: give "object", 1 to {LARGEST_ID}')


def _prompt(values: Mapping[str, Any], path: Path) -> Prompt:
    mask = _text(values, 'mask')
    return Prompt(
        values.get('points'),
        values.get('point_labels'),
        values.get('box'),
        _mask_of(path.parent / mask, values['object']) if mask else None,
    )


def _mask_of(path: Path, object_id: int) -> np.ndarray:
    """Return an object's pixels in a file: those of its number, or all of the only object."""
    labels = _read_mask(path)
    ids = [n for n in np.unique(labels) if n not in (0, VOID)]
    if object_id not in ids and len(ids) > 1:
        shown = ', '.join(map(str, ids))
        raise PromptError(f'mask {path} has no object {object_id}, but {shown}')
    return labels == (object_id if object_id in ids else ids[0] if ids else VOID)


def _whole(values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    return int(check_number(key, values.get(key, default), int))


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, '')
    if not isinstance(value, str):
        raise PromptError(f'{key} {value!r}: use a text')
    return value


def _moment(values: Mapping[str, Any]) -> Moment:
    if 'stamp' not in values:
        return Moment(_whole(values, 'frame', 0))
    stamp = values['stamp']
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or not abs(stamp) < 1e10:
        raise PromptError(f'stamp {stamp!r}: use seconds')
    return Moment(None, round(stamp * SECOND))
