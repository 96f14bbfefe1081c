"""Which file a user's `weights` stands for, and that it is the one it should be."""

import os

import pytest

from tam_ros import weights
from tam_ros.networks import MODELS
from tam_ros.paths import PathError
from tam_ros.weights import Checkpoint, DownloadError, find_weights, weights_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of checkpoints."""
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    return tmp_path


@pytest.fixture
def published(monkeypatch):
    """Have b'right' be the content of the published EdgeTAM."""
    right = Checkpoint('edgetam.pt', '', 1.0, git_blob='19981f7e045c3a2c35d15e977b6f56f1923bb400')
    monkeypatch.setitem(weights.CHECKPOINTS, 'edgetam', right)


def test_empty_weights_mean_the_downloaded_file(folder, published):
    with pytest.raises(DownloadError, match='ros2 run tam_ros download_weights edgetam'):
        find_weights('edgetam', '')
    (folder / 'edgetam.pt').write_bytes(b'right')
    assert find_weights('edgetam', '') == str(folder / 'edgetam.pt')
    assert find_weights('edgetam', 'mine.pt') == 'mine.pt'


def test_a_damaged_file_is_not_loaded(folder, published, tmp_path_factory):
    """A flipped bit passes every other check; a user's own file of that name lies elsewhere."""
    (folder / 'edgetam.pt').write_bytes(b'sight')
    for own in ('', str(folder / 'edgetam.pt'), str(folder / '..' / folder.name / 'edgetam.pt')):
        with pytest.raises(DownloadError, match='has git blob .* expected 1998.* another name'):
            find_weights('edgetam', own)
    elsewhere = tmp_path_factory.mktemp('own') / 'edgetam.pt'
    elsewhere.write_bytes(b'sight')
    assert find_weights('edgetam', str(elsewhere)) == str(elsewhere)


def test_a_folder_in_place_of_a_file_is_named(folder):
    (folder / 'edgetam.pt').mkdir()
    with pytest.raises(DownloadError, match='edgetam.pt is a folder'):
        find_weights('edgetam', '')
    with pytest.raises(DownloadError, match='is a folder, which is for engine onnx: set a file'):
        find_weights('edgetam', str(folder))


def test_a_home_is_known_or_named(monkeypatch, tmp_path):
    for variable in ('TAM_ROS_WEIGHTS', 'XDG_CACHE_HOME'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    assert weights_folder() == tmp_path / '.cache' / 'tam_ros'
    assert find_weights('edgetam', '~/mine.pt') == str(tmp_path / 'mine.pt')
    monkeypatch.setenv('XDG_CACHE_HOME', '~/c')
    assert weights_folder() == tmp_path / 'c' / 'tam_ros'
    with pytest.raises(PathError, match='~nobody_here/x.pt: no home folder is known for it'):
        find_weights('edgetam', '~nobody_here/x.pt')


def test_no_home_at_all_is_one_line(monkeypatch):
    for variable in ('TAM_ROS_WEIGHTS', 'XDG_CACHE_HOME', 'HOME'):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, 'getuid', lambda: 54321)  # as in a container
    with pytest.raises(PathError, match='set HOME, or TAM_ROS_WEIGHTS to a folder'):
        find_weights('edgetam', '')
    assert find_weights('edgetam', '/data/edgetam.pt') == '/data/edgetam.pt'
    assert find_weights('tam_nano', '').endswith('tam_nano.safetensors')


def test_the_published_checkpoint_is_the_official_one():
    official = weights.CHECKPOINTS['edgetam']
    assert official.git_blob == 'abd54d22bbd22ba3e53cf59a307e59e0f3701be6'
    assert 'facebookresearch/EdgeTAM' in official.url


def test_embedded_weights_need_no_download(tmp_path, monkeypatch):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    assert find_weights('tam_nano', '').endswith('tam_nano.safetensors')
    assert find_weights('tam_nano', 'mine.pt') == 'mine.pt'


def test_damaged_embedded_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, 'EMBEDDED_FOLDER', tmp_path)
    with pytest.raises(DownloadError, match='tam_nano.safetensors is missing'):
        find_weights('tam_nano', '')
    (tmp_path / 'tam_nano.safetensors').write_bytes(b'half a file')
    with pytest.raises(DownloadError, match='is damaged: it has sha256 .*, expected'):
        find_weights('tam_nano', '')


@pytest.mark.parametrize(
    ('model', 'file'),
    [('efficienttam_ti', 'efficienttam_ti_2.pt'), ('edgetam', 'efficienttam_s.pt')],
)
def test_a_published_file_of_another_model_is_refused(model, file):
    """All variants of one size have the same entries: strict loading would not notice."""
    with pytest.raises(DownloadError, match=f"of model '{file[:-3]}', not of '{model}'"):
        find_weights(model, f'/somewhere/{file}')
    assert find_weights(file[:-3], f'/somewhere/{file}') == f'/somewhere/{file}'


def test_every_model_has_weights():
    assert set(weights.CHECKPOINTS) | set(weights.EMBEDDED) == set(MODELS)
