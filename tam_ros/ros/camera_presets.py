"""Names of topics and frames: those of the usual depth cameras' drivers, and of calibrations.

As the drivers' own sources have them, with their default names and with depth aligned to colour.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CameraPreset:
    """What a driver publishes."""

    image: str
    """Topic of the colour image."""
    depth: str
    """Topic of depth that is aligned to it."""
    camera_info: str
    """Topic of the calibration of both."""
    frame_id: str
    """Frame of the colour image, in optical convention."""
    rectified: bool = False
    """Whether the images are without distortion although the calibration has some."""


PRESETS = {
    # realsense-ros 4.55: README.md; align_depth.enable:=true
    'realsense': CameraPreset(
        '/camera/camera/color/image_raw',
        '/camera/camera/aligned_depth_to_color/image_raw',
        '/camera/camera/color/camera_info',
        'camera_color_optical_frame',
    ),
    # zed-ros2-wrapper 5: zed_camera_component_video_depth.cpp
    'zed': CameraPreset(
        '/zed/zed_node/rgb/color/rect/image',
        '/zed/zed_node/depth/depth_registered',
        '/zed/zed_node/rgb/color/rect/camera_info',
        'zed_left_camera_frame_optical',
    ),
    # depthai-ros 2 for Humble: launch/rtabmap.launch.py
    'oak': CameraPreset(
        '/oak/rgb/image_rect',
        '/oak/stereo/image_raw',
        '/oak/rgb/camera_info',
        'oak_rgb_camera_optical_frame',
        rectified=True,
    ),
    # OrbbecSDK_ROS2 2: ob_camera_node.cpp; depth_registration:=true
    'orbbec': CameraPreset(
        '/camera/color/image_raw',
        '/camera/depth/image_raw',
        '/camera/color/camera_info',
        'camera_color_optical_frame',
    ),
    # Azure_Kinect_ROS_Driver, branch humble: k4a_ros_device.cpp; color_enabled:=true
    'kinect': CameraPreset(
        '/rgb/image_raw', '/depth_to_rgb/image_raw', '/rgb/camera_info', 'rgb_camera_link'
    ),
}


def info_beside(image: str) -> str:
    """Return where an image's calibration is by convention: beside the image's own topic."""
    return image.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'
