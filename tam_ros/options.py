"""Options as fields of dataclasses: each says in one place what it means and what it may be.

Knows no ROS. The node's parameters, its parameter file and the table of them are made of this.
"""

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

Value = TypeVar('Value')
KEY = 'option'  # in the metadata of a field


@dataclass(frozen=True)
class Option:
    """What one option means, and which values it may have."""

    default: Any
    """A bool, int, float or str; other values are of its type."""
    description: str
    """One or more whole sentences for a user, with the unit."""
    between: tuple[float, float] | None = None
    """Smallest and largest value, of the default's type; None for what is no number."""
    choices: tuple[str, ...] = ()
    """All values it may have; empty where any will do, or those between two."""
    live: bool = True
    """Whether it may change while the program runs."""

    def allows(self, value: Any) -> bool:
        """Return whether it may have a value; no number that has a range may be NaN."""
        if self.choices:
            return value in self.choices
        return self.between is None or self.between[0] <= value <= self.between[1]

    @property
    def allowed(self) -> str:
        """The values it may have, in words; '' where all are allowed."""
        if self.between:
            return f'{self.between[0]:g} to {self.between[1]:g}'
        return ', '.join(choice or '""' for choice in self.choices)


def option(
    default: Value,
    description: str,
    *,
    between: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    live: bool = True,
) -> Value:
    """Return the field of a dataclass for an option; see `Option`."""
    described = Option(default, description, between, choices, live)
    return field(default=default, metadata={KEY: described})


def options_of(kind: Any) -> dict[str, Option]:
    """Return the options among the fields of a dataclass, or of one of its instances, by name."""
    return {f.name: f.metadata[KEY] for f in fields(kind) if KEY in f.metadata}


def check_options(values: Any) -> None:
    """Raise ValueError for the first option of a dataclass whose value is not allowed."""
    for name, described in options_of(values).items():
        value = getattr(values, name)
        if not described.allows(value):
            shown = repr(value) if described.choices else f'{value:g}'
            raise ValueError(f'{name} {shown}: use {described.allowed}')
