"""Markdown tables of figures: whole ones, and such that are printed while they are measured."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table."""
    return tabulate(list(rows), columns, tablefmt='github', disable_numparse=True)


def print_head(*columns: str) -> None:
    """Begin a table whose rows take minutes each, so that none waits for the others' widths."""
    print_row(*columns)
    print('|' + '---|' * len(columns), flush=True)


def print_row(*cells: object) -> None:
    """Print the next row of a table that `print_head` began."""
    print('| ' + ' | '.join(map(str, cells)) + ' |', flush=True)
