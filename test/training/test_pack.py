"""Material packed for another machine is small, whole, and can be trained on."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tam_ros.model.edgetam import EdgeTAM
from tam_ros.networks import MODELS
from training.checkpoints import export_weights, read_weights
from training.clips import Clip, load_clip, save_clip
from training.material import open_material
from training.pack import MIB, MOST_FRAMES, SHARES, Writers, main, pack


@pytest.fixture(scope='module')
def assets(tmp_path_factory) -> Path:
    """Noise as photos, cut-outs and photos with known objects, of either split."""
    folder = tmp_path_factory.mktemp('assets')
    rng = np.random.default_rng(0)
    for name in ('photos', 'cutouts', 'coco/images', 'coco/masks', 'clips'):
        (folder / name).mkdir(parents=True)
    for i in range(4):
        for name in (f'photos/{i}.jpg', f'cutouts/{i}.jpg', f'coco/images/{i}.jpg'):
            cv2.imwrite(str(folder / name), rng.integers(0, 256, (400, 500, 3), np.uint8))
        labels = np.zeros((400, 500), np.uint8)
        labels[100:300, 100:400] = 1 + i
        for name in (f'cutouts/{i}.png', f'coco/masks/{i}.png'):
            cv2.imwrite(str(folder / name), labels)
    listed = [{'file': f'{i}.jpg', 'split': 'test' if i == 3 else 'train'} for i in range(4)]
    (folder / 'coco/attribution.json').write_text(json.dumps(listed))
    images = rng.integers(0, 256, (40, 300, 480, 3), np.uint8)
    save_clip(folder / 'clips/0.npz', Clip(images, np.tile(labels[:300, :480], (40, 1, 1))))
    return folder


@pytest.fixture(scope='module')
def packed(assets, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('packed') / 'pack'
    torch.manual_seed(0)
    weights = out.with_name('weights.safetensors')
    export_weights(EdgeTAM(MODELS['tam_nano']).state_dict(), weights)
    clips = str(assets / 'clips')
    main(
        ['--assets', str(assets), '--filmed', clips, '--rendered', clips, '--mib', '44']
        + ['--start-from', str(weights), '--out', str(out)]
    )
    return out


def test_what_is_packed_can_be_drawn_from(packed):
    material, rng = open_material(packed), np.random.default_rng(0)
    assert len(material.photos) == len(material.cutouts) == 4
    assert min(material.photo(rng).shape[:2]) == 256
    for known in material.known:
        photo, labels = known.read()
        assert photo.shape[:2] == labels.shape
        assert len(np.unique(labels)) == 2


def test_photos_that_are_for_measuring_stay_behind(packed):
    assert [known.photo.name for known in open_material(packed).known] == [
        f'{i}.jpg' for i in range(3)
    ]


@pytest.mark.parametrize('kind', ['filmed', 'rendered'])
def test_clips_keep_their_objects_and_some_frames(packed, kind):
    clip = load_clip(packed / kind / '0.npz')
    assert clip.images.shape[1:] == (256, 410, 3)
    assert MOST_FRAMES / 2 < len(clip.images) <= MOST_FRAMES
    assert set(np.unique(clip.masks)) == {0, 4}


def test_weights_to_begin_with_are_packed(packed):
    torch.manual_seed(0)
    expected = EdgeTAM(MODELS['tam_nano']).state_dict()
    weights = read_weights(packed / 'start.safetensors')
    assert weights.keys() == expected.keys()


def test_no_more_is_packed_than_there_is_room_for(assets, tmp_path):
    writers = Writers(tmp_path)
    photos = sorted(assets.glob('photos/*.jpg'))
    size = writers.photo(photos[0])[0].stat().st_size
    sources = dict.fromkeys(SHARES, ([], writers.photo)) | {'photos': (photos, writers.photo)}
    assert pack(sources, 5 * size // 2)['photos'] == 2
    kept = list((tmp_path / 'photos').iterdir())
    assert len(kept) == 2
    assert sum(path.stat().st_size for path in kept) < 5 * size // 2 < MIB
