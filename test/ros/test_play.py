"""`make play`: camera, tracker and page together, until Ctrl-C."""

import re
import signal
import urllib.request
from pathlib import Path

import pytest

PLAY = Path(__file__).parents[2] / 'demo' / 'play.py'


@pytest.fixture
def play(start_program):
    """Start it on any free port."""
    return lambda *options: start_program(PLAY, '--port', '0', *options)


def children(program) -> list[int]:
    """Return the processes that a program has started and that run."""
    pid = program._process.pid
    return [
        int(path.parent.name)
        for path in Path('/proc').glob('[0-9]*/stat')
        if path.exists() and int(path.read_text().rpartition(')')[2].split()[1]) == pid
    ]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_address_is_printed_and_a_signal_ends_all_of_it(play, number):
    program = play()
    program.wait_for_log(r'page +http\S+/ .*\n')
    address = re.search(r'page +(http\S+/)', program.log).group(1)
    with urllib.request.urlopen(address) as response:
        assert b'<title>tam_ros</title>' in response.read()
    started = children(program)
    assert len(started) == 3
    status, _ = program.end_by(number)
    assert status == 0
    assert not [pid for pid in started if Path(f'/proc/{pid}').exists()]
    assert 'Traceback' not in program.log


def test_video_that_is_not_there_is_named(play):
    program = play('--video', '/no/such.mp4')
    assert program.wait_for_end() == 1
    assert '/no/such.mp4 is no file, folder or webcam number' in program.log.splitlines()[-1]
    assert 'Traceback' not in program.log
