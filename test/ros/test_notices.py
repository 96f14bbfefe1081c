"""Warnings by kind: none is lost to count, few are said."""

import pytest

from tam_ros.ros.notices import PERIOD_S, Notices


class Clock:
    """A clock that goes on when told to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def said():
    return []


@pytest.fixture
def notices(said, clock):
    return Notices(said.append, clock)


def test_first_of_each_kind_is_said_at_once(notices, said):
    notices.warn('ignored_images', 'image ignored')
    notices.warn('resets', 'tracker reset')
    assert said == ['image ignored', 'tracker reset']


def test_values_in_the_text_make_no_new_kind(notices, said, clock):
    for i in range(3000):
        notices.warn('ignored_images', f'image of {i} bytes')
        clock.now_s += PERIOD_S / 1024
    assert said == [
        'image of 0 bytes',
        'image of 1024 bytes (and 1023 more like it)',
        'image of 2048 bytes (and 1023 more like it)',
    ]
    assert notices.counts == {'ignored_images': 3000}


def test_a_kind_is_never_silent_for_good(notices, said, clock):
    for i in range(100):
        notices.warn('resets', f'reset {i}')
        clock.now_s += PERIOD_S
    assert len(said) == 100


def test_what_had_to_wait_is_said_later(notices, said, clock):
    for reason in ('another size', 'time jumped', 'another size again'):
        notices.warn('resets', reason)
    notices.say_due()
    assert said == ['another size']
    clock.now_s += PERIOD_S
    for _ in range(2):
        notices.say_due()
    assert said == ['another size', 'another size again (and 1 more like it)']
