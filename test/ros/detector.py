"""A detector beside a tracker under test: it finds the square in the frames that it shows."""

import numpy as np
from robot import NS_PER_S, header_at, image_message
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from tam_ros.msg import TrackedObject

SQUARE = (60, 80, 120, 140)  # of the first frame; it moves to the right
PERIOD_NS = NS_PER_S // 10


class Detector:
    """Shows frames a tenth of a second apart, and publishes what was detected in them."""

    def __init__(self, tracker, frames):
        self.tracker = tracker
        self._frames = frames
        self._start_ns = tracker.later_ns()
        self._publisher = tracker.robot.node.create_publisher(
            Detection2DArray, '/tam/detections_in', 5
        )
        tracker.robot.wait(self._publisher.get_subscription_count, 'a subscriber of detections')

    def header(self, index: int):
        return header_at(self._start_ns + index * PERIOD_NS)

    def show(self, index: int):
        """Show a frame of the clip, the last one again after that; return the node's answer."""
        frame = self._frames[min(index, len(self._frames) - 1)]
        message = image_message(frame, 'rgb8', self.header(index))
        return self.tracker.show(message)

    def detect(
        self, index: int, *boxes, score=0.9, label='square', theta=0.0, header=None
    ) -> None:
        """Publish what was detected in a frame: by default its square."""
        shift = np.array([8, 0, 8, 0]) * index
        boxes = boxes or [np.array(SQUARE) + shift]
        message = Detection2DArray(header=header or self.header(index))
        message.detections = [detection_of(box, score, label) for box in boxes if box is not None]
        for detection in message.detections:
            detection.bbox.center.theta = theta
        self._publisher.publish(message)

    def wait(self, what: str, condition) -> list[TrackedObject]:
        """Return the objects once they meet a condition; what says which."""
        found = []

        def meets() -> bool:
            found[:] = self.tracker.objects().objects
            return condition(found)

        self.tracker.robot.wait(meets, what)
        return found


def detection_of(box, score, label) -> Detection2D:
    x0, y0, x1, y1 = map(float, box)
    message = Detection2D()
    message.bbox.center.position.x, message.bbox.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
    message.bbox.size_x, message.bbox.size_y = x1 - x0, y1 - y0
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = label, score
    message.results = [result]
    return message
