"""Runs through files that stop: what is done is whole, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from offline_runs import (
    BOTTLE,
    BOTTLE_PROMPT,
    CLIP,
    COUNT,
    FAST,
    MUG,
    MUG_PROMPT,
    check_whole,
    first_frames,
    journal,
    journal_lines,
    masks,
    refusal,
    rows,
    track,
    write_images,
    write_prompts,
)
from video_files import write_video

from tam_ros.evaluation.measures import region_similarity
from tam_ros.offline.interruption import Interruption

LONG = 40  # frames
LONG_S = 300  # on a busy machine


def start(clip, out, *arguments) -> subprocess.Popen:
    program = [sys.executable, '-m', 'tam_ros.offline.command', str(clip), '--out', str(out)]
    return subprocess.Popen(
        [*program, *map(str, arguments), *FAST], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for_frames(process: subprocess.Popen, out, count: int) -> None:
    deadline = time.monotonic() + LONG_S
    while not (out / 'track.jsonl').exists() or len(journal_lines(out)) <= count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope='module')
def long_clip(tmp_path_factory):
    """Long enough that a signal comes before its end."""
    return write_video(
        tmp_path_factory.mktemp('clip') / 'long.mp4', 'mp4v', first_frames(LONG), 30.0
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_whole_and_goes_on(tmp_path, long_clip, number, capsys):
    out = tmp_path / 'out'
    process = start(long_clip, out, '--box', MUG, '--box', BOTTLE)
    wait_for_frames(process, out, 4)
    process.send_signal(number)
    said, errors = process.communicate(timeout=LONG_S)
    assert process.returncode == 128 + number, errors
    assert not errors
    done = len(journal(out))
    assert 4 <= done < LONG
    assert f'stopped after {done} of {LONG} frames: the same command goes on' in said.decode()
    check_whole(out, done)
    before, first_masks = journal_lines(out), masks(out)
    assert track(long_clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    assert f'going on after {done} frames' in capsys.readouterr().out
    check_whole(out, LONG)
    assert journal_lines(out)[: done + 1] == before
    for name, mask in first_masks.items():
        np.testing.assert_array_equal(masks(out)[name], mask)
    for row in rows(out):
        assert row['state'] == 'tracked'
    assert track(long_clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    assert f'all {LONG} frames are done' in capsys.readouterr().out


def test_a_resumed_run_finds_what_one_without_a_stop_finds(tmp_path, clip, tracked):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(tracked)[:7]))
    assert track(clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    check_whole(out, COUNT)
    whole, resumed = masks(tracked), masks(out)
    for name, mask in whole.items():
        for number in (1, 2):
            assert region_similarity(resumed[name] == number, mask == number) > 0.9
    for name in sorted(whole)[:6]:
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_a_run_stopped_after_its_prompts_goes_on_exactly(tmp_path, clip, tracked):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(tracked)[:2]))
    assert track(clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    assert journal_lines(out) == journal_lines(tracked)


@pytest.mark.parametrize('rest', [b'{"frame": 6, "na', b'{"frame": 6}\n', b'\0' * 50])
def test_what_a_killed_run_left_of_a_line_is_dropped(tmp_path, clip, tracked, rest):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(tracked)[:7]) + rest)
    assert track(clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    check_whole(out, COUNT)


def test_objects_out_of_sight_when_a_run_stops_are_found_again(tmp_path):
    images = first_frames(COUNT)
    grey = np.full_like(images[0], 128)
    clip = write_video(tmp_path / 'a.mp4', 'mp4v', [*images[:4], grey, grey, grey, *images[4:]])
    out = tmp_path / 'out'
    assert track(clip, '--box', MUG, '--out', out) == 0
    assert {line['objects'][0]['mask'] for line in journal(out)[4:7]} == {None}
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(out)[:7]))  # in the gap
    assert track(clip, '--box', MUG, '--out', out) == 0
    check_whole(out, COUNT + 3)
    assert journal(out)[-1]['objects'][0]['state'] == 'TRACKED'


def test_changed_prompts_begin_anew_from_their_frame_on(tmp_path, clip, capsys):
    out = tmp_path / 'out'
    before = write_prompts(tmp_path, MUG_PROMPT, BOTTLE_PROMPT | {'frame': 8})
    assert track(clip, '--prompts', before, '--out', out) == 0
    lines = journal_lines(out)
    after = write_prompts(tmp_path, MUG_PROMPT, BOTTLE_PROMPT | {'frame': 6})
    assert track(clip, '--prompts', after, '--out', out) == 0
    said = capsys.readouterr().out
    assert 'prompts have changed: of 12 frames that were done, 6 are kept' in said
    assert journal_lines(out)[:7] == lines[:7]
    assert [int(row['frame']) for row in rows(out) if row['object'] == '9'] == [*range(6, COUNT)]
    check_whole(out, COUNT)


def test_interruption_takes_the_first_signal_and_ends_by_the_second():
    former = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is former


def test_a_stop_while_going_over_what_is_done_leaves_it(tmp_path, clip, tracked, monkeypatch):
    out = tmp_path / 'out'
    out.mkdir()
    for name in ('overlay.mp4', 'contact_sheet.png'):
        (out / name).write_bytes((tracked / name).read_bytes())
    (out / 'track.jsonl').write_bytes(b''.join(journal_lines(tracked)[: COUNT + 1]))
    monkeypatch.setattr(Interruption, '__enter__', lambda self: setattr(self, 'number', 2) or self)
    monkeypatch.setattr(Interruption, '__exit__', lambda self, *_: None)
    assert track(clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 130
    assert (out / 'overlay.mp4').read_bytes() == (tracked / 'overlay.mp4').read_bytes()
    assert len(journal(out)) == COUNT
    assert len(rows(out)) == 2 * COUNT
    assert not list(out.rglob('part-*'))


# -- the folder for results -----------------------------------------------------------------


def test_results_of_another_run_stay_unless_asked_to_restart(tmp_path, clip, capsys):
    out = tmp_path / 'out'
    assert track(clip, '--box', MUG, '--out', out) == 0
    (out / 'notes.txt').write_text('mine')
    lines = journal_lines(out)
    said = refusal(capsys, clip, '--box', MUG, '--out', out, '--policy', 'dam')
    assert said == (
        f"{out} has results for policy 'fifo', asked for is 'dam': give another --out, or "
        '--restart to begin anew'
    )
    assert "has results for recording 'short.mp4', asked for is 'clip.mp4'" in refusal(
        capsys, CLIP, '--box', MUG, '--out', out
    )
    assert "model 'sam9'" in refusal(
        capsys, clip, '--box', MUG, '--out', out, '--restart', '--model', 'sam9'
    )
    assert journal_lines(out) == lines
    given = ['--click', '70,350', '--restart', '--policy', 'dam']
    assert track(clip, *given, '--out', out) == 0
    check_whole(out, COUNT)
    assert (out / 'notes.txt').read_text() == 'mine'


def test_folders_of_others_are_left_alone(tmp_path, clip, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'overlay.mp4').write_text('holiday')
    said = refusal(capsys, clip, '--box', MUG, '--out', out)
    assert said == f'--out {out} has files, but not of track_file: give a new folder'
    (out / 'track.jsonl').write_text('{"time": 3}\n')
    said = refusal(capsys, clip, '--box', MUG, '--out', out)
    assert said == f'{out / "track.jsonl"} is no record of track_file: give another --out'
    assert (out / 'overlay.mp4').read_text() == 'holiday'


def test_one_run_at_a_time_writes_to_a_folder(tmp_path, long_clip, capsys):
    out = tmp_path / 'out'
    process = start(long_clip, out, '--box', MUG)
    wait_for_frames(process, out, 1)
    said = refusal(capsys, long_clip, '--box', MUG, '--out', out, '--restart')
    process.terminate()
    process.communicate(timeout=LONG_S)
    assert said == f'{out} is in use by another program: give another --out'
    check_whole(out, len(journal(out)))


def test_a_recording_that_has_changed_is_not_gone_on_with(tmp_path, capsys):
    images = write_images(tmp_path / 'images', (320, 240), ['1.png', '2.png', '3.png'])
    out = tmp_path / 'out'
    assert track(images, '--click', '38,175', '--out', out) == 0
    lines = journal_lines(out)
    (out / 'track.jsonl').write_bytes(b''.join(lines[:3]))
    (images / '2.png').rename(images / '9.png')
    assert track(images, '--click', '38,175', '--out', out) == 1
    said = capsys.readouterr().err
    assert 'images has changed: frame 1 was 2, now it is 3; set --restart to begin' in said
    assert len(journal(out)) == 2
