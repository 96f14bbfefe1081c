"""Runs of track_file for tests, with the embedded network at its smallest."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tam_ros.offline.command import main

FAST = ['--image-size', '256', '--threads', '1']
MUG, BOTTLE = '32,303,122,399', '404,100,447,218'  # in the first frame of the demo clip
MUG_PROMPT = {'object': 1, 'label': 'mug', 'box': [32, 303, 122, 399]}
BOTTLE_PROMPT = {'object': 9, 'label': 'bottle', 'box': [404, 100, 447, 218]}
COUNT = 12  # frames of the short clip
CLIP = Path(__file__).parents[1] / 'demo' / 'clip' / 'clip.mp4'


def first_frames(count: int) -> list[np.ndarray]:
    """Return the first frames of the demo clip, BGR."""
    video = cv2.VideoCapture(str(CLIP))
    return [video.read()[1] for _ in range(count)]


def write_images(folder: Path, size_wh: tuple[int, int], names: list[str]) -> Path:
    """Write the first frames of the demo clip under names."""
    folder.mkdir()
    for name, image in zip(names, first_frames(len(names))):
        _, encoded = cv2.imencode('.png', cv2.resize(image, size_wh))
        (folder / name).write_bytes(encoded.tobytes())
    return folder


def write_prompts(folder: Path, *prompts) -> Path:
    path = folder / 'prompts.json'
    path.write_text(json.dumps(list(prompts)))
    return path


def track(*arguments) -> int:
    """Run the command in this process; return its status."""
    return main([*map(str, arguments), *FAST])


def refusal(capsys, *arguments) -> str:
    """Return what the command says last when it refuses at once."""
    try:
        status = track(*arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix('track_file: error: ')


def rows(out: Path) -> list[dict[str, str]]:
    with (out / 'objects.csv').open(encoding='utf-8', errors='surrogateescape') as file:
        return list(csv.DictReader(file))


def journal(out: Path) -> list[dict]:
    """Return what is kept of each frame."""
    lines = [json.loads(line) for line in (out / 'track.jsonl').read_text().splitlines()]
    return [line for line in lines if 'frame' in line]


def journal_lines(out: Path) -> list[bytes]:
    """Return the head, a line for each frame, and what says that none follows."""
    return (out / 'track.jsonl').read_bytes().splitlines(keepends=True)


def masks(out: Path) -> dict[str, np.ndarray]:
    """Return all masks by the names of their frames."""
    files = sorted(out.glob('masks/*/*'))
    return {file.stem: np.asarray(Image.open(file)) for file in files}


def film(out: Path) -> list[np.ndarray]:
    video, images = cv2.VideoCapture(str(out / 'overlay.mp4')), []
    while (read := video.read())[0]:
        images.append(read[1])
    return images


def check_whole(out: Path, count: int) -> None:
    """Check that every result is there for as many frames, and that all say the same."""
    lines, found, table = journal(out), masks(out), rows(out)
    assert len(lines) == len(found) == len(film(out)) == count
    coco = json.loads((out / 'annotations.json').read_text())
    assert len(coco['images']) == count
    assert [row['frame'] for row in table] == [
        str(line['frame']) for line in lines for _ in line['objects']
    ]
    visible = [row for row in table if row['x0']]
    assert len(coco['annotations']) == len(visible)
    for row, annotation in zip(visible, coco['annotations']):
        mask = found[row['name']] == int(row['object'])
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        assert [int(row[key]) for key in ('x0', 'y0', 'x1', 'y1')] == [
            *(x, y, x + width, y + height)
        ]
        assert annotation['bbox'] == [x, y, width, height]
        assert annotation['area'] == int(row['area']) == mask.sum()
        assert annotation['track_id'] == int(row['object'])
    assert cv2.imread(str(out / 'contact_sheet.png')) is not None
    assert not list(out.rglob('part-*'))
    assert not list(out.rglob('*.part'))
