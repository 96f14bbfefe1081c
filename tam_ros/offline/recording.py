"""What is tracked in: a video, a folder of images or a bag, as shots with their times."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tam_ros.image_files import IMAGE_SUFFIXES, SourceError, image_size, list_files
from tam_ros.video_source import LONGEST_GAP_S, Source, at_rate, open_source, webcam_number

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Origin:
    """Where in a bag an image was."""

    stamp_ns: int
    """Of its header."""
    frame_id: str
    """Of its header."""
    received_ns: int
    """When the recorder got it."""


@dataclass(frozen=True)
class View:
    """A picture of a recording."""

    index: int
    """Which it is, from 0; one that cannot be read has its number, too."""
    name: str
    """Unlike those of all others: a file name without its suffix, or the number."""
    file_name: str
    """Of its image file; '' of a picture that is none."""
    time_ns: int
    """Ascends from view to view; since the first, in a bag the header's stamp if that does so."""
    image_rgb: np.ndarray
    """(H, W, 3) uint8."""
    origin: Origin | None = None
    """None where it is not of a bag."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Its width and height in pixels."""
        return self.image_rgb.shape[1], self.image_rgb.shape[0]


@dataclass(frozen=True)
class Shot:
    """A picture, and the time that belongs to it: that to which no other is nearer."""

    view: View
    """The picture."""
    until_ns: int
    """The middle between its time and that of the next."""


@dataclass(frozen=True)
class Recording:
    """Pictures of one size that can be gone through several times."""

    path: Path
    """Of the file or folder."""
    rate_hz: float
    """Pictures per second, in the mean."""
    count: int | None
    """Of pictures; None where nothing says so."""
    is_counted: bool
    """Whether the count is certain, which those that videos state are not."""
    views: Callable[[], Iterator[View]]
    """Starts at the first picture; raises SourceError where it breaks off."""
    topic: str = ''
    """Of a bag's images; '' where it is none."""
    storage: str = ''
    """Of a bag: sqlite3 or mcap."""
    start_ns: int = 0
    """When a bag's first message was recorded, of whichever topic."""

    @property
    def name(self) -> str:
        """What it is called: a folder's name, or a file's without its suffix."""
        path = self.path.resolve()
        return (path.name if path.is_dir() else path.stem) or 'recording'

    def shots(self) -> Generator[Shot, None, None]:
        """Return all pictures with their times; raises SourceError for one of another size."""
        return with_times(self._of_one_size(), round(SECOND / self.rate_hz))

    def first(self) -> View:
        """Return the first picture; raises SourceError where there is none."""
        for view in self.views():
            return view
        raise SourceError(f'{self.path} has no images that can be read')

    def _of_one_size(self) -> Iterator[View]:
        size_wh = None
        for view in self.views():
            size_wh = size_wh or view.size_wh
            check_size(f'{self.path}: frame {view.index} ({view.name})', view.size_wh, size_wh)
            yield view


def check_size(what: str, size_wh: tuple[int, int], first_wh: tuple[int, int]) -> None:
    """Raise SourceError for a picture that is not as large as the first."""
    if size_wh != first_wh:
        (width, height), (first_width, first_height) = size_wh, first_wh
        raise SourceError(
            f'{what} is {width}x{height}, the first is {first_width}x{first_height}: '
            'give images of one size'
        )


def with_times(views: Iterable[View], period_ns: int) -> Generator[Shot, None, None]:
    """Say of each view up to when it counts; the last as long as the one before it.

    period_ns: of a recording of one view.
    """
    held, failure = None, None
    try:
        for view in views:
            if held is not None:
                period_ns = view.time_ns - held.time_ns
                yield Shot(held, held.time_ns + period_ns // 2)
            held = view
    except SourceError as error:  # the one before is whole
        failure = error
    if held is not None:
        yield Shot(held, held.time_ns + period_ns // 2)
    if failure is not None:
        raise failure


class Stopwatch:
    """Gives times that ascend to frames whose own stamps may not."""

    def __init__(self, period_ns: int):
        """period_ns: between two frames whose times say nothing."""
        self._period_ns = period_ns
        self._last: tuple[int, ...] | None = None
        self._time_ns = 0

    def time_ns(self, *clocks_ns: int) -> int:
        """Return the time of the next frame by the first of its clocks that goes on as it should.

        It goes on by more than nothing, and by at most ten seconds. The first frame has the time
        of its first clock that is not 0.
        """
        if self._last is None:
            self._time_ns = next((now for now in clocks_ns if now), 0)
        else:
            gaps_ns = (now - last for now, last in zip(clocks_ns, self._last))
            usable = (gap for gap in gaps_ns if 0 < gap <= LONGEST_GAP_S * SECOND)
            self._time_ns += next(usable, self._period_ns)
        self._last = clocks_ns
        return self._time_ns


def open_files(path: Path, *, rate_hz: float = 0.0) -> Recording:
    """Open a video, an image or a folder of images; raises SourceError.

    rate_hz: of its frames; 0: at the times that a video says itself, images at 30 Hz.
    """
    is_there = path.is_file() or path.is_dir()
    if webcam_number(str(path)) is not None and not is_there:
        raise SourceError(f'{path} is a webcam: give a video, a folder of images or a bag')
    files = _image_files(path)
    names = _names(files)
    _check_sizes(files)

    def views() -> Iterator[View]:
        source = _open(path, rate_hz)
        for i, frame in enumerate(source.frames):
            name, file_name = (names[i], files[i].name) if files else (f'{i:05d}', '')
            image_rgb = cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2RGB)
            yield View(i, name, file_name, round(frame.time_s * SECOND), image_rgb)

    source = _open(path, rate_hz)
    return Recording(path, source.rate_hz, source.count, bool(files), views)


def _open(path: Path, rate_hz: float) -> Source:
    source = open_source(str(path))
    return at_rate(source, rate_hz) if rate_hz else source


def _image_files(path: Path) -> list[Path]:
    """Return the images that are the frames of a folder, or the one of a file; none of a video."""
    if path.is_dir():
        return list_files(path, IMAGE_SUFFIXES)
    return [path] if path.suffix.lower() in IMAGE_SUFFIXES else []


def _names(files: list[Path]) -> list[str]:
    """Return what images are called: without suffixes where that does not make two the same."""
    stems = [file.stem for file in files]
    return stems if len(set(stems)) == len(stems) else [file.name for file in files]


def _check_sizes(files: list[Path]) -> None:
    """Raise SourceError for an image of another size than the first; nothing is decoded."""
    sizes_wh = map(image_size, files)
    first_wh = next(sizes_wh, (0, 0))
    for file, size_wh in zip(files[1:], sizes_wh):
        check_size(str(file), size_wh, first_wh)
