"""The folder that the demo plays in 3D: the user's, or the clip's with the faults of a camera."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from tam_ros.evaluation.depth_noise import StereoNoise
from tam_ros.rgbd_folder import open_rgbd


def with_stereo_noise(folder: Path, out: Path) -> Path:
    """Copy a folder with exact depth, and give it that of a stereo camera; return the copy."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(folder / 'rgb', out / 'rgb')
    shutil.copy(folder / 'camera.json', out)
    (out / 'depth').mkdir()
    files, noise, rng = open_rgbd(folder), StereoNoise(), np.random.default_rng(0)
    for t, path in enumerate(files.depths):
        noisy = noise.apply(files.depth_mm(t) * np.float32(1e-3), rng)
        cv2.imwrite(str(out / 'depth' / path.name), noisy)
    return out
