#!/usr/bin/env bash
# Run a command in the workspace.
set -e
source /workspace/install/setup.bash
exec "$@"
