"""What a run leaves to look at: a video with overlays, and a page of some of its frames."""

from pathlib import Path

import cv2
import numpy as np

from tam_ros.contact_sheet import make_sheet, make_tile
from tam_ros.offline.recording import View
from tam_ros.offline.records import FrameRecord
from tam_ros.offline.storage import part_of, whole_file
from tam_ros.overlay import draw_overlay

CODEC = 'mp4v'  # which every build of OpenCV writes
RATES_HZ = 0.1, 600.0  # that such a file can state
SHEET_COLUMNS, SHEET_ROWS = 4, 3
TILE_WIDTH = 480
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


class Pictures:
    """Draws what was found in each frame, once for the video and the page; see `close`."""

    def __init__(self, video: Path, sheet: Path, rate_hz: float):
        """rate_hz: of the video."""
        self._video = OverlayVideo(video, rate_hz)
        self._sheet = Sheet(sheet)

    def add(self, view: View, record: FrameRecord) -> None:
        """Draw the next frame; raises OSError."""
        drawn = cv2.cvtColor(draw_overlay(view.image_rgb, record), cv2.COLOR_RGB2BGR)
        self._video.add(drawn)
        self._sheet.add(drawn, record.index)

    def close(self) -> None:
        """Put both in place of those of an earlier run; raises OSError."""
        self._video.close()
        self._sheet.close()

    def discard(self) -> None:
        """Leave those of an earlier run; raises OSError."""
        self._video.discard()


class OverlayVideo:
    """An MP4 of one picture per frame; of odd sizes the last row and column are left out."""

    def __init__(self, path: Path, rate_hz: float):
        self._path = path
        lowest, highest = RATES_HZ
        self._rate_hz = round(min(max(rate_hz, lowest), highest), 2)
        self._writer: cv2.VideoWriter | None = None

    def add(self, image_bgr: np.ndarray) -> None:
        """Append an (H, W, 3) uint8 picture of the size of the first."""
        height, width = (max(2, side // 2 * 2) for side in image_bgr.shape[:2])
        if self._writer is None:
            self._writer = self._open((width, height))
        self._writer.write(image_bgr[:height, :width])

    def _open(self, size_wh: tuple[int, int]) -> cv2.VideoWriter:
        part, codec = part_of(self._path), cv2.VideoWriter_fourcc(*CODEC)
        writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, codec, self._rate_hz, size_wh)
        if not writer.isOpened():
            raise OSError(f'{part} cannot be written as a video of {size_wh[0]}x{size_wh[1]}')
        return writer

    def close(self) -> None:
        """Finish the file; OSError where it came to nothing, as on a full disk."""
        if self._writer is None:
            return
        self._writer.release()
        with whole_file(self._path) as part:
            if not cv2.VideoCapture(str(part)).isOpened():
                raise OSError(f'{self._path} cannot be written: is there room?')

    def discard(self) -> None:
        """Leave the file of an earlier run; raises OSError."""
        if self._writer is not None:
            self._writer.release()
            part_of(self._path).unlink(missing_ok=True)


class Sheet:
    """A page of pictures, evenly spread over however many come; it holds few of them."""

    def __init__(self, path: Path):
        self._path = path
        self._most = SHEET_COLUMNS * SHEET_ROWS
        self._every = 1
        self._tiles: list[np.ndarray] = []
        self._count = 0
        self._newest: np.ndarray | None = None

    def add(self, image_bgr: np.ndarray, index: int) -> None:
        """Take the next picture, of a frame of that index."""
        self._newest = None
        if self._count % self._every == 0:
            self._tiles.append(_captioned(make_tile(image_bgr, TILE_WIDTH), str(index)))
            if len(self._tiles) > 2 * self._most:
                self._tiles, self._every = self._tiles[::2], 2 * self._every
        else:
            self._newest = _captioned(make_tile(image_bgr, TILE_WIDTH), str(index))
        self._count += 1

    def close(self) -> None:
        """Write the page, if there is anything; raises OSError."""
        tiles = self._tiles + ([] if self._newest is None else [self._newest])
        if not tiles:
            return
        chosen = np.linspace(0, len(tiles) - 1, min(self._most, len(tiles))).round().astype(int)
        page = make_sheet([tiles[i] for i in chosen], SHEET_COLUMNS)
        with whole_file(self._path) as part:
            if not cv2.imwrite(str(part), page):
                raise OSError(f'{self._path} cannot be written')


def _captioned(tile: np.ndarray, text: str) -> np.ndarray:
    """Write a text into the bottom left corner of a tile, where overlays have no captions."""
    at_xy = (6, tile.shape[0] - 8)
    for color, thickness in ((BLACK, 3), (WHITE, 1)):
        cv2.putText(
            tile, text, at_xy, cv2.FONT_HERSHEY_SIMPLEX, 0.6, color, thickness, cv2.LINE_AA
        )
    return tile
