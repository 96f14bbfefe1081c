"""The bond of the tracker with its manager: signs of life while it is active, and a farewell."""

import importlib.util

import pytest
from bond.msg import Status
from managing import Manager
from tracker import SMALL, Tracker

PATIENCE_S = 60.0  # of the manager, for a sign of life; longer than a busy machine keeps one


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path, **SMALL, autostart='false')
    yield tracker
    tracker.close()


def test_an_active_node_shows_that_it_lives_until_it_is_paused(tracker):
    manager, said = Manager(tracker), tracker.robot.record(Status, '/bond')
    assert manager.change('configure') == [True]
    tracker.robot.let_pass(0.3)
    assert said == []
    assert manager.change('activate') == [True]
    tracker.robot.wait(lambda: len(said) > 3, 'signs of life')
    assert {(m.id, m.active, m.instance_id) for m in said} == {('tam', True, said[0].instance_id)}
    assert said[0].heartbeat_period == pytest.approx(0.1)
    assert manager.change('deactivate') == [True]
    tracker.robot.wait(lambda: not said[-1].active, 'the farewell')
    count = len(said)
    tracker.robot.let_pass(0.3)
    assert len(said) == count
    assert manager.change('activate') == [True]
    tracker.robot.wait(lambda: said[-1].active, 'a new bond')
    assert said[-1].instance_id != said[0].instance_id


def test_a_manager_that_breaks_the_bond_is_answered_and_the_node_goes_on(tracker, frames):
    manager, said = Manager(tracker), tracker.robot.record(Status, '/bond')
    others = tracker.robot.node.create_publisher(Status, '/bond', 10)
    assert manager.change('configure', 'activate') == [True, True]
    tracker.robot.wait(lambda: said and others.get_subscription_count() == 2, 'the bond')
    others.publish(Status(id='another', instance_id='its', active=False))
    others.publish(Status(id='tam', instance_id="the manager's", active=True))
    count = len(said)
    tracker.robot.wait(lambda: len(said) > count + 3, 'more signs of life')
    assert said[-1].active
    others.publish(Status(id='tam', instance_id="the manager's", active=False))
    tracker.robot.wait(
        lambda: not said[-1].active and said[-1].instance_id == said[0].instance_id, 'an answer'
    )
    assert tracker.show(frames[0])


def test_a_node_that_starts_by_itself_has_no_bond(start_tracker):
    tracker = start_tracker(**SMALL)
    assert not tracker.robot.node.count_publishers('/bond')


@pytest.mark.skipif(importlib.util.find_spec('bondpy') is None, reason='bondpy is not installed')
def test_the_bond_holds_with_the_package_itself(tracker):
    from bondpy import bondpy

    bond = bondpy.Bond(tracker.robot.node, 'bond', 'tam')
    bond.set_heartbeat_period(0.1)
    bond.set_heartbeat_timeout(PATIENCE_S)
    bond.set_connect_timeout(PATIENCE_S)
    manager = Manager(tracker)
    assert manager.change('configure', 'activate') == [True, True]
    bond.start()
    tracker.robot.wait(lambda: bond.sister_instance_id, 'the bond')
    tracker.robot.let_pass(1.0)
    assert not bond.is_broken()
    assert manager.change('deactivate') == [True]
    tracker.robot.wait(bond.is_broken, 'it to be broken', PATIENCE_S / 2)
