#!/usr/bin/env bash
# Build the messages and link the modules with colcon, in the environment that setup.sh made.
set -euo pipefail
cd "$(dirname "$0")/../.."
# The workspace links to the package: CMake refuses a source folder that holds the environment.
mkdir -p .ws/src/tam_ros
for part in CMakeLists.txt package.xml action msg srv tam_ros scripts launch config rviz; do
  ln -sfn "$PWD/$part" ".ws/src/tam_ros/$part"
done
for package in tools/bare_ros/*/; do
  ln -sfn "$PWD/$package" ".ws/src/$(basename "$package")"
done
rm -rf .ws/install/tam_ros/lib/python*/site-packages/tam_ros  # links to files that are gone
source tools/bare_ros/env.sh
echo "Building messages ..."
if ! colcon --log-base .ws/log build --symlink-install --executor sequential \
  --build-base .ws/build --install-base .ws/install --event-handlers console_cohesion- \
  --base-paths .ws/src \
  --cmake-args -DBUILD_TESTING=OFF -DPYTHON_ONLY=ON "-DPython3_EXECUTABLE=$(command -v python)" \
  >.ws/build.log 2>&1; then
  cat .ws/build.log >&2
  exit 1
fi
