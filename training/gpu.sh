#!/usr/bin/env bash
# Train for minutes on a machine that has a GPU, PyTorch and OpenCV, and neither ROS nor a network:
# `training/gpu.sh`, in the root of this repository, with what `python -m training.pack` made.
#
# Writes weights.safetensors (the mean weights, half precision) and log.jsonl to OUT every two
# minutes and in the end; go on from them with --start-from. What is set in the environment:
#   PACK      training/pack: the material and start.safetensors
#   OUT       training/out
#   MINUTES   8
#   DEVICE    cuda; cpu to rehearse, with SCHEDULE=comparison MINUTES=2
#   WORKERS   14: processes that compose clips
#   SCHEDULE  gpu_lite0, of training/settings.py: its steps are parts of the minutes
#   PYTHON    python3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
pack=${PACK:-training/pack}
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
"${PYTHON:-python3}" -m training.train --assets "$pack" --rendered "$pack/rendered" \
  --filmed "$pack/filmed" --start-from "$pack/start.safetensors" --run "$run" \
  --export "${OUT:-training/out}" --model tam_nano --trunk-rate 0.1 --device "${DEVICE:-cuda}" --bf16 \
  --workers "${WORKERS:-14}" --minutes "${MINUTES:-8}" --schedule "${SCHEDULE:-gpu_lite0}" \
  --by-time
