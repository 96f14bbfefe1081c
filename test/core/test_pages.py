"""The pages of the project are short where they should be, lead where they say, and run."""

import runpy
from collections import Counter

import pytest
from pages import PAGES, ROOT, anchors, commands, links, programs

README = ROOT / 'README.md'
MOST_WORDS = 900  # of README.md: for somebody who has ten minutes
MOST_BYTES = 1_500_000  # of a picture
EXAMPLE = ROOT / 'docs' / 'library.md'
CLIP = ROOT / 'demo' / 'clip'
MUG = 1  # in the masks of that clip


def test_readme_is_short():
    assert len(README.read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    assert [link for link in links(page) if not leads(page, link)] == []


def leads(page, link: str) -> bool:
    """Return whether a link leads to a file of the project, and to a heading where it says so."""
    path, _, anchor = link.partition('#')
    target = (page.parent / path).resolve() if path else page
    if ROOT not in (target, *target.parents) or not target.exists():
        return False
    return not anchor or (target.suffix == '.md' and anchor in anchors(target))


def test_links_that_lead_nowhere_are_found():
    for link in ('docs/nowhere.md', 'docs/3d.md#nowhere', '#nowhere', '../shared', 'LICENSE#top'):
        assert not leads(README, link)
    assert all(leads(README, link) for link in ('docs', '#install', 'docs/3d.md#handing-it-on'))


def test_headings_have_the_anchors_of_github(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(
        '# A, b: `c_d` (e)\n\n## [Same](there.md)\n\n```\n# no heading\n```\n\n## Same\n'
    )
    assert anchors(page) == {'a-b-c_d-e', 'same', 'same-1'}


def test_every_page_and_picture_is_shown_by_the_readme():
    shown = {(README.parent / link.partition('#')[0]).resolve() for link in links(README)}
    assert set((ROOT / 'docs').iterdir()) <= shown


def test_pictures_are_small():
    beside = {path for page in PAGES for path in page.parent.iterdir()}
    pictures = [path for path in beside if path.suffix in ('.jpg', '.gif')]
    assert pictures
    assert [path for path in pictures if path.stat().st_size > MOST_BYTES] == []


def test_commands_are_read_as_a_shell_does(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(
        'Type `make a` or `b`, with `ros2 topic hz`:\n\n'
        '    cd x && make b \\\n      C="d e" [--f g]   # not this\n    V="1 2"\n    make $V\n\n'
        '```yaml\nmake: no\n```\n\n    $ make h\n    h is made\n'
    )
    assert [command.words for command in commands(page)] == [
        ('make', 'a'),
        ('cd', 'x'),
        ('make', 'b', 'C=d e', '--f', 'g'),
        ('make', '1', '2'),
        ('make', 'h'),
    ]


def test_the_example_of_the_library_tracks_the_mug(monkeypatch, capsys):
    (program,) = programs(EXAMPLE, 'python')
    monkeypatch.chdir(ROOT)
    names = {}
    exec(program, names)
    mask = names['labels'] == names['mug'].object_id
    load_masks = runpy.run_path(str(CLIP / 'clip_masks.py'))['load_masks']
    truth = load_masks(CLIP / 'clip_masks.zip')[29] == MUG
    assert (mask & truth).sum() > 0.8 * (mask | truth).sum()
    said = Counter(line.split()[1] for line in capsys.readouterr().out.splitlines())
    assert said == {'TRACKED': 29}
