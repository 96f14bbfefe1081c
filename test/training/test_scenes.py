"""Photos whose objects are known: which ones are taken, and that masks move with the objects."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.compose import compose_clip, draw_scene
from training.material import Material, open_material
from training.photos import find_known

OBJECTS = {1: (200, 40, 40), 2: (40, 200, 40)}  # RGB
SIZE_WH = 160, 120


def write_scene(folder: Path, name: str) -> None:
    """Write a grey photo with a large red and a small green square."""
    photo = np.full((*SIZE_WH[::-1], 3), 90, np.uint8)
    labels = np.zeros(SIZE_WH[::-1], np.uint8)
    for label, (x, y, side) in {1: (20, 20, 60), 2: (110, 70, 24)}.items():
        photo[y : y + side, x : x + side] = OBJECTS[label]
        labels[y : y + side, x : x + side] = label
    cv2.imwrite(str(folder / 'images' / f'{name}.jpg'), photo[..., ::-1])
    cv2.imwrite(str(folder / 'masks' / f'{name}.png'), labels)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Assets of one photo, one cut-out, and a photo with objects of either split."""
    assets = tmp_path_factory.mktemp('assets')
    coco = assets / 'coco'
    for part in ('photos', 'cutouts', 'coco/images', 'coco/masks'):
        (assets / part).mkdir(parents=True)
    for name in 'ab':
        write_scene(coco, name)
    listed = [{'file': 'a.jpg', 'split': 'train'}, {'file': 'b.jpg', 'split': 'test'}]
    (coco / 'attribution.json').write_text(json.dumps(listed))
    plain = np.full((96, 96, 3), 120, np.uint8)
    for path in ('photos/0.jpg', 'cutouts/0.jpg', 'cutouts/0.png'):
        cv2.imwrite(str(assets / path), plain)
    return assets


@pytest.fixture(scope='module')
def material(folder) -> Material:
    return open_material(folder)


def test_photos_that_are_for_measuring_are_left_alone(folder, material):
    assert [known.photo.name for known in material.known] == ['a.jpg']
    assert [known.photo.name for known in find_known(folder / 'coco', 'test')] == ['b.jpg']


def test_assets_without_such_photos_have_none(tmp_path):
    assert find_known(tmp_path / 'coco') == []


def test_only_large_objects_are_cut_out(material):
    assert [instance.label for instance in material.instances] == [1]


def test_a_cut_out_holds_one_object_alone(material):
    rng = np.random.default_rng(0)
    shapes = {material.cutout(rng).shape for _ in range(20)}
    assert shapes == {(60, 60, 4), (96, 96, 4)}


@pytest.mark.parametrize('seed', range(6))
def test_masks_move_and_bend_with_their_objects(material, seed):
    images, masks = draw_scene(np.random.default_rng(seed), material, 4, 96)
    assert images.shape == (4, 96, 96, 3)
    assert masks.any()
    for label, colour in OBJECTS.items():
        inner = [cv2.erode((m == label).astype(np.uint8), np.ones((9, 9))) > 0 for m in masks]
        shown = images[np.stack(inner)]
        assert np.abs(shown.astype(int) - colour).max(initial=0) < 40


def test_objects_of_scenes_are_moved_by_the_camera(material):
    clips = [draw_scene(np.random.default_rng(seed), material, 6, 96)[1] for seed in range(8)]
    assert sum((masks[0] != masks[-1]).any() for masks in clips) >= 6


def test_things_come_over_scenes_under_labels_of_their_own(material):
    clips = [compose_clip(np.random.default_rng(seed), material, 2, 64) for seed in range(12)]
    assert max(clip.masks.max() for clip in clips) > max(OBJECTS)
    assert all(clip.masks[0].any() for clip in clips)
