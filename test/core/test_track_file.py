"""Tracking in files: every frame, all results, prompts on any frame, stops, and refusals."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from offline_runs import (
    BOTTLE,
    CLIP,
    FAST,
    MUG,
    check_whole,
    film,
    first_frames,
    journal,
    masks,
    refusal,
    rows,
    track,
)
from PIL import Image
from video_files import write_cut_download, write_video

from tam_ros.evaluation.measures import region_similarity
from tam_ros.image_files import SourceError
from tam_ros.offline.interruption import Interruption
from tam_ros.offline.recording import Recording, Stopwatch, View, open_files, with_times

COUNT, LONG = 12, 40  # frames
LONG_S = 300  # on a busy machine
MUG_PROMPT = {'object': 1, 'label': 'mug', 'box': [32, 303, 122, 399]}
BOTTLE_PROMPT = {'object': 9, 'label': 'bottle', 'box': [404, 100, 447, 218]}


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """The beginning of the demo clip."""
    return write_video(
        tmp_path_factory.mktemp('clip') / 'short.mp4', 'mp4v', first_frames(COUNT), 30.0
    )


@pytest.fixture(scope='module')
def tracked(clip, tmp_path_factory):
    """Results of the clip, of a run that nothing stopped."""
    out = tmp_path_factory.mktemp('tracked') / 'out'
    assert track(clip, '--box', MUG, '--box', BOTTLE, '--out', out) == 0
    return out


def write_prompts(folder, *prompts):
    path = folder / 'prompts.json'
    path.write_text(json.dumps(list(prompts)))
    return path


# -- what comes out -------------------------------------------------------------------------


def test_every_frame_of_a_video_is_in_every_result(tracked):
    check_whole(tracked, COUNT)
    assert [row['object'] for row in rows(tracked)] == ['1', '2'] * COUNT
    assert {row['state'] for row in rows(tracked)} == {'tracked'}
    times_s = [float(row['time_s']) for row in rows(tracked)[::2]]
    assert times_s == pytest.approx([i / 30 for i in range(COUNT)], abs=1e-3)


def test_masks_are_indexed_and_have_the_colours_of_davis(tracked):
    (folder,) = (tracked / 'masks').iterdir()
    assert folder.name == 'short'
    image = Image.open(folder / '00011.png')
    assert image.mode == 'P'
    assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    assert set(np.unique(image)) == {0, 1, 2}


def test_masks_are_of_the_objects(tracked):
    first = masks(tracked)['00000']
    for number, box in ((1, MUG), (2, BOTTLE)):
        x0, y0, x1, y1 = map(int, box.split(','))
        inside = first[y0:y1, x0:x1] == number
        assert inside.sum() > 0.9 * (first == number).sum()
        assert inside.mean() > 0.4


def test_coco_is_read_by_pycocotools(tracked):
    coco = pytest.importorskip('pycocotools.coco').COCO(tracked / 'annotations.json')
    assert [each['name'] for each in coco.cats.values()] == ['object']
    for annotation in coco.anns.values():
        image = coco.imgs[annotation['image_id']]
        labels = masks(tracked)[image['file_name'].removesuffix('.jpg')]
        np.testing.assert_array_equal(coco.annToMask(annotation), labels == annotation['track_id'])


def test_the_overlay_shows_every_frame_in_turn(tracked):
    for shown, image in zip(film(tracked), first_frames(COUNT)):
        tinted = np.abs(shown.astype(int) - image).mean(axis=2) > 25
        assert 0.01 < tinted.mean() < 0.2
        assert tinted[310:390, 40:110].mean() > 0.5  # the mug


def write_images(folder, size_wh, names):
    folder.mkdir()
    for name, image in zip(names, first_frames(len(names))):
        _, encoded = cv2.imencode('.png', cv2.resize(image, size_wh))
        (folder / name).write_bytes(encoded.tobytes())
    return folder


def test_folder_of_odd_names_and_odd_sizes(tmp_path):
    names = ['shot 2.PNG', 'shot 10 (copy).png', 'shot 10 ü.png', 'shot 11.final.png']
    images = write_images(tmp_path / 'images', (333, 217), names)
    (images / '._shot 1.png').write_bytes(b'of a Mac')
    (images / 'notes.txt').write_text('no image')
    out = tmp_path / 'out'
    assert track(images, '--box', '17,137,63,181', '--rate', '5', '--out', out) == 0
    check_whole(out, 4)
    assert [line['name'] for line in journal(out)] == [name[:-4] for name in names]
    coco = json.loads((out / 'annotations.json').read_text())
    assert [image['file_name'] for image in coco['images']] == names
    assert masks(out)['shot 2'].shape == (217, 333)
    assert film(out)[0].shape == (216, 332, 3)
    assert [line['time_ns'] for line in journal(out)] == [0, 2 * 10**8, 4 * 10**8, 6 * 10**8]


def test_images_that_differ_in_their_suffix_alone_have_masks_of_their_own(tmp_path):
    images = write_images(tmp_path / 'images', (320, 240), ['a.png', 'a.bmp', 'b.png'])
    out = tmp_path / 'out'
    assert track(images, '--click', '38,175', '--out', out) == 0
    assert sorted(masks(out)) == ['a.bmp', 'a.png', 'b.png']


def test_one_image_has_results_too(tmp_path):
    image = write_images(tmp_path / 'images', (320, 240), ['one.png']) / 'one.png'
    out = tmp_path / 'out'
    assert track(image, '--click', '38,175', '--out', out) == 0
    check_whole(out, 1)


def test_a_mask_file_holds_objects_under_its_numbers(tmp_path, clip):
    labels = np.zeros((480, 640), np.uint8)
    labels[310:390, 40:110], labels[110:210, 410:440] = 7, 3
    cv2.imwrite(str(tmp_path / 'labels.png'), labels)
    out = tmp_path / 'out'
    given = ['--mask', tmp_path / 'labels.png', '--click', '515,228']
    assert track(clip, *given, '--out', out) == 0
    assert {row['object'] for row in rows(out)} == {'1', '3', '7'}
    found = masks(out)['00000']
    assert region_similarity(found == 7, labels == 7) > 0.9
    assert found[228, 515] == 1


# -- prompts on any frame -------------------------------------------------------------------


def test_objects_begin_where_they_are_prompted(tmp_path, clip):
    prompts = write_prompts(
        tmp_path,
        MUG_PROMPT | {'frame': 3},
        BOTTLE_PROMPT | {'stamp': 5 / 30 + 0.014},  # nearest to frame 5
        {'object': 1, 'frame': 7, 'points': [[70, 350], [200, 100]], 'point_labels': [1, 0]},
    )
    out = tmp_path / 'out'
    assert track(clip, '--prompts', prompts, '--out', out) == 0
    check_whole(out, COUNT)
    frames = {'mug': range(3, COUNT), 'bottle': range(5, COUNT)}
    for label, seen in frames.items():
        assert [int(row['frame']) for row in rows(out) if row['label'] == label] == [*seen]
    given = [len(line['prompts']) for line in journal(out)]
    assert [i for i, count in enumerate(given) if count] == [3, 5, 7]
    coco = json.loads((out / 'annotations.json').read_text())
    assert [each['name'] for each in coco['categories']] == ['mug', 'bottle']


def test_masks_of_prompt_files_lie_beside_them(tmp_path, clip, tracked):
    (tmp_path / 'first.png').write_bytes((tracked / 'masks/short/00000.png').read_bytes())
    prompts = write_prompts(tmp_path, {'object': 2, 'mask': 'first.png'})
    out = tmp_path / 'out'
    assert track(clip, '--prompts', prompts, '--out', out) == 0
    of_bottle, found = masks(tracked)['00000'] == 2, masks(out)['00000'] == 2
    assert region_similarity(found, of_bottle) > 0.85


@pytest.mark.parametrize(
    ('prompts', 'message'),
    [
        ('{"box": 1}', 'give a list of prompts, or {"prompts": [...]}'),
        ('[{"box"', 'is no JSON: '),
        ('[3]', 'prompt 1: 3 is no object with keys of frame, stamp, object'),
        ('[{"box": [1, 2, 3, 4]}]', 'prompt 1: it names no object: give "object", 1 to 254'),
        ('[{"object": 1, "bbox": [1, 2, 3, 4]}]', "prompt 1: 'bbox' is unknown: use frame, stamp"),
        ('[{"object": 0, "points": [1, 2]}]', 'prompt 1: object 0: use 1 to 254'),
        ('[{"object": 255, "points": [1, 2]}]', 'prompt 1: object 255: use 1 to 254'),
        ('[{"object": "a", "points": [1, 2]}]', "prompt 1: object 'a': use a whole number"),
        ('[{"object": 1, "frame": -1, "points": [1, 2]}]', 'prompt 1: frame -1: use 0 or more'),
        ('[{"object": 1, "frame": true, "points": [1, 2]}]', 'frame True: use a whole number'),
        ('[{"object": 1, "frame": 1, "stamp": 1}]', 'it has a frame and a stamp: give one'),
        ('[{"object": 1, "stamp": NaN, "points": [1, 2]}]', 'stamp nan: use seconds'),
        ('[{"object": 1, "label": 5, "points": [1, 2]}]', 'label 5: use a text'),
        ('[{"object": 1}]', 'prompt 1: the prompt is empty: give points, a box or a mask'),
        ('[{"object": 1, "points": ["a"]}]', 'prompt 1: points_xy'),
        ('[{"object": 1, "points": [900, 2]}]', 'prompt 1: point (900, 2) is outside the image'),
        ('[{"object": 1, "box": [9, 9, 5, 5]}]', 'prompt 1: box (9, 9, 5, 5) is empty'),
        ('[{"object": 1, "mask": "none.png"}]', 'none.png does not exist'),
        ('[]', 'has no prompts'),
    ],
)
def test_wrong_prompts_are_named_before_anything_is_done(tmp_path, clip, capsys, prompts, message):
    path, out = tmp_path / 'p.json', tmp_path / 'out'
    path.write_text(prompts)
    said = refusal(capsys, clip, '--prompts', path, '--out', out)
    assert str(path) in said or 'none.png' in said
    assert message in said
    assert not out.exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'say what to track: give --box, --click and --mask, or else --prompts'),
        (['--box', '1,2,3'], '--box 1,2,3: use x0,y0,x1,y1, in pixels'),
        (['--click', 'a,b'], '--click a,b: use x,y, in pixels'),
        (['--box', '5,5,900,nan'], 'box (5, 5, 900, nan) is not finite'),
        (['--click', '640,5'], '--click 640,5: point (640, 5) is outside the image of 640x480'),
        (['--mask', 'none.png'], 'mask none.png does not exist'),
        (['--click', '5,5', '--topic', '/a'], '--topic /a: '),
        (['--click', '5,5', '--rate', '0'], '--rate: 0 is no rate: use up to 1000 Hz'),
        (['--click', '5,5', '--rate', 'x'], '--rate: x is no rate: use up to 1000 Hz'),
        (['--click', '5,5', '--model', 'sam9'], "model 'sam9' has no official weights"),
        (['--click', '5,5'] * 3 + ['--policy', 'tree'], 'tree tracks at most 2 objects'),
    ],
)
def test_wrong_options_are_named_before_anything_is_done(
    tmp_path, clip, capsys, arguments, message
):
    out = tmp_path / 'out'
    assert message in refusal(capsys, clip, *arguments, '--out', out)
    assert not out.exists()


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('0', '0 is a webcam: give a video, a folder of images or a bag'),
        ('none.mp4', 'none.mp4 is no file, folder or webcam number'),
        ('empty', 'empty holds no images'),
        ('text.mp4', 'text.mp4 cannot be opened as a video'),
        ('none.mcap', 'none.mcap'),
    ],
)
def test_what_is_no_recording_is_named(tmp_path, capsys, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.mp4').write_text('no video')
    assert message in refusal(capsys, name, '--click', '5,5', '--out', 'out')


def test_an_image_of_another_size_is_named_before_anything_is_done(tmp_path, capsys):
    images = write_images(tmp_path / 'images', (64, 48), ['1.png', '2.png'])
    cv2.imwrite(str(images / '3.png'), np.zeros((48, 60, 3), np.uint8))
    said = refusal(capsys, images, '--click', '5,5', '--out', tmp_path / 'out')
    assert said == f'{images / "3.png"} is 60x48, the first is 64x48: give images of one size'


def test_a_prompt_after_the_last_frame_is_named(tmp_path, capsys, clip):
    images = write_images(tmp_path / 'images', (64, 48), ['1.png', '2.png'])
    late = write_prompts(tmp_path, {'object': 1, 'points': [5, 5], 'frame': 2})
    said = refusal(capsys, images, '--prompts', late, '--out', tmp_path / 'out')
    assert said == f'{late}: prompt 1: frame 2 is after the last frame, 1'
    # Videos do not say for sure how many frames they have, nor up to when they last.
    for when in ({'frame': 12}, {'stamp': 9.5}):
        prompts = write_prompts(tmp_path, MUG_PROMPT, BOTTLE_PROMPT | when)
        out = tmp_path / f'out{len(when)}{[*when][0]}'
        assert track(clip, '--prompts', prompts, '--out', out) == 1
        check_whole(out, COUNT)
        assert 'is after the last frame, 11' in capsys.readouterr().err


def test_a_prompt_before_the_first_frame_is_named(tmp_path, capsys, clip):
    prompts = write_prompts(tmp_path, MUG_PROMPT | {'stamp': -1})
    assert track(clip, '--prompts', prompts, '--out', tmp_path / 'out') == 1
    assert 'prompt 1: stamp -1 is before the first frame' in capsys.readouterr().err


# -- stops ----------------------------------------------------------------------------------


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


def journal_lines(out) -> list[bytes]:
    return (out / 'track.jsonl').read_bytes().splitlines(keepends=True)


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


def test_a_video_that_breaks_off_is_tracked_up_to_there(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (240, 320, 3), np.uint8) for _ in range(30)]
    cut = write_cut_download(tmp_path / 'cut.mp4', images, 0.5)
    out = tmp_path / 'out'
    assert track(cut, '--box', '100,100,200,200', '--out', out) == 1
    said = capsys.readouterr().err
    done = len(journal(out))
    assert 5 < done < 27
    assert f'breaks off after {done} of 30 frames' in said
    check_whole(out, done)


# -- times ----------------------------------------------------------------------------------


def view(index: int, time_ns: int) -> View:
    return View(index, str(index), '', time_ns, np.zeros((2, 2, 3), np.uint8))


def test_a_time_belongs_to_the_nearest_frame():
    shots = [*with_times([view(0, 0), view(1, 100), view(2, 400)], 50)]
    assert [shot.until_ns for shot in shots] == [50, 250, 550]
    assert [shot.until_ns for shot in with_times([view(0, 7)], 50)] == [32]


def test_the_frame_before_a_break_is_not_lost():
    def broken():
        yield view(0, 0)
        yield view(1, 100)
        raise SourceError('broken')

    shots = with_times(broken(), 50)
    assert [next(shots).view.index for _ in range(2)] == [0, 1]
    with pytest.raises(SourceError, match='broken'):
        next(shots)


@pytest.mark.parametrize(
    ('clocks_ns', 'times_ns'),
    [
        ([(5, 1005), (15, 1015), (35, 1035)], [5, 15, 35]),
        ([(0, 1005), (0, 1015), (0, 1035)], [1005, 1015, 1035]),
        ([(5, 1005), (3, 1015), (13, 1035)], [5, 15, 25]),
        ([(5, 1005), (5, 1005), (10**12, 1005)], [5, 12, 19]),
    ],
    ids=['as stamped', 'without stamps', 'one late', 'nothing goes on'],
)
def test_times_ascend_whatever_stamps_do(clocks_ns, times_ns):
    stopwatch = Stopwatch(period_ns=7)
    assert [stopwatch.time_ns(*clocks) for clocks in clocks_ns] == times_ns


def test_a_recording_can_be_gone_through_again(clip):
    recording = open_files(clip)
    assert isinstance(recording, Recording)
    for _ in range(2):
        assert [shot.view.index for shot in recording.shots()] == [*range(COUNT)]
