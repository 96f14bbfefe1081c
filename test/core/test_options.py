"""Options: each is described, and a value that is not allowed is refused by name."""

import inspect
import math
from dataclasses import dataclass, fields

import pytest

from tam_ros.engine.load import EngineChoice
from tam_ros.geometry.options import GeometryOptions
from tam_ros.options import Option, check_options, option, options_of
from tam_ros.tracker.memory_options import MemoryOptions
from tam_ros.tracker.options import DetectionOptions, SessionOptions
from tam_ros.tracker.session import Session

GROUPS = (SessionOptions, DetectionOptions, MemoryOptions, GeometryOptions)
BOUNDED = [(g, n, o) for g in GROUPS for n, o in options_of(g).items() if o.between]


@dataclass(frozen=True)
class Lamp:
    """A group of options."""

    power_w: float = option(5.0, 'Power in watts.', between=(0.0, 60.0))
    color: str = option('', 'Its color.', choices=('', 'red'), live=False)
    place: str = option('hall', 'Where it stands.')
    serial: int = 0
    """No option."""

    def __post_init__(self):
        check_options(self)


def test_options_are_told_by_their_fields():
    assert (
        options_of(Lamp)
        == options_of(Lamp(power_w=6.0))
        == {
            'power_w': Option(5.0, 'Power in watts.', (0.0, 60.0)),
            'color': Option('', 'Its color.', choices=('', 'red'), live=False),
            'place': Option('hall', 'Where it stands.'),
        }
    )
    assert (Lamp.power_w, Lamp().power_w) == (5.0, 5.0)


def test_what_is_allowed_is_said_in_words():
    said = {name: described.allowed for name, described in options_of(Lamp).items()}
    assert said == {'power_w': '0 to 60', 'color': '"", red', 'place': ''}


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'power_w': 60.1}, 'power_w 60.1: use 0 to 60'),
        ({'power_w': math.nan}, 'power_w nan: use 0 to 60'),
        ({'color': 'blue'}, 'color \'blue\': use "", red'),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(values, message):
    with pytest.raises(ValueError, match=f'^{message}$'):
        Lamp(**values)


def test_values_at_the_ends_of_a_range_are_allowed():
    assert Lamp(power_w=0.0, place='anywhere').power_w == 0
    assert Lamp(power_w=60.0, color='red').power_w == 60


@pytest.mark.parametrize(('group', 'name', 'described'), BOUNDED)
def test_numbers_out_of_range_are_named(group, name, described):
    low, high = described.between
    for value in (low - 1, high * 2, math.nan):
        with pytest.raises(ValueError, match=f'{name} {value:g}: use {low:g} to {high:g}'):
            group(**{name: value})


@pytest.mark.parametrize('group', [*GROUPS, EngineChoice])
def test_every_field_is_an_option_whose_default_is_allowed_and_of_the_type_of_its_range(group):
    described = options_of(group)
    assert list(described) == [f.name for f in fields(group)]
    for each in described.values():
        assert each.description.endswith('.')
        assert each.allows(each.default)
        assert {type(end) for end in each.between or ()} <= {type(each.default)}


def test_every_number_of_the_groups_has_a_range():
    for group in (*GROUPS, EngineChoice):
        for name, each in options_of(group).items():
            is_number = isinstance(each.default, int | float) and not isinstance(
                each.default, bool
            )
            assert bool(each.between) == is_number, name


@pytest.mark.parametrize('name', ['max_objects', 'max_prompted_frames'])
def test_a_session_remembers_what_the_options_say_by_default(name):
    assert inspect.signature(Session).parameters[name].default == getattr(MemoryOptions, name)
