"""What the tracker publishes of each frame; silent while its node is not active."""

from collections.abc import Callable

import numpy as np
from rclpy.lifecycle import LifecycleNodeMixin
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from tam_ros.msg import TrackedObjectArray
from tam_ros.overlay import compress_overlay, draw_overlay
from tam_ros.ros import conversions
from tam_ros.ros.parameters import NodeOptions, read_options
from tam_ros.ros.quality import results_quality
from tam_ros.tracker.forecast import MAX_HORIZON_S, reaches
from tam_ros.tracker.options import SessionOptions
from tam_ros.tracker.results import FrameResult


class Outputs:
    """The publishers of a node's results. warn takes the kind and the text of a warning.

    Raises ValueError for a parameter of theirs that is not allowed.
    """

    def __init__(self, node: LifecycleNodeMixin, warn: Callable[[str, str], None]):
        self._node = node
        self._warn = warn
        self._objects = self._publisher(TrackedObjectArray, 'objects')
        self._detections = self._publisher(Detection2DArray, 'detections')
        self._label_image = self._publisher(Image, 'label_image')
        self._overlay = self._publisher(Image, 'overlay')
        self._compressed = self._publisher(CompressedImage, 'overlay/compressed')

    def _publisher(self, message_type: type, name: str):
        topic = f'~/{name}'
        quality = results_quality(self._node, topic)
        return self._node.create_lifecycle_publisher(message_type, topic, quality)

    def publish(
        self, frame: FrameResult, image_rgb: np.ndarray, header: Header, options: SessionOptions
    ) -> None:
        """Publish what was found in an (H, W, 3) image, under its header.

        options: those that the frame was tracked with.
        """
        self._objects.publish(self._objects_message(frame, header, options))
        self._detections.publish(conversions.frame_to_detections(frame, header))
        # Whole images are made only while somebody takes them.
        if self._label_image.get_subscription_count():
            labels = frame.label_image()
            self._label_image.publish(conversions.array_to_image(labels, '16UC1', header))
        self._publish_overlay(frame, image_rgb, header)

    def _publish_overlay(self, frame: FrameResult, image_rgb: np.ndarray, header: Header) -> None:
        wanted = self._overlay.get_subscription_count(), self._compressed.get_subscription_count()
        if not any(wanted):
            return
        options = self._node_options()
        drawn = draw_overlay(image_rgb, frame, options.overlay_opacity, warn=self._warn)
        if wanted[0]:
            self._overlay.publish(conversions.array_to_image(drawn, 'rgb8', header))
        if wanted[1]:
            jpeg = compress_overlay(
                drawn, max_width=options.compressed_width, quality=options.compressed_quality
            )
            self._compressed.publish(conversions.jpeg_to_image(jpeg, header))

    def _objects_message(
        self, frame: FrameResult, header: Header, options: SessionOptions
    ) -> TrackedObjectArray:
        now_ns = self._node.get_clock().now().nanoseconds
        forecast_ns = options.forecast_ns(frame.stamp_ns, now_ns)
        if forecast_ns is not None and not reaches(frame.stamp_ns, forecast_ns):
            self._warn(
                'late_forecasts',
                f'no forecast for the time of publishing: it must be 0 to {MAX_HORIZON_S:g} s '
                "after the image's stamp; is the camera's clock that of this node?",
            )
        return conversions.frame_to_objects(
            frame,
            header,
            forecast_ns=forecast_ns,
            forecast_masks=self._node_options().forecast_masks,
        )

    def _node_options(self) -> NodeOptions:
        return read_options(self._node, NodeOptions)
