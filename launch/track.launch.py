"""Start the tracker node on a camera topic: ros2 launch tam_ros track.launch.py image:=/camera."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from tam_ros.ros.parameters import PARAMETERS

SHARE = Path(get_package_share_directory('tam_ros'))

# Parameters that have an argument of their own; left empty, the parameter file decides.
OVERRIDES = (
    'image_transport',
    'model',
    'weights',
    'engine',
    'device',
    'precision',
    'image_size',
)


def generate_launch_description():
    """Describe the arguments; the nodes follow from their values."""
    arguments = [
        DeclareLaunchArgument(
            'image', default_value='/camera/color/image_raw', description='camera topic'
        ),
        DeclareLaunchArgument(
            'detections',
            default_value='~/detections_in',
            description='topic of a detector, vision_msgs/Detection2DArray',
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=str(SHARE / 'config' / 'track.yaml'),
            description='parameter file',
        ),
        DeclareLaunchArgument('namespace', default_value='', description='namespace of the node'),
        DeclareLaunchArgument('rviz', default_value='false', description='start RViz as well'),
    ]
    for name in OVERRIDES:
        text = f'{PARAMETERS[name].description} Left out: as in params_file.'
        arguments.append(DeclareLaunchArgument(name, default_value='', description=text))
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes)])


def _nodes(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    overrides = {name: _typed(name, value(name)) for name in OVERRIDES if value(name)}
    nodes = [
        Node(
            package='tam_ros',
            executable='tracker_node',
            name='tam',
            namespace=value('namespace'),
            parameters=[value('params_file'), overrides],
            remappings=[('image', value('image')), ('~/detections_in', value('detections'))],
            output='screen',
            emulate_tty=True,
        )
    ]
    if _switched_on('rviz', value('rviz')):
        # First, for launch to fail before the tracker runs where RViz is not installed.
        nodes.insert(0, _rviz(value('namespace'), value('image')))
    return nodes


def _switched_on(name, text):
    switches = {'true': True, '1': True, 'yes': True, 'false': False, '0': False, 'no': False}
    if text.lower() not in switches:
        raise RuntimeError(f'{name}:={text}: use true or false')
    return switches[text.lower()]


def _typed(name, text):
    kind = type(PARAMETERS[name].default)
    try:
        return kind(text)
    except ValueError:
        raise RuntimeError(f'{name}:={text} is no {kind.__name__}') from None


def _rviz(namespace, image):
    remappings = [('/camera/color/image_raw', image)]
    if namespace:
        remappings.append(('/tam/overlay', f'{namespace}/tam/overlay'))
    return Node(
        package='rviz2',
        executable='rviz2',
        arguments=['-d', str(SHARE / 'rviz' / 'track.rviz')],
        remappings=remappings,
    )
