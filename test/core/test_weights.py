"""Downloading checkpoints, from a server on this machine."""

import hashlib
import threading
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tam_ros import weights
from tam_ros.model.config import MODELS
from tam_ros.weights import Checkpoint, DownloadError, download, find_weights, git_blob_id

CONTENT = bytes(range(256)) * 20_000  # 5 MB
BLOB = hashlib.sha1(b'blob %d\0' % len(CONTENT) + CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; closes the connection early when told to."""

    def __init__(self, server_state, *arguments):
        self.state = server_state
        super().__init__(*arguments)

    def do_GET(self):  # noqa: N802 - the base class names it
        start = int(self.headers.get('Range', 'bytes=0-')[6:-1])
        self.state['ranges'].append(start)
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.state['bytes']])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server's state: its url, the ranges asked for, and how many bytes it sends at a time."""
    state = {'ranges': [], 'bytes': len(CONTENT)}
    http = ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, state))
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    state['url'] = f'http://127.0.0.1:{http.server_port}/edgetam.pt'
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def checkpoint(server):
    return Checkpoint('edgetam.pt', server['url'], BLOB, 5.1)


def test_download_is_whole_checked_and_done_once(checkpoint, server, tmp_path):
    path = download(checkpoint, tmp_path / 'new' / 'folder')
    assert path.read_bytes() == CONTENT
    assert git_blob_id(path) == BLOB
    assert [p.name for p in path.parent.iterdir()] == ['edgetam.pt']
    download(checkpoint, path.parent)
    assert server['ranges'] == [0]


def test_interrupted_download_goes_on_where_it_stopped(checkpoint, server, tmp_path):
    server['bytes'] = 2_000_000
    with pytest.raises(DownloadError, match=r'connection ended after 2,000,000 of 5,120,000'):
        download(checkpoint, tmp_path)
    assert not (tmp_path / 'edgetam.pt').exists()
    server['bytes'] = len(CONTENT)
    assert download(checkpoint, tmp_path).read_bytes() == CONTENT
    assert server['ranges'] == [0, 2_000_000]


def test_part_that_is_whole_is_taken(checkpoint, tmp_path):
    (tmp_path / 'edgetam.pt.part').write_bytes(CONTENT)
    assert download(checkpoint, tmp_path).read_bytes() == CONTENT


def test_another_content_is_refused_and_not_kept(server, tmp_path):
    wrong = Checkpoint('edgetam.pt', server['url'], '0' * 40, 5.1)
    with pytest.raises(DownloadError, match=rf'another file .*{BLOB}.* published one .*0000'):
        download(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


def test_damaged_file_is_fetched_again(checkpoint, tmp_path):
    (tmp_path / 'edgetam.pt').write_bytes(b'damaged')
    assert download(checkpoint, tmp_path).read_bytes() == CONTENT


def test_offline_says_what_to_put_where(tmp_path):
    offline = Checkpoint('edgetam.pt', 'http://127.0.0.1:9/edgetam.pt', BLOB, 56.1)
    with pytest.raises(DownloadError, match=r'Download it elsewhere \(56.1 MB\) and put it at'):
        download(offline, tmp_path)


def test_command_fetches_into_the_folder(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(weights.CHECKPOINTS, 'edgetam', checkpoint)
    assert weights.main(['edgetam', '--folder', str(tmp_path), '--ros-args']) == 0
    assert str(tmp_path / 'edgetam.pt') in capsys.readouterr().out


def test_command_fails_with_the_reason(tmp_path, monkeypatch, capsys):
    offline = Checkpoint('edgetam.pt', 'http://127.0.0.1:9/edgetam.pt', BLOB, 56.1)
    monkeypatch.setitem(weights.CHECKPOINTS, 'edgetam', offline)
    assert weights.main(['edgetam', '--folder', str(tmp_path)]) == 1
    assert 'cannot be fetched' in capsys.readouterr().err


def test_empty_weights_mean_the_downloaded_file(tmp_path, monkeypatch):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    with pytest.raises(DownloadError, match='ros2 run tam_ros download_weights edgetam'):
        find_weights('edgetam', '')
    (tmp_path / 'edgetam.pt').write_bytes(b'x')
    assert find_weights('edgetam', '') == str(tmp_path / 'edgetam.pt')
    assert find_weights('edgetam', 'mine.pt') == 'mine.pt'


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
    with pytest.raises(DownloadError, match='is damaged: its sha256 is .*, expected'):
        find_weights('tam_nano', '')


def test_a_file_without_a_known_id_must_be_a_whole_archive(server, tmp_path):
    unknown = Checkpoint('efficienttam_ti.pt', server['url'], '', 71.5)
    with pytest.raises(DownloadError, match='PyTorch archive'):
        download(unknown, tmp_path)
    assert not list(tmp_path.iterdir())
    with zipfile.ZipFile(tmp_path / 'efficienttam_ti.pt', 'w') as archive:
        archive.writestr('data', b'0' * 100)
    ranges = len(server['ranges'])
    assert download(unknown, tmp_path) == tmp_path / 'efficienttam_ti.pt'
    assert len(server['ranges']) == ranges


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
