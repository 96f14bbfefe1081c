"""Messages of yolo_ros as the tracker takes them."""

import importlib.util
from types import SimpleNamespace

import pytest
from programs import DOMAIN_IDS, Program
from robot import header_at

from tam_ros.ros.conversions import message_to_detections
from tam_ros.ros.yolo_bridge import NOT_INSTALLED, detection_array


def test_boxes_scores_and_names_are_kept():
    # The fields of yolo_msgs/DetectionArray.
    center = SimpleNamespace(position=SimpleNamespace(x=100.0, y=80.0), theta=0.0)
    bbox = SimpleNamespace(center=center, size=SimpleNamespace(x=40.0, y=20.0))
    cup = SimpleNamespace(id='7', class_id=41, class_name='cup', score=0.75, bbox=bbox)
    message = detection_array(SimpleNamespace(header=header_at(7), detections=[cup]))
    assert message.header == header_at(7)
    refused = []
    (detection,) = message_to_detections(message, refused.append)
    assert refused == []
    assert detection.box_xyxy == (80, 70, 120, 90)
    assert (detection.label, detection.confidence) == ('cup', 0.75)


@pytest.mark.skipif(importlib.util.find_spec('yolo_msgs') is not None, reason='yolo_msgs is here')
def test_what_is_missing_is_named(tmp_path):
    program = Program('yolo_bridge', domain_id=next(DOMAIN_IDS), folder=tmp_path)
    try:
        assert program.wait_for_end() == 1
        assert NOT_INSTALLED in program.log
    finally:
        program.end()
