"""The node objects_3d under test, with a robot that is its tracker and its depth camera."""

from pathlib import Path

import tf2_ros
from depth_scene import Scene, camera_info
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TransformStamped
from programs import DOMAIN_IDS, Program
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import ReliabilityPolicy
from robot import NS_PER_S, Robot, header_at
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from tam_ros.msg import TrackedObjectArray
from tam_ros.srv import SetTarget

OUTPUTS = {
    'detections_3d': Detection3DArray,
    'markers': MarkerArray,
    'cloud': PointCloud2,
    'target/mask': Image,
    'target/depth': Image,
    'target/camera_info': CameraInfo,
    'target/cloud': PointCloud2,
    'target/pose': PoseStamped,
    'depth_without_objects': Image,
    'camera_info': CameraInfo,
}
FRAME_NS = NS_PER_S // 10


class Locator:
    """A node that runs, and the conversation with it. parameters are those of the node."""

    def __init__(self, folder: Path, *, namespace: str = '', **parameters):
        options = [f'{key}:={value}' for key, value in parameters.items()]
        self.robot = Robot(next(DOMAIN_IDS))
        self._namespace = namespace
        self.program = Program(
            'objects_3d',
            *('--ros-args', '-r', 'depth:=/camera/depth', '-r', 'camera_info:=/camera/info'),
            *('-r', 'image:=/camera/image'),
            *(('-r', f'__ns:={namespace}') if namespace else ()),
            *(word for option in options for word in ('-p', option)),
            domain_id=self.robot.domain_id,
            folder=folder,
        )
        compressed = parameters.get('depth_transport') == 'compressed'
        kinds = {
            f'{namespace}/tam/objects': TrackedObjectArray,
            '/camera/depth' + ('/compressedDepth' if compressed else ''): (
                CompressedImage if compressed else Image
            ),
            '/camera/info': CameraInfo,
        }
        if parameters.get('colors') == 'image':
            is_compressed = parameters.get('image_transport') == 'compressed'
            kinds['/camera/image' + ('/compressed' if is_compressed else '')] = (
                CompressedImage if is_compressed else Image
            )
        self._inputs = [
            self.robot.node.create_publisher(kind, topic, 10) for topic, kind in kinds.items()
        ]
        self.received: dict[str, list] = {}
        self._broadcasters: dict[type, object] = {}
        self.stamp_ns = self.robot.now_ns()

    @property
    def reliabilities(self) -> list[ReliabilityPolicy]:
        """How reliably the node listens to its inputs."""
        listeners = (
            self.robot.node.get_subscriptions_info_by_topic(p.topic_name) for p in self._inputs
        )
        return [listener.qos_profile.reliability for of_one in listeners for listener in of_one]

    def close(self) -> None:
        """End the node, then the robot."""
        self.program.end()
        self.robot.close()
        DOMAIN_IDS.release(self.robot.domain_id)

    def listen(self, *topics: str) -> None:
        """Record outputs from now on, and wait until the node listens to its inputs."""
        for topic in topics:
            kind = TFMessage if topic == '/tf' else OUTPUTS[topic]
            name = topic if topic.startswith('/') else f'{self._namespace}/tam/{topic}'
            self.received[topic] = self.robot.record(kind, name)
        self.robot.wait(self.is_heard, 'the node to listen')

    def is_heard(self) -> bool:
        """Return whether the node listens to all its inputs."""
        return all(publisher.get_subscription_count() for publisher in self._inputs)

    def publish(self, scene: Scene, *, masks=None, depth=None, info=None, image=None) -> int:
        """Send all of a new frame, or other messages in place of some; return its stamp in ns.

        False in place of a message: none.
        """
        self.stamp_ns += FRAME_NS
        stamp_ns = self.stamp_ns
        given = (
            scene.objects(stamp_ns) if masks is None else masks,
            scene.depth(stamp_ns) if depth is None else depth,
            camera_info(stamp_ns) if info is None else info,
            False if image is None else image,
        )
        for publisher, message in reversed(list(zip(self._inputs, given))):
            if message is not False:
                publisher.publish(message)
        return stamp_ns

    def send_transform(self, parent: str, stamp_ns: int, *, static: bool = False) -> None:
        """Say where the camera is: a metre above, looking along x, in a frame with z up."""
        kind = tf2_ros.StaticTransformBroadcaster if static else tf2_ros.TransformBroadcaster
        if kind not in self._broadcasters:
            self._broadcasters[kind] = kind(self.robot.node)
        header = header_at(stamp_ns)
        message = TransformStamped(child_frame_id=header.frame_id, header=header)
        header.frame_id = parent
        message.transform.translation.z = 1.0
        q = message.transform.rotation
        q.x, q.y, q.z, q.w = -0.5, 0.5, -0.5, 0.5
        self._broadcasters[kind].sendTransform(message)

    def publish_masks(self, scene: Scene, stamp_ns: int) -> None:
        """Send the masks of an image alone."""
        self._inputs[0].publish(scene.objects(stamp_ns))

    def show(self, scene: Scene, *topics: str, **given) -> list:
        """Send frames until there is an answer on all topics; return the messages of one frame.

        given: as of `publish`, but functions of the frame's header.
        """
        stamps = []

        def answer():
            if not stamps or self.robot.now_ns() - sent[0] > 2 * NS_PER_S:
                sent[:] = [self.robot.now_ns()]
                header = header_at(self.stamp_ns + FRAME_NS)
                stamps.append(
                    self.publish(scene, **{name: make(header) for name, make in given.items()})
                )
            return next(filter(None, (self.answer_to(s, topics) for s in stamps)), None)

        sent = [0]
        return self.robot.wait(answer, f'{topics}; got {self.counts()}')

    def answer_to(self, stamp_ns: int, topics) -> list | None:
        """Return the messages of some topics with a stamp, None until all are there."""
        found = [
            next((m for m in self.received[topic] if stamp_of(m) == stamp_ns), None)
            for topic in topics
        ]
        return None if None in found else found

    def counts(self) -> dict[str, int]:
        """Return how many messages came on each topic."""
        return {topic: len(messages) for topic, messages in self.received.items()}

    def set_target(self, **request) -> SetTarget.Response:
        """Call set_target."""
        name = f'{self._namespace}/tam/set_target'
        return self.robot.call(SetTarget, name, SetTarget.Request(**request))

    def set_parameter(self, name: str, value):
        """Return what the node says to a new value of one of its parameters."""
        parameters = [Parameter(name, value=value).to_parameter_msg()]
        request = SetParameters.Request(parameters=parameters)
        name = f'{self._namespace}/objects_3d/set_parameters'
        return self.robot.call(SetParameters, name, request).results[0]

    def wait_for_diagnostics(self, key: str, condition) -> str:
        """Return a value of the diagnostics, or with key 'message' that, once it is so."""
        messages = self.robot.record(DiagnosticArray, '/diagnostics')

        def value() -> str | None:
            values = [value_of(m, key) for m in messages[-1:]]
            return next((v for v in values if v is not None and condition(v)), None)

        return self.robot.wait(value, f'{key} in the diagnostics')


def value_of(diagnostics: DiagnosticArray, key: str) -> str | None:
    """Return a value of diagnostics, with key 'message' that; None where it is not there."""
    (status,) = diagnostics.status
    if key == 'message':
        return status.message
    return next((v.value for v in status.values if v.key == key), None)


def stamp_of(message) -> int:
    """Return a message's stamp in nanoseconds; of several parts, the first's."""
    for parts in ('markers', 'transforms'):
        if hasattr(message, parts):
            (message, *_) = getattr(message, parts)
    stamp = message.header.stamp
    return stamp.sec * NS_PER_S + stamp.nanosec
