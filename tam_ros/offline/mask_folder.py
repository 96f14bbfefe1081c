"""Masks as indexed PNGs, one for each frame: pixels are object numbers, as DAVIS has them."""

from pathlib import Path

import numpy as np

from tam_ros.mask_files import write_mask
from tam_ros.offline.records import FrameRecord


class MaskFolder:
    """The masks of one recording."""

    def __init__(self, folder: Path):
        self._folder = folder

    def write(self, record: FrameRecord) -> None:
        """Write a frame's masks in place of any that are there; raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_mask(self._path(record), record.label_image().astype(np.uint8))

    def restore(self, record: FrameRecord) -> None:
        """Write a frame's masks unless they are there; raises OSError."""
        if not self._path(record).is_file():
            self.write(record)

    def remove(self, record: FrameRecord) -> None:
        """Remove a frame's masks; raises OSError."""
        self._path(record).unlink(missing_ok=True)

    def _path(self, record: FrameRecord) -> Path:
        return self._folder / f'{record.name}.png'
