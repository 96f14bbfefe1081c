"""What the demo leaves to look at: a video with overlays, and a sheet of some of its frames."""

from pathlib import Path

import cv2
import numpy as np

from tam_ros.contact_sheet import make_sheet, make_tile

FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, ORANGE = (255, 255, 255), (64, 160, 255)  # BGR
SHEET_COLUMNS, SHEET_ROWS = 4, 3
TILE_WIDTH = 640


class Film:
    """Writes answered frames at the video's rate: each stays until the next answer came.

    notice is burnt into every frame, if there is one.
    """

    def __init__(self, path: Path, rate_hz: float, notice: str = ''):
        self.path = path
        self._rate_hz = rate_hz
        self._notice = notice
        self._writer: cv2.VideoWriter | None = None
        self._shown: np.ndarray | None = None
        self._shown_from = 0
        self._written = 0
        self.starts: list[int] = []  # frames of the film at which a new answer is shown

    def add(self, index: int, overlay_rgb: np.ndarray, caption: str) -> None:
        """Show frame number index of the camera from its own time on."""
        frame = _with_caption(overlay_rgb[..., ::-1], [caption, self._notice])
        if self._writer is None:
            self._writer = self._open(frame)
        else:
            self._write_until(index)
        self._shown = frame
        self._shown_from = index
        self.starts.append(self._written)

    def close(self, last_index: int) -> None:
        """Show the last answer up to a frame of the camera, and finish the file."""
        self._write_until(last_index + 1)
        if self._writer is not None:
            self._writer.release()

    def _open(self, frame: np.ndarray) -> cv2.VideoWriter:
        size_wh = (frame.shape[1], frame.shape[0])
        codec = cv2.VideoWriter_fourcc(*'mp4v')
        return cv2.VideoWriter(str(self.path), codec, self._rate_hz, size_wh)

    def _write_until(self, index: int) -> None:
        for _ in range(self._shown_from, index):
            if self._writer is not None:
                self._writer.write(self._shown)
                self._written += 1


def _with_caption(image_bgr: np.ndarray, lines: list[str]) -> np.ndarray:
    """Return the image with lines of text on black below it; its size becomes even."""
    height, width = (side // 2 * 2 for side in image_bgr.shape[:2])
    scale = width / 640
    line_px = int(26 * scale)
    lines = [line for line in lines if line]
    strip = np.zeros(((len(lines) * line_px + line_px // 3) // 2 * 2, width, 3), np.uint8)
    for row, (text, color) in enumerate(zip(lines, (WHITE, ORANGE))):
        at_xy = (int(8 * scale), int(line_px * (row + 0.85)))
        cv2.putText(
            strip, text, at_xy, FONT, 0.62 * scale, color, max(1, round(scale)), cv2.LINE_AA
        )
    return np.vstack([image_bgr[:height, :width], strip])


def write_contact_sheet(path: Path, film: Film) -> None:
    """Write some answered frames, evenly spread over a finished film, side by side as a PNG."""
    count = min(SHEET_COLUMNS * SHEET_ROWS, len(film.starts))
    chosen = np.linspace(0, len(film.starts) - 1, count).round().astype(int)
    tiles = _read_frames(film.path, [film.starts[i] for i in chosen])
    cv2.imwrite(str(path), make_sheet(tiles, SHEET_COLUMNS))


def _read_frames(path: Path, positions: list[int]) -> list[np.ndarray]:
    """Return frames of a video at ascending positions, at the width of a tile."""
    video, frames, position = cv2.VideoCapture(str(path)), [], 0
    for wanted in positions:
        while position <= wanted:
            _, frame = video.read()
            position += 1
        frames.append(make_tile(frame, TILE_WIDTH))
    return frames
