"""Start the tracker node on a camera topic: ros2 launch tam_ros track.launch.py image:=/camera.

With depth:=/aligned/depth, or a camera by its name, also the node that locates objects in 3D;
with web:=true, a page to look and click.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from tam_ros.ros.camera_presets import PRESETS, info_beside
from tam_ros.ros.parameters import PARAMETERS

IMAGE = '/camera/color/image_raw'
SHOWN = ['/tam/overlay', '/tam/markers', '/tam/cloud']  # by track.rviz
SHARE = Path(get_package_share_directory('tam_ros'))
# With a page, as people take their time over a box; a parameter file of one's own says it itself.
HISTORY_OF_VIEWERS = {'history_s': 10.0, 'history_frames': 100}
PARAMS_FILE = str(SHARE / 'config' / 'track.yaml')

# Parameters that have an argument of their own; left empty, the parameter file decides.
OVERRIDES = (
    'image_transport',
    'model',
    'weights',
    'engine',
    'device',
    'precision',
    'image_size',
    'autostart',
)


# Name: default, description.
ARGUMENTS = {
    'image': ('', f"camera topic. Left out: the camera's, or {IMAGE}"),
    'depth': (
        '',
        'topic of depth that is aligned to the image: starts objects_3d. '
        "Left out: the camera's; without a camera, objects_3d is not started",
    ),
    'camera_info': ('', "the image's calibration. Left out: beside the image"),
    'detections': ('~/detections_in', 'topic of a detector, vision_msgs/Detection2DArray'),
    'params_file': (PARAMS_FILE, 'parameter file'),
    'params_file_3d': (
        str(SHARE / 'config' / 'objects_3d.yaml'),
        'parameter file of objects_3d',
    ),
    'params_file_web': (str(SHARE / 'config' / 'web.yaml'), 'parameter file of the page'),
    'web': ('false', 'serve a page to look and click, by default at http://127.0.0.1:8080'),
    'namespace': ('', 'namespace of the nodes'),
    'rviz': ('false', 'start RViz as well'),
}


def generate_launch_description():
    """Describe the arguments; the nodes follow from their values."""
    arguments = [
        DeclareLaunchArgument(
            'camera',
            default_value='',
            choices=['', *PRESETS],
            description='whose topics image, depth and camera_info are, where these are left out',
        )
    ]
    for name, (default, text) in ARGUMENTS.items():
        arguments.append(DeclareLaunchArgument(name, default_value=default, description=text))
    for name in OVERRIDES:
        text = f'{PARAMETERS[name].description} Left out: as in params_file.'
        arguments.append(DeclareLaunchArgument(name, default_value='', description=text))
    return LaunchDescription([*arguments, OpaqueFunction(function=_nodes)])


def _nodes(context):
    def value(name):
        return LaunchConfiguration(name).perform(context)

    preset = PRESETS.get(value('camera'))
    image = value('image') or (preset.image if preset else IMAGE)
    overrides = {name: _typed(name, value(name)) for name in OVERRIDES if value(name)}
    has_page = _switched_on('web', value('web'))
    if has_page and value('params_file') == PARAMS_FILE:
        overrides = HISTORY_OF_VIEWERS | overrides
    nodes = [
        Node(
            package='tam_ros',
            executable='tracker_node',
            name='tam',
            namespace=value('namespace'),
            parameters=[value('params_file'), overrides],
            remappings=[('image', image), ('~/detections_in', value('detections'))],
            output='screen',
            emulate_tty=True,
        )
    ]
    depth = value('depth') or (preset.depth if preset else '')
    if depth:
        nodes.append(_objects_3d(value, image, depth, preset))
    if has_page:
        nodes.append(_web(value))
    if _switched_on('rviz', value('rviz')):
        # First, for launch to fail before the tracker runs where RViz is not installed.
        frame_id = preset.frame_id if preset is not None and image == preset.image else ''
        nodes.insert(0, _rviz(value('namespace'), image, frame_id))
    return nodes


def _objects_3d(value, image, depth, preset):
    """Describe the node that locates objects; what a preset says is of its own topics alone."""
    is_preset = preset is not None and image == preset.image
    info = value('camera_info') or (preset.camera_info if is_preset else info_beside(image))
    overrides = {'rectified': True} if is_preset and preset.rectified else {}
    if value('image_transport'):  # it comes to both nodes
        overrides['image_transport'] = value('image_transport')
    return Node(
        package='tam_ros',
        executable='objects_3d',
        name='objects_3d',
        namespace=value('namespace'),
        parameters=[value('params_file_3d'), overrides],
        remappings=[('image', image), ('depth', depth), ('camera_info', info)],
        output='screen',
        emulate_tty=True,
    )


def _web(value):
    return Node(
        package='tam_ros',
        executable='web',
        name='web',
        namespace=value('namespace'),
        parameters=[value('params_file_web')],
        output='screen',
        emulate_tty=True,
    )


def _switched_on(name, text):
    switches = {'true': True, '1': True, 'yes': True, 'false': False, '0': False, 'no': False}
    if text.lower() not in switches:
        raise RuntimeError(f'{name}:={text}: use true or false')
    return switches[text.lower()]


def _typed(name, text):
    kind = type(PARAMETERS[name].default)
    if kind is bool:
        return _switched_on(name, text)
    try:
        return kind(text)
    except ValueError:
        raise RuntimeError(f'{name}:={text} is no {kind.__name__}') from None


def _rviz(namespace, image, frame_id):
    """Describe RViz; its fixed frame is frame_id, '' for that of track.rviz."""
    remappings = [(IMAGE, image)]
    if namespace:
        remappings += [(topic, f'/{namespace.strip("/")}{topic}') for topic in SHOWN]
    return Node(
        package='rviz2',
        executable='rviz2',
        arguments=[
            *('-d', str(SHARE / 'rviz' / 'track.rviz')),
            *(('-f', frame_id) if frame_id else ()),
        ],
        remappings=remappings,
    )
