#!/usr/bin/env bash
# Refuse to go on in an environment of another Python than the one that is asked for.
# usage: same_python.sh VENV PYTHON [asked]
set -euo pipefail
venv=$1 python=$2 asked=${3:-}
[ -n "$asked" ] && [ -x "$venv/bin/python" ] || exit 0
version='import platform; print(platform.python_version())'
have=$("$venv/bin/python" -c "$version") want=$("$python" -c "$version")
[ "$have" = "$want" ] && exit 0
echo "$venv has Python $have, PYTHON=$python is $want: run \`make clean\` first" >&2
exit 1
