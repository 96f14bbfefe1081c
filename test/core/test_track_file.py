"""Tracking in files: every frame, and all results of it."""

import json

import cv2
import numpy as np
import pytest
from offline_runs import (
    BOTTLE,
    COUNT,
    MUG,
    check_whole,
    film,
    first_frames,
    journal,
    masks,
    rows,
    track,
    write_images,
)
from PIL import Image
from video_files import write_cut_download

from tam_ros.evaluation.measures import region_similarity
from tam_ros.image_files import SourceError
from tam_ros.offline.recording import Recording, Stopwatch, View, open_files, with_times


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
