"""Make a short GIF of a video, for a page: python demo/gif.py demo/out/overlay.mp4 overlay.gif."""

import argparse
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tam_ros.video_source import open_source


def main(arguments=None) -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition(':')[0])
    add = parser.add_argument
    add('video', help='to read')
    add('gif', type=Path, help='to write')
    add('--frames', type=int, default=175, help='of the video, from its first one on')
    add('--every', type=int, default=5, help='of how many frames one is taken')
    add('--width', type=int, default=400, help='in pixels')
    add('--colors', type=int, default=128, help='of all pictures together, up to 256')
    options = parser.parse_args(arguments)
    source = open_source(options.video)
    frames = islice(source.frames, 0, options.frames, options.every)
    pictures = [shrink(frame.image_bgr, options.width) for frame in frames]
    frame_ms = round(1000 * options.every / source.rate_hz)
    write_gif(options.gif, pictures, frame_ms=frame_ms, colors=options.colors)


def shrink(image_bgr: np.ndarray, width: int) -> Image.Image:
    """Return a (H, W, 3) uint8 image as a picture that is width pixels across."""
    height = round(image_bgr.shape[0] * width / image_bgr.shape[1])
    small = cv2.resize(image_bgr, (width, height), interpolation=cv2.INTER_AREA)
    return Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))


def write_gif(path: Path, pictures: list[Image.Image], *, frame_ms: int, colors: int) -> None:
    """Write pictures that share one palette, so that what stays still costs nothing."""
    sample = Image.fromarray(np.vstack([np.asarray(picture) for picture in pictures[::5]]))
    palette = sample.quantize(colors, method=Image.Quantize.FASTOCTREE)
    first, *others = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    first.save(path, save_all=True, append_images=others, duration=frame_ms, loop=0)


if __name__ == '__main__':
    main()
