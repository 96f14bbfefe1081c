"""The project's pages as their readers have them: headings, links, commands and programs."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Template

import pytest

markdown_it = pytest.importorskip('markdown_it', reason='pages are read by markdown-it-py')

ROOT = Path(__file__).parents[1]
FOLDERS = ('docs', 'benchmark', 'training', 'demo', 'tam_ros', 'test')
PAGES = [*ROOT.glob('*.md'), *(path for name in FOLDERS for path in ROOT.glob(f'{name}/**/*.md'))]
SHELL = ('', 'bash')  # languages of blocks that hold commands
VARIABLE = re.compile(r'(\w+)="(.*)"')
INLINE = re.compile(r'(\w+=\S+ )*((ros2|make|pip|python3?|docker|ssh|tam_\w+) \S.*|[\w/]+\.sh)')
TOOL = re.compile(r'ros2( [a-z]+){1,2}|pip install')  # named, not to be typed like that


@dataclass(frozen=True)
class Command:
    """A command that a page tells to type."""

    page: Path
    """Where it stands."""
    words: tuple[str, ...]
    """As a shell splits them; options in brackets, which may be left out, are among them."""

    def __str__(self) -> str:
        return f'{self.page.relative_to(ROOT)}: {shlex.join(self.words)}'


@lru_cache
def tokens(page: Path) -> list:
    """Return all tokens of a page, those within lines after the line."""
    parsed = markdown_it.MarkdownIt('commonmark').enable('table').parse(page.read_text())
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def anchors(page: Path) -> set[str]:
    """Return what links to the headings of a page end with, by GitHub's rule."""
    found, names = tokens(page), Counter()
    headings = [found[i + 1] for i, token in enumerate(found) if token.type == 'heading_open']
    return {_anchor(_text(heading), names) for heading in headings}


def _text(heading) -> str:
    """Return a heading as it is shown: without the marks of code, and the addresses of links."""
    return ''.join(t.content for t in heading.children if t.type in ('text', 'code_inline'))


def _anchor(text: str, names: Counter) -> str:
    """Return the anchor of a heading; names: how often each was there before it."""
    name = re.sub(r'[^\w\- ]', '', text.lower()).replace(' ', '-')
    names[name] += 1
    return f'{name}-{names[name] - 1}' if names[name] > 1 else name


def links(page: Path) -> list[str]:
    """Return where links and pictures of a page lead to within the project."""
    found = [token.attrGet('href') or token.attrGet('src') for token in tokens(page)]
    return [link for link in found if link and not re.match(r'[a-z]+:', link)]


def programs(page: Path, language: str) -> list[str]:
    """Return the text of the blocks of a page that are in a language."""
    return [t.content for t in tokens(page) if t.type == 'fence' and t.info == language]


def commands(page: Path) -> list[Command]:
    """Return the commands of a page: those of its blocks, and those within its lines."""
    variables: dict[str, str] = {}
    found = []
    for token in tokens(page):
        if token.type == 'code_block' or (token.type == 'fence' and token.info in SHELL):
            lines = _typed_lines(token.content)
        else:
            lines = [token.content] if token.type == 'code_inline' else []
            lines = [text for text in lines if INLINE.fullmatch(text) and not TOOL.fullmatch(text)]
        for line in lines:
            if assigned := VARIABLE.fullmatch(line):
                variables[assigned[1]] = assigned[2]
            else:
                line = Template(line).safe_substitute(variables)
                found += [Command(page, words) for words in split(line)]
    return found


def _typed_lines(block: str) -> list[str]:
    """Return the lines of a block that are typed: where some have a prompt, no others."""
    lines = block.replace('\\\n', ' ').splitlines()
    prompted = [line.removeprefix('$ ') for line in lines if line.startswith('$ ')]
    return [line for line in prompted or lines if line.strip()]


def split(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command of a line."""
    all_said = re.sub(r'\[(--[^]]+)\]', r'\1', line)
    lexer = shlex.shlex(all_said, posix=True, punctuation_chars='&')
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, '&&']:
        if word != '&&':
            words.append(word)
        elif words:
            yield tuple(words)
            words = []
