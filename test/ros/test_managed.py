"""The tracker as a managed node: what it does in each state, and what becomes of bad requests."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from managing import ACTIVE, FINALIZED, INACTIVE, TRANSITIONS, UNCONFIGURED, Manager, value_of
from rclpy.task import Future
from robot import header_at, image_message
from tracker import SMALL, Tracker

POINT = [(90, 110)]
OUTPUTS = ('objects', 'detections', 'label_image', 'overlay')


@pytest.fixture
def start(tmp_path):
    """Start a node that waits for its manager; it ends with the test."""
    trackers = []

    def start(**parameters) -> tuple[Tracker, Manager]:
        options = {**SMALL, 'threads': 1, 'autostart': 'false', **parameters}
        trackers.append(Tracker(tmp_path, **options))
        return trackers[-1], Manager(trackers[-1])

    yield start
    for tracker in trackers:
        tracker.close()


@pytest.fixture
def active(start):
    tracker, manager = start()
    assert manager.change('configure', 'activate') == [True, True]
    return tracker, manager


def publishers(tracker: Tracker) -> int:
    return sum(tracker.robot.node.count_publishers(f'/tam/{name}') for name in OUTPUTS)


def test_a_node_that_is_not_started_waits_for_its_manager(start):
    tracker, manager = start()
    assert manager.state == UNCONFIGURED
    assert manager.wait_for_report('unconfigured').level == DiagnosticStatus.OK
    assert publishers(tracker) == 0
    assert tracker.program.log == ''


def test_each_transition_leads_to_its_state_and_is_reported_at_once(start):
    tracker, manager = start()
    for name, state, message in (
        ('configure', INACTIVE, 'inactive'),
        ('activate', ACTIVE, 'no images'),
        ('deactivate', INACTIVE, 'inactive'),
        ('cleanup', UNCONFIGURED, 'unconfigured'),
    ):
        manager.reports.clear()
        assert manager.change(name) == [True], name
        assert manager.state == state
        tracker.robot.wait(
            lambda text=message: any(text in r.status[0].message for r in manager.reports), message
        )
    assert manager.change_by_label('shutdown')
    assert manager.state == FINALIZED


def test_what_is_loaded_is_told_while_it_is_loaded(start):
    tracker, manager = start(model='edgetam', weights='reproducible', image_size=1024)
    client = tracker.robot.node.create_client(ChangeState, '/tam/change_state')
    tracker.robot.wait(client.service_is_ready, 'change_state')
    request = ChangeState.Request()
    request.transition.id = TRANSITIONS['configure']
    configured: Future = client.call_async(request)
    status = manager.wait_for_report('starting: edgetam with torch on cpu')
    assert status.level == DiagnosticStatus.WARN
    assert not configured.done()
    assert manager.change('configure', 'activate') == [False, False]
    assert 'transition with id 1 refused: the node is configuring' in tracker.program.log
    tracker.robot.wait(configured.done, 'the network')
    assert configured.result().success
    assert manager.state == INACTIVE


def test_a_paused_node_publishes_nothing_and_keeps_its_objects(active, frames):
    tracker, manager = active
    tracker.show(frames[0])
    assert tracker.add(points=POINT, label='cup').success
    assert tracker.show(frames[1]).ids == [1]
    with tracker.streaming(frames[1], 30):
        tracker.robot.let_pass(0.5)
        assert manager.change('deactivate') == [True]
        tracker.robot.let_pass(0.2)  # for what was under way
        counts = {name: len(messages) for name, messages in tracker.received.items()}
        tracker.robot.let_pass(1.0)
    assert {name: len(messages) for name, messages in tracker.received.items()} == counts
    assert [o.label for o in tracker.objects().objects] == ['cup']
    assert manager.change('activate') == [True]
    answer = tracker.show(frames[1])
    assert answer.ids == [1]
    assert answer.objects.objects[0].label == 'cup'


def test_nothing_is_published_after_the_answer_to_deactivate(active, frames):
    tracker, manager = active
    tracker.show(frames[0])
    assert tracker.add(points=POINT).success
    for _ in range(3):
        tracker.publish(image_message(frames[1], 'rgb8', header_at(tracker.later_ns())))
        assert manager.change('deactivate') == [True]
        newest = tracker.objects().header.stamp  # of the last frame that was tracked
        tracker.robot.let_pass(0.3)
        assert tracker.objects().header.stamp == newest
        assert manager.change('activate') == [True]


def test_a_paused_node_refuses_prompts_but_lets_go_of_objects(active, frames):
    tracker, manager = active
    tracker.show(frames[0])
    assert tracker.add(points=POINT).success
    assert manager.change('deactivate') == [True]
    refused = tracker.add(points=[(200, 60)])
    assert not refused.success
    assert refused.message == 'the tracker is inactive: activate it first'
    assert tracker.remove(1).success
    assert tracker.objects().objects == []


def test_cleanup_frees_the_network_and_what_was_configured_may_change(start, frames):
    tracker, manager = start(model='edgetam', weights='reproducible', engine='torch')
    assert manager.change('configure') == [True]
    full_mb = float(value_of(manager.wait_for_report('inactive'), 'resident_memory_mb'))
    refused = tracker.set_parameter('model', 'tam_nano')
    assert not refused.successful
    assert refused.reason == (
        'model can change while the node is unconfigured only: it is inactive'
    )
    assert manager.change('cleanup') == [True]
    freed_mb = float(value_of(manager.wait_for_report('unconfigured'), 'resident_memory_mb'))
    assert full_mb - freed_mb > 40  # the parameters of EdgeTAM alone are 53 MiB in fp32
    response = tracker.add(points=POINT)
    assert response.message == 'the tracker is unconfigured: configure and activate it first'
    for name, value in (('model', 'tam_nano'), ('weights', ''), ('engine', '')):
        assert tracker.set_parameter(name, value).successful
    assert manager.change('configure', 'activate') == [True, True]
    assert 'ready: tam_nano at 256 px' in tracker.program.log
    tracker.show(frames[0])
    assert tracker.add(points=POINT).success


def test_what_cannot_be_configured_is_said_and_can_be_put_right(start):
    tracker, manager = start(weights='/nowhere/model.pt')
    assert manager.change('configure') == [False]
    assert manager.state == UNCONFIGURED
    status = manager.wait_for_report('weights file /nowhere/model.pt does not exist')
    assert status.level == DiagnosticStatus.ERROR
    assert '[ERROR]' in tracker.program.log
    assert 'Traceback' not in tracker.program.log
    assert tracker.set_parameter('weights', '').successful
    assert manager.change('configure', 'activate') == [True, True]
    assert manager.wait_for_report('no images').level == DiagnosticStatus.WARN


def test_a_transition_that_the_state_does_not_have_is_refused(active):
    tracker, manager = active
    assert manager.change('activate', 'configure', 'cleanup') == [False] * 3
    assert not manager.change_by_label('fly')
    assert manager.state == ACTIVE
    assert 'transition with id 3 refused: the node is active' in tracker.program.log


def test_a_node_that_starts_by_itself_can_be_managed_as_well(start, frames):
    tracker, manager = start(autostart='true')
    tracker.program.wait_for_log('ready:')
    assert manager.state == ACTIVE
    tracker.show(frames[0])
    assert manager.change('deactivate', 'activate') == [True, True]
    assert tracker.show(frames[1])


def test_a_node_ends_at_once_in_every_state(start):
    for names in ((), ('configure',), ('configure', 'activate', 'deactivate')):
        tracker, manager = start()
        assert all(manager.change(*names))
        tracker.robot.wait(lambda m=manager: m.reports, 'a sign of life')
        status, _ = tracker.program.end_by()
        assert status == 0
        assert 'Traceback' not in tracker.program.log
