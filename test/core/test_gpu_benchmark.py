"""The script that measures on a GPU: what it says where there is none, no time, and its tables."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from gpu_tables import markdown

SCRIPT = Path(__file__).parents[2] / 'benchmark' / 'gpu.sh'
TIMES = {'encode_image': 1.0, 'attend_memory': 2.0, 'decode_mask': 3.0, 'encode_memory': 4.0}


def run_script(out: Path, **environment: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'PYTHON': sys.executable, 'OUT': str(out), **environment}
    return subprocess.run([SCRIPT], env=environment, capture_output=True, text=True)


def squeezed(text: str) -> str:
    """Return a text without the spaces that align its tables."""
    return re.sub(' +', ' ', text)


def speed_row(who: str, factor: float, **more) -> dict:
    times = {stage: factor * ms for stage, ms in TIMES.items()}
    where = {'model': 'edgetam', 'px': 1024, 'objects': 8, 'who': who}
    return {**where, 'stage_ms': {**times, 'total': 99.0}, **more}


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_missing_gpu_is_one_line(tmp_path):
    run = run_script(tmp_path, DEVICE='cuda')
    assert run.returncode == 2
    assert "device 'cuda' is not available here: choose from cpu" in run.stderr.splitlines()[-1]


def test_unknown_part_is_refused_by_name(tmp_path):
    run = run_script(tmp_path, DEVICE='cpu', PARTS='machine speed')
    assert run.returncode == 2
    assert "'speed'" in run.stderr.splitlines()[-1]


def test_parts_without_time_are_named_and_others_kept(tmp_path):
    run = run_script(tmp_path, DEVICE='cpu', PARTS='machine memory', BUDGET_S='0')
    assert run.returncode == 0, run.stderr
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [part['state'] for part in results['parts']] == ['no time left'] * 2
    assert '| memory | no time left |' in squeezed((tmp_path / 'results.md').read_text())


def test_ratio_is_to_the_official_code_in_the_same_precision():
    rows = [
        speed_row('fp32', 1, peak_mb=123.4, mask_iou=1.0),
        speed_row('bf16+compile', 0.5, peak_mb=50.0, mask_iou=0.99),
        speed_row('official fp32', 4),
        speed_row('official bf16', 2),
    ]
    text = squeezed(markdown([], {'edgetam': rows}))
    assert '| fp32 | 1.0 | 2.0 | 3.0 | 4.0 | 10.0 | 99.0 | 0.25 | 123 | 1.000 |' in text
    assert '| bf16+compile | 0.5 | 1.0 | 1.5 | 2.0 | 5.0 | 99.0 | 0.25 | 50 | 0.990 |' in text
    assert '| official bf16 | 2.0 | 4.0 | 6.0 | 8.0 | 20.0 | 99.0 | | | |' in text


def test_failures_are_listed_beside_parts_that_were_stopped():
    rows = {'edgetam': [{'model': 'edgetam', 'objects': 1, 'who': 'fp16', 'error': 'Error: no'}]}
    text = markdown([{'part': 'onnx', 'state': 'stopped after 3 s', 'seconds': 3.0}], rows)
    text = squeezed(text)
    assert '| edgetam 1 fp16 | Error: no |' in text
    assert '| onnx | stopped after 3 s |' in text
