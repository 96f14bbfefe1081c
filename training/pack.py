"""Pack material for a machine that is at hand for minutes: as much as fits into so many MiB.

Pictures and clips are made smaller, and of each kind some are taken, the same each time. What is
written can be given to `training.train` as --assets, --rendered and --filmed; `gpu.sh` does.
Usage: python -m training.pack --assets DIR --start-from WEIGHTS --out PACK [--mib 44] ...
"""

import argparse
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tam_ros.image_files import read_image
from training.checkpoints import export_weights, read_weights
from training.clips import Clip, load_clip, resize_clip, save_clip
from training.photos import find_known

QUALITY = 75  # of JPEG: what is trained on is blurred and compressed anyhow
PHOTO_SIDE, CUTOUT_SIDE, KNOWN_SIDE, CLIP_SIDE = 256, 160, 320, 256  # pixels of the short side
MOST_FRAMES = 16  # of a film
WEBP = '.webp', (cv2.IMWRITE_WEBP_QUALITY, 60)  # for clips: half of JPEG's size, as like them
# Parts of what room is left by the weights and the kinds before; what one leaves is the next's.
SHARES = {'known': 0.25, 'cutouts': 0.1, 'filmed': 0.6, 'rendered': 0.75, 'photos': 1.0}
MIB = 2**20

Writer = Callable[[Path], list[Path]]  # writes what a source becomes, returns the files


def pack(sources: Mapping[str, tuple[Sequence[Path], Writer]], room: int) -> dict[str, int]:
    """Write of each kind of sources as many as its share of a room in bytes holds.

    sources: per kind of SHARES, in its order, the files and what writes one. Returns how many of
    each were written.
    """
    counts = {}
    for kind, (paths, write) in sources.items():
        limit, used, counts[kind] = SHARES[kind] * room, 0, 0
        for i in np.random.default_rng(0).permutation(len(paths)):
            written = write(paths[i])
            size = sum(path.stat().st_size for path in written)
            if used + size > limit:
                for path in written:
                    path.unlink()
                break
            used, counts[kind] = used + size, counts[kind] + 1
        room -= used
    return counts


class Writers:
    """Write the smaller copies of pictures and clips into a folder."""

    def __init__(self, folder: Path):
        self._folder = folder
        for name in ('photos', 'cutouts', 'coco/images', 'coco/masks', 'filmed', 'rendered'):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def photo(self, path: Path) -> list[Path]:
        """Copy a photo without a mask."""
        return [self._picture(path, f'photos/{path.stem}.jpg', PHOTO_SIDE)]

    def cutout(self, path: Path) -> list[Path]:
        """Copy a cut-out with its mask."""
        return self._with_mask(
            (path, path.with_suffix('.png')), 'cutouts/{}.jpg', 'cutouts/{}.png', CUTOUT_SIDE
        )

    def known(self, path: Path) -> list[Path]:
        """Copy a photo of a folder of images and masks, with its mask."""
        mask = path.parents[1] / 'masks' / f'{path.stem}.png'
        return self._with_mask((path, mask), 'coco/images/{}.jpg', 'coco/masks/{}.png', KNOWN_SIDE)

    def filmed(self, path: Path) -> list[Path]:
        """Copy a clip of `training.film`, some frames of it if it is long."""
        return [self._clip(path, self._folder / 'filmed' / path.name)]

    def rendered(self, path: Path) -> list[Path]:
        """Copy a clip of `training.render`."""
        return [self._clip(path, self._folder / 'rendered' / path.name)]

    def list_known(self) -> None:
        """Write the list of the photos with masks that were copied, as `photos` reads it."""
        names = sorted(path.name for path in (self._folder / 'coco/images').iterdir())
        listed = [{'file': name, 'split': 'train'} for name in names]
        (self._folder / 'coco/attribution.json').write_text(json.dumps(listed))

    def _with_mask(
        self, paths: tuple[Path, Path], photo_name: str, mask_name: str, side: int
    ) -> list[Path]:
        photo, mask = paths
        copied = self._picture(photo, photo_name.format(photo.stem), side)
        labels = read_image(mask, cv2.IMREAD_GRAYSCALE)
        size_wh = read_image(copied).shape[1::-1]
        target = self._folder / mask_name.format(photo.stem)
        cv2.imwrite(str(target), cv2.resize(labels, size_wh, interpolation=cv2.INTER_NEAREST))
        return [copied, target]

    def _picture(self, path: Path, name: str, side: int) -> Path:
        picture, target = read_image(path), self._folder / name
        scale = min(1.0, side / min(picture.shape[:2]))
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        return target

    def _clip(self, path: Path, target: Path) -> Path:
        clip = load_clip(path)
        height, width = clip.masks.shape[1:]
        scale = min(1.0, CLIP_SIDE / min(height, width))
        kept = _evenly(len(clip.masks), MOST_FRAMES)
        clip = Clip(clip.images[kept], clip.masks[kept])
        size_wh = round(width * scale), round(height * scale)
        save_clip(target, resize_clip(clip, size_wh), coding=WEBP)
        return target


def _evenly(length: int, most: int) -> np.ndarray:
    """Return the indices of at most so many frames, evenly spaced."""
    return np.arange(0, length, -(-length // most))


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--assets', type=Path, required=True, help='photos/, cutouts/ and coco/')
    parser.add_argument('--rendered', type=Path, help='clips of training.render')
    parser.add_argument('--filmed', type=Path, help='clips of training.film')
    parser.add_argument('--start-from', type=Path, required=True, help='checkpoint or weights')
    parser.add_argument('--out', type=Path, required=True, help='is emptied first')
    parser.add_argument('--mib', type=float, default=44, help='size of everything')
    args = parser.parse_args(arguments)
    shutil.rmtree(args.out, ignore_errors=True)
    writers = Writers(args.out)
    weights = args.out / 'start.safetensors'
    export_weights(read_weights(args.start_from), weights)
    clips = {
        name: sorted(folder.glob('*.npz')) if folder else []
        for name, folder in (('filmed', args.filmed), ('rendered', args.rendered))
    }
    sources = {
        'known': ([known.photo for known in find_known(args.assets / 'coco')], writers.known),
        'cutouts': (sorted(args.assets.glob('cutouts/*.jpg')), writers.cutout),
        'filmed': (clips['filmed'], writers.filmed),
        'rendered': (clips['rendered'], writers.rendered),
        'photos': (sorted(args.assets.glob('photos/*.jpg')), writers.photo),
    }
    counts = pack(sources, int(args.mib * MIB) - weights.stat().st_size)
    writers.list_known()
    print(f'{args.out}: ' + ', '.join(f'{count} {kind}' for kind, count in counts.items()))


if __name__ == '__main__':
    main()
