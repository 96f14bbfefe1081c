"""Downloading checkpoints, from a server on this machine: what comes is right, or is not kept."""

import contextlib
import hashlib
import io
import os
import resource
import threading
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from tam_ros import download as command
from tam_ros import weights
from tam_ros.digests import git_blob_id, record_path
from tam_ros.download import download
from tam_ros.engine.torch_engine import choose_config, make_network
from tam_ros.model.checkpoint import read_weights
from tam_ros.model.reproducible import reproducible_state_dict
from tam_ros.part import Part
from tam_ros.weights import Checkpoint, DownloadError, find_weights

CONTENT = bytes(range(256)) * 20_000  # 5 MB
BLOB = hashlib.sha1(b'blob %d\0' % len(CONTENT) + CONTENT).hexdigest()
HTTP = ('http',)


class Handler(BaseHTTPRequestHandler):
    """Serves the content of a state with ranges and versions, or as wrongly as that says."""

    def __init__(self, state, *arguments):
        self.state = state
        super().__init__(*arguments)

    def do_GET(self):  # noqa: N802 - the base class names it
        state, content = self.state, self.state['content']
        start = int(self.headers.get('Range', 'bytes=0-')[6:-1])
        state['ranges'].append(start)
        if 'location' in state:
            self.send_response(302)
            self.send_header('Location', state['location'])
            self.end_headers()
            return
        if self.headers.get('If-Range', state['etag']) != state['etag'] or state['no_ranges']:
            start = 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header('Content-Range', f'bytes */{len(content)}')
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            given = f'bytes {start}-{len(content) - 1}/{len(content)}'
            self.send_header('Content-Range', state.get('content_range', given))
            start = 0 if 'content_range' in state else start
        length = state.get('content_length', str(len(content) - start))
        if length:
            self.send_header('Content-Length', length)
        if state['etag']:
            self.send_header('ETag', state['etag'])
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content[start : start + state['bytes']])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server's state: content and how it is served; its url, and the ranges asked for."""
    state = {'content': CONTENT, 'etag': '"1"', 'bytes': 1 << 30, 'no_ranges': False, 'ranges': []}
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
    """A checkpoint whose digest is published."""
    return Checkpoint('edgetam.pt', server['url'], 5.12, git_blob=BLOB)


def archive(seed: int = 0) -> bytes:
    """Return a PyTorch file of 2 MB; all have the same size."""
    file = io.BytesIO()
    values = torch.rand(500_000, generator=torch.Generator().manual_seed(seed))
    torch.save({'a': values}, file)
    return file.getvalue()


@pytest.fixture
def unknown(server):
    """A checkpoint of which no digest is published."""
    server['content'] = archive()
    return Checkpoint('efficienttam_ti_1.pt', server['url'], len(server['content']) / 1e6)


def get(checkpoint, folder, **options):
    return download(checkpoint, folder, schemes=HTTP, **options)


def interrupt(checkpoint, server, folder, count=1_000_000):
    """Have a download end after some bytes."""
    server['bytes'] = count
    with pytest.raises(DownloadError, match=f'connection ended after {count:,} of'):
        get(checkpoint, folder)
    assert not (folder / checkpoint.file_name).exists()
    server['bytes'] = 1 << 30


# -- the way it should go ---------------------------------------------------------------------


def test_download_is_whole_checked_and_done_once(checkpoint, server, tmp_path):
    path = get(checkpoint, tmp_path / 'new' / 'folder')
    assert path.read_bytes() == CONTENT
    assert git_blob_id(path) == BLOB
    assert [p.name for p in path.parent.iterdir()] == ['edgetam.pt']
    get(checkpoint, path.parent)
    assert server['ranges'] == [0]


@pytest.mark.parametrize('etag', ['"1"', ''])
def test_interrupted_download_goes_on_where_it_stopped(checkpoint, server, tmp_path, etag):
    server['etag'] = etag
    interrupt(checkpoint, server, tmp_path, 2_000_000)
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT
    assert server['ranges'] == [0, 2_000_000]
    assert [p.name for p in tmp_path.iterdir()] == ['edgetam.pt']


def test_part_that_is_whole_is_taken(checkpoint, server, tmp_path):
    (tmp_path / 'edgetam.pt.part').write_bytes(CONTENT)
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT
    assert server['ranges'] == [len(CONTENT)]


def test_damaged_file_is_fetched_again(checkpoint, tmp_path):
    (tmp_path / 'edgetam.pt').write_bytes(b'damaged')
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT


def test_offline_says_what_to_put_where(tmp_path):
    offline = Checkpoint('edgetam.pt', 'http://127.0.0.1:9/edgetam.pt', 56.1, BLOB)
    with pytest.raises(DownloadError, match=r'Download it elsewhere \(56.1 MB\) and put it at'):
        get(offline, tmp_path)


# -- what servers do wrong ----------------------------------------------------------------------


def test_another_content_is_refused_and_not_kept(server, tmp_path):
    wrong = Checkpoint('edgetam.pt', server['url'], 5.12, git_blob='0' * 40)
    with pytest.raises(DownloadError, match=rf'another file .*{BLOB}, expected 0000'):
        get(wrong, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('etag', ['"2"', ''])
def test_two_versions_are_not_mixed(unknown, server, tmp_path, etag):
    """The first is known by its tag; without one, nothing is gone on with."""
    server['etag'] = etag and '"1"'
    interrupt(unknown, server, tmp_path)
    server['content'], server['etag'] = archive(seed=1), etag
    assert get(unknown, tmp_path).read_bytes() == server['content']


def test_a_server_that_forgets_versions_mixes_none(unknown, server, tmp_path):
    interrupt(unknown, server, tmp_path)
    server['content'], server['etag'] = archive(seed=1), '"2"'
    (tmp_path / 'efficienttam_ti_1.pt.part.etag').write_text('"2"')  # as if it had not changed
    with pytest.raises(DownloadError, match='is damaged: the sum of its entry .* is another'):
        get(unknown, tmp_path)
    assert get(unknown, tmp_path).read_bytes() == server['content']


@pytest.mark.parametrize(
    'content_range',
    ['bytes 0-5119999/5120000', 'bytes 7-5119999/5120000', 'bytes 2000000-2000009/5120000', 'x'],
)
def test_a_range_that_was_not_asked_for_is_not_taken(checkpoint, server, tmp_path, content_range):
    interrupt(checkpoint, server, tmp_path, 2_000_000)
    server['content_range'] = content_range
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT
    assert server['ranges'] == [0, 2_000_000, 0]


def test_the_whole_file_in_place_of_a_range_is_taken(checkpoint, server, tmp_path):
    interrupt(checkpoint, server, tmp_path, 2_000_000)
    server['no_ranges'] = True
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize('length', ['abc', '-5', '1e6', '5 120 000'])
def test_a_length_that_is_no_number_is_named(checkpoint, server, tmp_path, length):
    server['content_length'] = length
    with pytest.raises(DownloadError, match=f"Content-Length is '{length}', expected a number"):
        get(checkpoint, tmp_path)


@pytest.mark.parametrize('length', [None, ''], ids=['announced', 'endless'])
def test_more_than_the_file_can_have_is_not_fetched(server, tmp_path, length):
    if length is not None:
        server['content_length'] = length
    small = Checkpoint('edgetam.pt', server['url'], 1.0, git_blob=BLOB)
    with pytest.raises(DownloadError, match=r'bytes or more, expected 1,050,000 at most'):
        get(small, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


@pytest.mark.parametrize('location', ['ftp://127.0.0.1/x', 'https://127.0.0.1:9/x', 'data:,x'])
def test_redirects_keep_to_the_allowed_schemes(checkpoint, server, tmp_path, location):
    server['location'] = location
    with pytest.raises(DownloadError, match=r'not followed: only http is|is not allowed'):
        get(checkpoint, tmp_path)


def test_only_https_is_fetched(checkpoint, server, tmp_path):
    with pytest.raises(DownloadError, match=f'{server["url"]} is not followed: only https is'):
        download(checkpoint, tmp_path)
    assert not server['ranges']
    assert all(c.url.startswith('https://') for c in weights.CHECKPOINTS.values())


# -- files without a published digest -------------------------------------------------------------


def other_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as other:
        other.writestr('data', b'0' * 2_000_000)
    return file.getvalue()


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (other_zip(), 'a zip archive, but none of PyTorch'),
        (b'0' * 2_000_000, 'truncated or no PyTorch file'),
        (archive() + b'junk', 'something before or after its archive'),
        (b'junk' + archive(), 'something before or after its archive'),
        (archive()[:-4], 'truncated or no PyTorch file|before or after'),
        (archive()[: 1 << 20] + archive(1)[1 << 20 :], 'damaged: the sum of its entry'),
        (b'', 'should have about 2.0'),
    ],
    ids=['zip', 'bytes', 'trailing', 'leading', 'cut', 'mixed', 'empty'],
)
def test_what_is_no_whole_archive_is_not_kept(unknown, server, tmp_path, content, message):
    server['content'] = content
    with pytest.raises(DownloadError, match=message):
        get(unknown, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_does_not_load_is_not_kept(unknown, tmp_path):
    expected = {'a': torch.zeros(500_000), 'b': torch.zeros(1)}
    with pytest.raises(DownloadError, match='another network .* 1 missing, such as b; nothing'):
        get(unknown, tmp_path, verify=lambda path: read_weights(path, expected))
    assert not list(tmp_path.iterdir())


def test_the_digest_of_what_came_holds_from_then_on(unknown, server, tmp_path, monkeypatch):
    monkeypatch.setenv('TAM_ROS_WEIGHTS', str(tmp_path))
    path = get(unknown, tmp_path)
    digest = hashlib.sha256(server['content']).hexdigest()
    assert record_path(path).read_text() == f'{digest}  {path.name}\n'
    assert find_weights('efficienttam_ti_1', '') == str(path)
    path.write_bytes(archive(seed=1))  # a whole one, too
    for weights_of_user in ('', str(path)):
        with pytest.raises(DownloadError, match=f'expected {digest}. Run .*download_weights'):
            find_weights('efficienttam_ti_1', weights_of_user)
    assert get(unknown, tmp_path).read_bytes() == server['content']


def test_a_file_that_a_user_put_there_is_taken_and_recorded(unknown, server, tmp_path):
    path = tmp_path / unknown.file_name
    path.write_bytes(server['content'])
    get(unknown, tmp_path)
    assert record_path(path).exists()
    assert not server['ranges']


# -- the folder -----------------------------------------------------------------------------------


@pytest.mark.parametrize('link', [os.symlink, os.link])
@pytest.mark.parametrize('name', ['edgetam.pt.part', 'edgetam.pt.part.etag'])
def test_links_are_not_written_through(checkpoint, tmp_path, link, name):
    victim, folder = tmp_path / 'victim', tmp_path / 'weights'
    victim.write_text('precious')
    folder.mkdir()
    link(victim, folder / name)
    with contextlib.suppress(DownloadError):
        get(checkpoint, folder)
    assert victim.read_text() == 'precious'


def test_a_link_in_place_of_the_part_is_named(checkpoint, tmp_path):
    (tmp_path / 'edgetam.pt.part').symlink_to(tmp_path / 'victim')
    with pytest.raises(DownloadError, match=r'edgetam.pt.part is a link'):
        get(checkpoint, tmp_path)
    assert not (tmp_path / 'victim').exists()


def test_a_link_in_place_of_the_file_is_replaced(checkpoint, tmp_path):
    victim, target = tmp_path / 'victim', tmp_path / 'edgetam.pt'
    victim.write_text('precious')
    target.symlink_to(victim)
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT
    assert victim.read_text() == 'precious'
    assert not target.is_symlink()


def test_two_downloads_do_not_write_one_part(checkpoint, tmp_path):
    with (
        Part(tmp_path / 'edgetam.pt.part'),
        pytest.raises(DownloadError, match='in use by another program'),
    ):
        get(checkpoint, tmp_path)
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT


def test_no_room_is_one_line_and_a_further_try_goes_on(checkpoint, server, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(DownloadError, match=r'cannot be written \(File too large\); 5.12 MB'):
            get(checkpoint, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert get(checkpoint, tmp_path).read_bytes() == CONTENT
    assert server['ranges'] == [0, 2_000_000]


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def run(checkpoint, monkeypatch, capsys):
    """Run the command for edgetam; return its status and both outputs."""
    monkeypatch.setitem(weights.CHECKPOINTS, 'edgetam', checkpoint)

    def run(*arguments) -> tuple[int, str, str]:
        status = command.main(['edgetam', *map(str, arguments), '--ros-args'], schemes=HTTP)
        return status, *capsys.readouterr()

    return run


def test_command_fetches_into_the_folder(run, tmp_path):
    status, out, _ = run('--folder', tmp_path)
    assert status == 0
    assert out == f'edgetam: {tmp_path / "edgetam.pt"}\n'


def test_command_knows_a_users_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert run('--folder', '~/own')[0] == 0
    monkeypatch.setenv('TAM_ROS_WEIGHTS', '~/set')
    assert run()[0] == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ['own', 'set']


def make_file(path):
    path.write_text('')


@pytest.mark.parametrize(
    ('prepare', 'folder', 'message'),
    [
        (None, '~nobody_here/x', 'no home folder is known for it: set HOME'),
        (lambda path: make_file(path / 'x'), 'x', 'x cannot be made'),
        (lambda path: make_file(path / 'x'), 'x/y', 'y cannot be made'),
        (None, '/proc/x', '/proc/x cannot be made'),
        (lambda path: (path / 'x/edgetam.pt').mkdir(parents=True), 'x', 'edgetam.pt is a folder'),
        (lambda path: (path / 'x/edgetam.pt.part').mkdir(parents=True), 'x', 'Is a directory'),
        (lambda path: (path / 'x/edgetam.pt.part.etag').mkdir(parents=True), 'x', 'part.etag'),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(run, tmp_path, prepare, folder, message):
    if prepare:
        prepare(tmp_path)
    status, _, err = run('--folder', folder if folder[0] in '~/' else tmp_path / folder)
    *_, line = err.strip().split('\n')
    assert status == 1
    assert message in line
    assert 'set' in line or 'remove' in line
    assert 'Traceback' not in err


def test_command_loads_what_has_no_digest(server, tmp_path, monkeypatch, capsys):
    model = 'efficienttam_ti_1'
    state = reproducible_state_dict(make_network(choose_config(model)))
    for content, status in ((state, 0), ({**state, 'x': torch.zeros(1)}, 1)):
        file = io.BytesIO()
        torch.save({'model': content}, file)
        server['content'] = file.getvalue()
        checkpoint = Checkpoint(f'{model}.pt', server['url'], 71.6)
        monkeypatch.setitem(weights.CHECKPOINTS, model, checkpoint)
        folder = tmp_path / str(status)
        assert command.main([model, '--folder', str(folder)], schemes=HTTP) == status
        assert (folder / f'{model}.pt').exists() == (status == 0)
    assert '1 unknown, such as x; nothing was kept' in capsys.readouterr().err
