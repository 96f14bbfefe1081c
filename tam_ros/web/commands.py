"""What a viewer asks for: read from the page's messages, which are not trusted, and bounded."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tam_ros.prompts import BACKGROUND, LONGEST_LABEL, OBJECT
from tam_ros.web.pictures import Picture

LARGEST_ID = 2**32 - 1  # of the messages; the tracker says which ids there are


class CommandError(ValueError):
    """A message cannot be followed; the text is for the viewer."""


@dataclass(frozen=True)
class AddPrompt:
    """Start an object, or refine one, on the picture that was seen."""

    stamp_ns: int
    """Of the picture."""
    object_id: int
    """The object to refine; 0 for a new one."""
    point: tuple[float, float, int] | None = None
    """x, y in pixels of the image, and 1 on the object or 0 on the background."""
    box_xyxy: tuple[int, int, int, int] | None = None
    """x0, y0, x1, y1 in pixels of the image; instead of a point."""


@dataclass(frozen=True)
class Remove:
    """Stop tracking an object."""

    object_id: int
    """At least 1."""


@dataclass(frozen=True)
class SetLabel:
    """Give an object another label."""

    object_id: int
    """At least 1."""
    label: str
    """Of at most `LONGEST_LABEL` characters."""


@dataclass(frozen=True)
class Reset:
    """Stop tracking all objects."""


@dataclass(frozen=True)
class SetTarget:
    """Choose the object that the topics of the target are about."""

    object_id: int
    """0 to leave the choice to objects_3d."""


Command = AddPrompt | Remove | SetLabel | Reset | SetTarget


def read_message(text: str) -> dict:
    """Return a message of the page, which has `do` and a number `n`; raises CommandError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError('the message is not JSON') from None
    if not isinstance(message, dict) or not isinstance(message.get('do'), str):
        raise CommandError('the message has no "do"')
    return message


def to_command(message: dict, pictures: Iterable[Picture]) -> Command:
    """Return what a message asks for; raises CommandError.

    pictures: those that the viewer may see, of which a prompt must name one by its stamp.
    """
    do = message['do']
    if do in ('click', 'box'):
        picture = _picture(message, pictures)
        return _click(message, picture) if do == 'click' else _box(message, picture)
    if do not in PLAIN:
        raise CommandError(f'nobody can {do[:20]!r}: use click, box, {", ".join(PLAIN)}')
    return PLAIN[do](message)


PLAIN: dict[str, Callable[[dict], Command]] = {
    'remove': lambda message: Remove(_integer(message, 'object_id', 1)),
    'label': lambda message: SetLabel(_integer(message, 'object_id', 1), _label(message)),
    'reset': lambda message: Reset(),
    'target': lambda message: SetTarget(_integer(message, 'object_id', 0)),
}


def _picture(message: dict, pictures: Iterable[Picture]) -> Picture:
    stamp = message.get('stamp')
    for picture in pictures:
        if str(picture.stamp_ns) == stamp:
            return picture
    raise CommandError('the picture that was clicked is not known any more: click again')


def _click(message: dict, picture: Picture) -> AddPrompt:
    """Read a click: on what is selected; else on what is under it, or on something new."""
    width, height = picture.size_wh
    x, y = _number(message, 'x', width), _number(message, 'y', height)
    selected, under = _integer(message, 'selected', 0), picture.object_at(x, y)
    if message.get('background') is True:
        object_id = under or selected
        if not object_id:
            raise CommandError(
                'no object is there: click the background on an object, or select one first'
            )
        return AddPrompt(picture.stamp_ns, object_id, (x, y, BACKGROUND))
    return AddPrompt(picture.stamp_ns, selected or under, (x, y, OBJECT))


def _box(message: dict, picture: Picture) -> AddPrompt:
    width, height = picture.size_wh
    x0, x1 = (round(_number(message, name, width)) for name in ('x0', 'x1'))
    y0, y1 = (round(_number(message, name, height)) for name in ('y0', 'y1'))
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return AddPrompt(picture.stamp_ns, _integer(message, 'selected', 0), box_xyxy=box)


def _number(message: dict, name: str, limit: int) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandError(f'{name} is no number')
    if not 0 <= value <= limit:  # neither is NaN
        raise CommandError(f'{name} {value!r:.20}: use 0 to {limit}')
    return float(value)


def _integer(message: dict, name: str, lowest: int) -> int:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise CommandError(f'{name} is no whole number')
    if not lowest <= value <= LARGEST_ID:
        raise CommandError(f'{name} {value!r:.20}: use {lowest} to {LARGEST_ID}')
    return value


def _label(message: dict) -> str:
    label = message.get('label')
    if not isinstance(label, str):
        raise CommandError('label is no text')
    if len(label) > LONGEST_LABEL:
        raise CommandError(f'label of {len(label)} characters: use at most {LONGEST_LABEL}')
    if any('\ud800' <= character <= '\udfff' for character in label):
        raise CommandError('label has half a character')
    return label
