"""What the launch file can be given, read from its source: launch need not be installed."""

import ast
from pathlib import Path

LAUNCH_FILE = Path(__file__).parents[2] / 'launch' / 'track.launch.py'


def launch_file() -> ast.Module:
    return ast.parse(LAUNCH_FILE.read_text())


def value_of(name: str) -> ast.expr:
    """Return what is assigned to a name of the launch file."""
    (value,) = [node.value for node in launch_file().body if _assigns(node, name)]
    return value


def _assigns(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == name


def overrides() -> tuple[str, ...]:
    """Return the parameters that have a launch argument of their own."""
    values = [n.value for n in launch_file().body if isinstance(n, ast.Assign)]
    (names,) = [ast.literal_eval(v) for v in values if isinstance(v, ast.Tuple)]
    return names


def launch_arguments() -> set[str]:
    """Return the names of all arguments."""
    calls = [node for node in ast.walk(launch_file()) if isinstance(node, ast.Call)]
    declared = [c for c in calls if getattr(c.func, 'id', '') == 'DeclareLaunchArgument']
    fixed = {c.args[0].value for c in declared if isinstance(c.args[0], ast.Constant)}
    table = value_of('ARGUMENTS')
    return fixed | {ast.literal_eval(key) for key in table.keys} | set(overrides())
