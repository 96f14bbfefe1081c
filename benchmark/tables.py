"""Markdown tables of figures: whole ones, and such that are printed while they are measured.

The machine with a GPU has no library for them.
"""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    return '\n'.join([_head(columns), *map(_row, rows)])


def print_head(*columns: str) -> None:
    """Begin a table whose rows take minutes each, so that none waits for the others' widths."""
    print(_head(columns), flush=True)


def print_row(*cells: object) -> None:
    """Print the next row of a table that `print_head` began."""
    print(_row(cells), flush=True)


def _head(columns: Sequence[str]) -> str:
    return f'{_row(columns)}\n|{"---|" * len(columns)}'


def _row(cells: Sequence[object]) -> str:
    return '| ' + ' | '.join(map(str, cells)) + ' |'
