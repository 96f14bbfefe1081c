"""Clips of real video: outlines drawn by hand, carried between key frames, cut, put together."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.evaluation.measures import region_similarity
from training.clips import Clip, save_clip
from training.collage import film_clip
from training.data import ClipDataset, ClipShape, Sources
from training.film import known_masks, make_clips
from training.labels import LABELS, Labels, load_labels, save_labels, trace
from training.material import Material

HEIGHT, WIDTH = 120, 160
KEY_FRAMES = 0, 8, 16


def disc(t: int, radius: int = 22) -> np.ndarray:
    """Return where the disc of the film is in frame t."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (40 + 4 * t, 60), radius, 1, -1)
    return mask > 0


@pytest.fixture(scope='module')
def film() -> list[np.ndarray]:
    """A striped red disc that moves over smooth noise."""
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.integers(0, 200, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 3)
    stripes = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stripes[..., 0] = 200
    stripes[::6] = 255, 220, 0
    return [np.where(disc(t)[..., None], stripes, noise) for t in range(KEY_FRAMES[-1] + 1)]


@pytest.fixture(scope='module')
def engine():
    return load_engine(EngineChoice('tam_nano'))


def labels_of(**objects) -> Labels:
    """Return labels from functions of the frame that give masks."""
    drawn = {n: {t: trace(mask(t)) for t in KEY_FRAMES} for n, mask in objects.items()}
    return Labels('film.mp4', (WIDTH, HEIGHT), drawn)


def nothing(t: int) -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH), bool)


def test_outlines_keep_a_mask_with_a_hole():
    ring = disc(10) & ~disc(10, radius=9)
    kept = labels_of(ring=lambda t: ring).mask('ring', 0)
    assert region_similarity(kept, ring) > 0.97
    assert not kept[60, 80]


def test_labels_are_read_as_they_were_written(tmp_path):
    labels = labels_of(disc=disc, ghost=nothing)
    save_labels(tmp_path / 'film.json', labels)
    read = load_labels(tmp_path / 'film.json')
    assert (read.video, read.size_wh, read.key_frames) == ('film.mp4', (WIDTH, HEIGHT), [0, 8, 16])
    np.testing.assert_array_equal(read.mask('disc', 8), labels.mask('disc', 8))
    assert not read.mask('ghost', 8).any()
    assert read.mask('ghost', 4) is None


@pytest.mark.parametrize('content', ['', '{"video": "a.mp4"}', '[]'])
def test_a_file_that_holds_no_labels_is_named(tmp_path, content):
    path = tmp_path / 'broken.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=r'broken\.json'):
        load_labels(path)


def test_masks_are_carried_between_key_frames(film, engine):
    known = known_masks(labels_of(disc=disc), film, engine)
    assert sorted(known) == list(range(0, 17, 2))
    found = {t: region_similarity(masks['disc'], disc(t)) for t, masks in known.items() if masks}
    assert len(found) == len(known)
    assert min(found.values()) > 0.85, found


def test_frames_are_unknown_where_the_two_sides_disagree(film, engine):
    labels = labels_of(disc=lambda t: disc(t) if t < 16 else np.roll(disc(t), 36, 0))
    known = known_masks(labels, film, engine)
    assert all(known[t] for t in range(0, 9, 2))
    assert not any(known[t] for t in range(10, 16, 2))


def test_an_object_absent_at_both_ends_is_absent_between(film, engine):
    known = known_masks(labels_of(disc=disc, ghost=nothing), film, engine)
    assert all(not masks['ghost'].any() for masks in known.values())


def test_clips_are_made_of_all_objects_and_of_each(film, engine):
    labels = labels_of(disc=disc, ghost=nothing)
    together, alone, ghost = make_clips(labels, film, engine)
    assert set(np.unique(together.masks)) == {0, 1}
    np.testing.assert_array_equal(together.masks, alone.masks)
    assert not ghost.masks.any()


def test_an_object_that_few_key_frames_tell_of_takes_no_frames_from_others(film, engine):
    labels = labels_of(disc=disc, late=nothing)
    del labels.objects['late'][0], labels.objects['late'][8]
    (clip,) = make_clips(labels, film, engine)
    assert len(clip.images) == 9


def test_objects_that_are_never_known_together_make_no_clip(film, engine):
    labels = labels_of(first=disc, second=disc, third=disc)
    for drawn, frame in zip(labels.objects.values(), KEY_FRAMES):
        for other in set(KEY_FRAMES) - {frame}:
            del drawn[other]
    assert not list(make_clips(labels, film, engine))


@pytest.fixture(scope='module')
def films(tmp_path_factory, film, engine) -> list[Path]:
    path = tmp_path_factory.mktemp('films') / 'film.npz'
    (clip,) = make_clips(labels_of(disc=disc), film, engine)
    save_clip(path, clip)
    return [path]


@pytest.fixture(scope='module')
def material(tmp_path_factory, film) -> Material:
    """One photo, and one cut-out with its mask."""
    folder = tmp_path_factory.mktemp('material')
    for name in ('photo.jpg', 'cutout.jpg'):
        cv2.imwrite(str(folder / name), film[0])
    cv2.imwrite(str(folder / 'cutout.png'), disc(0).astype(np.uint8))
    return Material([folder / 'photo.jpg'], [folder / 'cutout.jpg'], [])


def test_a_clip_that_was_not_written_to_its_end_is_none(tmp_path, film, monkeypatch):
    def cut_off(file, **parts):
        file.write(b'PK')
        raise OSError('no space left')

    monkeypatch.setattr('training.clips.np.savez', cut_off)
    with pytest.raises(OSError, match='no space left'):
        save_clip(tmp_path / 'film.npz', Clip(np.stack(film), np.stack(film)[..., 0]))
    assert not list(tmp_path.glob('*.npz'))


@pytest.mark.parametrize('seed', range(8))
def test_clips_cut_out_of_films_follow_from_the_seed_and_show_an_object(material, films, seed):
    clip, again = (
        film_clip(np.random.default_rng(seed), material, films, 4, 64) for _ in range(2)
    )
    np.testing.assert_array_equal(clip.images, again.images)
    np.testing.assert_array_equal(clip.masks, again.masks)
    assert clip.images.shape == (4, 64, 64, 3)
    assert clip.masks[0].any()


def test_things_and_objects_of_other_films_come_over_films(material, films):
    clips = [film_clip(np.random.default_rng(n), material, films, 2, 64) for n in range(30)]
    assert 8 <= sum(clip.masks.max() > 1 for clip in clips) <= 22


@pytest.mark.parametrize(('rendered', 'filmed'), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_a_number_names_a_clip_of_any_source(material, films, rendered, filmed):
    shape = ClipShape(3, 64, objects=2, rendered_share=rendered, filmed_share=filmed)
    for number in range(4):
        (images, masks), (again, _) = (
            ClipDataset(Sources(material, films, films), shape, seed=5)[number] for _ in range(2)
        )
        assert torch.equal(images, again)
        assert images.shape == (3, 3, 64, 64)
        assert masks.shape == (2, 3, 64, 64)
        assert masks[:, 0].any((1, 2)).all()


@pytest.mark.parametrize('path', sorted(LABELS.rglob('*.json')), ids=lambda path: path.stem)
def test_shipped_labels_are_within_their_pictures(path):
    labels = load_labels(path)
    assert Path(labels.video).stem == path.stem
    assert labels.objects
    for name, drawn in labels.objects.items():
        for frame, outlines in drawn.items():
            assert all((o >= 0).all() and (o < labels.size_wh).all() for o in outlines)
            assert labels.mask(name, frame).any() == bool(outlines), (name, frame)
