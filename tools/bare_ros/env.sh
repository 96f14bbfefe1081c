# Source this in bash: the environment of `make`, with no trace of another ROS installation.
unset PYTHONPATH LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unset ROS_DISTRO _ROS_WHEELS_BOOTSTRAP_COMPLETE
_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
source "$_root/.venv/bin/activate"
export AMENT_PREFIX_PATH=$_root/.venv CMAKE_PREFIX_PATH=$_root/.venv
if [ -f "$_root/.ws/install/local_setup.bash" ]; then
  _options=$-
  set +u
  source "$_root/.ws/install/local_setup.bash"
  [[ $_options != *u* ]] || set -u  # which a shell that is typed in does not have
fi
unset _root _options
