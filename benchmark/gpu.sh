#!/usr/bin/env bash
# Measure all that needs a GPU in one go: `benchmark/gpu.sh`, in the root of this repository.
#
# For a machine that has PyTorch, ONNX Runtime, OpenCV, SciPy and pytest, and neither ROS nor a
# network. Writes results.json, results.md and a log per part under OUT (benchmark/out), after every
# part anew, and prints the tables in the end. What is set in the environment:
#   DEVICE     cuda; cpu to rehearse, with SIZE=256 NANO_SIZE=256 FRAMES=9 MEMORY_FRAMES=100
#   BUDGET_S   290: seconds after which what runs is stopped and the rest is left out
#   REFERENCE  a folder that holds checkouts EdgeTAM and EfficientTAM, to be measured beside ours;
#              they want timm, hydra-core and iopath
#   PARTS      some of the parts only, such as "golden edgetam": names in benchmark/gpu_parts.py
#   PYTHON     python3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PYTHONPATH=$PWD:$PWD/benchmark${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
arguments=(--device "${DEVICE:-cuda}" --budget-s "${BUDGET_S:-290}" --out "${OUT:-benchmark/out}")
[ -z "${SIZE:-}" ] || arguments+=(--size "$SIZE")
[ -z "${NANO_SIZE:-}" ] || arguments+=(--nano-size "$NANO_SIZE")
[ -z "${FRAMES:-}" ] || arguments+=(--frames "$FRAMES")
[ -z "${MEMORY_FRAMES:-}" ] || arguments+=(--memory-frames "$MEMORY_FRAMES")
[ -z "${REFERENCE:-}" ] || arguments+=(--reference "$REFERENCE")
read -ra parts <<<"${PARTS:-}"
[ "${#parts[@]}" -eq 0 ] || arguments+=(--parts "${parts[@]}")
exec "${PYTHON:-python3}" benchmark/gpu.py "${arguments[@]}"
