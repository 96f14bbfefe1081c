"""Names of the demo clip's objects, and the reader and writer of its ground-truth masks."""

import zipfile

import cv2
import numpy as np

NAMES = {1: 'mug', 2: 'ball', 3: 'can', 4: 'block', 5: 'bottle', 6: 'other mug', 7: 'oats box'}


def save_masks(path, masks):
    """Write label images as 00000.png, 00001.png, ... in one zip file (same bytes every time)."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, 0]
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for index, mask in enumerate(masks):
            entry = zipfile.ZipInfo(f'{index:05d}.png', (2000, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, cv2.imencode('.png', mask, options)[1].tobytes())


def load_masks(path):
    """Return every frame's label image as one (frames, H, W) uint8 array; 0 is background."""
    with zipfile.ZipFile(path) as archive:
        pngs = [archive.read(name) for name in sorted(archive.namelist())]
    flag = cv2.IMREAD_GRAYSCALE
    return np.stack([cv2.imdecode(np.frombuffer(png, np.uint8), flag) for png in pngs])
