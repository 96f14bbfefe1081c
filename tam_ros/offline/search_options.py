"""Searches as a command line gives them, and as those of a prompt file are given."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tam_ros.offline.plan import Moment, PlannedSearch
from tam_ros.prompts import Box, Prompt, PromptError
from tam_ros.tracker.discovery import DiscoveryRequest
from tam_ros.tracker.options import DiscoveryOptions

# No frame waits, and what is found should be the same whatever else the machine does.
DEFAULTS = DiscoveryOptions(max_s=600.0)
NAMES = {  # of options that may be given, and what a command line says of them
    'max_objects': 'objects to find at most, the best ones',
    'min_score': 'of their masks, the predicted IoU, 0 to 1',
    'min_area': 'of their masks, as a part of the image, 0 to 1',
    'fine_points': 'along each side of a finer grid, such as 16, to look where nothing is yet',
}


def add_search_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option to search, and those of a search."""
    searches = parser.add_argument_group('searches')
    add = searches.add_argument
    add('--discover', action='store_true', help='track what can be found in the first frame')
    for name, meaning in NAMES.items():
        default = getattr(DEFAULTS, name)
        text = f'{meaning} (default: {default})'
        add(_flag(name), type=type(default), metavar='N', help=text)
    add('--region', metavar='X0,Y0,X1,Y1', help='part of the image to search (default: all)')
    add('--label', help='of all that is found')


def search_of_arguments(args: argparse.Namespace) -> PlannedSearch | None:
    """Return the search that options ask for, if any; raises PromptError for other values."""
    names = (*NAMES, 'region', 'label')
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if not args.discover:
        if given:
            raise PromptError(f'{_flag(next(iter(given)))} is for searches: give --discover, too')
        return None
    label = given.pop('label', '')
    if 'region' in given:
        source = f'--region {given["region"]}'
        given['region'] = read_numbers(source, given['region'], 'x0,y0,x1,y1')
    return make_search('--discover', given, label, Moment())


def make_search(source: str, given: Any, label: str, at: Moment) -> PlannedSearch:
    """Return a search; given: a mapping of a region and `NAMES`, each as a user wrote it.

    Raises PromptError for another.
    """
    allowed = (*NAMES, 'region')
    if not isinstance(given, Mapping):
        raise PromptError(f'discover {given!r}: use {{}}, or {{...}} with {", ".join(allowed)}')
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise PromptError(f'discover {unknown[0]!r} is unknown: use {", ".join(allowed)}')
    request = DiscoveryRequest(_region(given.get('region')), start=True, label=label)
    return PlannedSearch(source, request, _options(given), at)


def read_numbers(source: str, text: str, form: str) -> list[float]:
    """Return the numbers of a text; form: such as 'x,y'. Raises PromptError for other texts."""
    try:
        numbers = [float(part) for part in text.split(',')]
    except ValueError:
        numbers = []
    if len(numbers) != form.count(',') + 1:
        raise PromptError(f'{source}: use {form}, in pixels')
    return numbers


def check_number(name: str, value: Any, kind: type[int] | type[float]) -> float:
    """Return a value as int or float; raises PromptError for what is no such number."""
    is_whole = kind is int
    if isinstance(value, bool) or not isinstance(value, int if is_whole else (int, float)):
        raise PromptError(f'{name} {value!r}: use a {"whole " * is_whole}number')
    return kind(value)


def _flag(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _region(value: Any) -> Box | None:
    try:
        return None if value is None else Prompt(box_xyxy=value).box_xyxy
    except PromptError as error:
        raise PromptError(f'region: {error}') from error


def _options(given: Mapping[str, Any]) -> DiscoveryOptions:
    values: dict[str, Any] = {
        n: check_number(n, given[n], type(getattr(DEFAULTS, n))) for n in NAMES if n in given
    }
    try:
        return replace(DEFAULTS, **values)
    except ValueError as error:
        raise PromptError(str(error)) from error
