"""What a search finds: rule by rule with discs, then drawn things with the real network."""

from types import SimpleNamespace

import numpy as np
import pytest
from drawn_things import THINGS, box_iou, drawn
from fake_engine import FakeEngine

from tam_ros.engine.base import NotFiniteError
from tam_ros.engine.load import EngineChoice, load_engine
from tam_ros.prompts import Prompt, PromptError
from tam_ros.tracker.candidates import shared_parts, stability
from tam_ros.tracker.discovery import Discovery, DiscoveryRequest, Pace, discover
from tam_ros.tracker.options import DiscoveryOptions
from tam_ros.tracker.results import ObjectState
from tam_ros.tracker.session import Session

IMAGE = np.zeros((256, 256, 3), np.uint8)
ALL = DiscoveryOptions(max_s=600.0, min_area=0.0, min_stability=0.0, fine_points=0)


class SceneEngine(FakeEngine):
    """Finds discs where there are some; asked elsewhere, it says that nothing is there."""

    def __init__(self, *discs):
        """discs: x, y, radius in pixels of the image, which is as large as the input."""
        super().__init__()
        self.discs = np.array(discs, float)
        self.ious = np.linspace(0.95, 0.85, len(discs))
        self.asked = []  # the size of each batch of points

    def decode_mask(self, features, attended, prompts):
        decoded = super().decode_mask(features, attended, prompts)
        if attended is not None or not prompts.labels.shape[1]:
            return decoded
        self.asked.append(len(prompts.labels))
        for row, (x, y) in enumerate(prompts.points_xy[:, 0]):
            distance = np.hypot(*(self.discs[:, :2] - (x, y)).T)
            on = np.flatnonzero(distance < self.discs[:, 2])
            decoded.presence_logits[row] = 5.0 if len(on) else -5.0
            if len(on):
                self.radius = self.discs[on[0], 2] / 4
                middle = self.discs[on[0], :2] - 2  # cells are four pixels wide
                decoded.logits[row] = self._disc(middle)
                decoded.candidate_ious[row] = decoded.predicted_ious[row] = self.ious[on[0]]
        return decoded


def scene(*discs, **options) -> Session:
    """Return a session that is on its first frame."""
    session = Session(SceneEngine(*discs), **options)
    session.step(IMAGE, 0)
    return session


def middles(found) -> list[tuple[int, int]]:
    return [tuple(round(v) for v in result.mask.centroid_xy) for result in found]


FAR_APART = (50, 60, 24), (190, 60, 30), (120, 180, 36)


def test_each_thing_is_found_once_the_best_first():
    found = discover(scene(*FAR_APART), options=ALL)
    assert middles(found) == [(x, y) for x, y, _ in FAR_APART]
    assert [f.predicted_iou for f in found] == pytest.approx([0.95, 0.9, 0.85])
    assert [f.object_id for f in found] == [0, 0, 0]


def test_only_proposals_that_are_started_are_tracked():
    session = scene(*FAR_APART)
    discover(session, options=ALL)
    assert not session.objects
    found = discover(session, DiscoveryRequest(start=True, label='thing'), ALL)
    assert [f.object_id for f in found] == [1, 2, 3]
    frame = session.step(IMAGE, 1)
    assert {(o.state, o.label) for o in frame.objects} == {(ObjectState.TENTATIVE, 'thing')}
    assert middles(frame.objects) == [(x, y) for x, y, _ in FAR_APART]


def test_what_is_tracked_is_neither_asked_nor_found_again():
    session = scene(*FAR_APART)
    session.add_prompt(Prompt(points_xy=(120, 180)))
    session._engine.asked.clear()
    assert middles(discover(session, options=ALL)) == [(50, 60), (190, 60)]
    assert sum(session._engine.asked) < 64


def test_nothing_is_found_outside_a_region():
    request = DiscoveryRequest(region_xyxy=(0, 0, 128, 128))
    assert middles(discover(scene(*FAR_APART), request, ALL)) == [(50, 60)]


@pytest.mark.parametrize(
    ('options', 'left'),
    [({'max_objects': 2}, 2), ({'min_score': 0.89}, 2), ({'min_area': 0.04}, 2)],
)
def test_bounds_of_a_search_hold(options, left):
    bounds = {'max_s': 600.0, 'min_area': 0.0, 'min_stability': 0.0, 'fine_points': 0}
    assert len(discover(scene(*FAR_APART), options=DiscoveryOptions(**bounds | options))) == left


def test_fine_points_find_what_is_between_coarse_ones():
    small = scene((48, 40, 6))
    assert not discover(small, options=ALL)
    fine = DiscoveryOptions(max_s=600.0, min_area=0.0, min_stability=0.0, fine_points=32)
    assert middles(discover(small, options=fine)) == [(48, 40)]


def test_points_on_what_is_certain_are_not_asked_again():
    empty, full = scene((0, 0, 1)), scene((128, 128, 90))
    options = DiscoveryOptions(max_s=600.0, fine_points=16)
    for session in (empty, full):
        discover(session, options=options)
    assert sum(full._engine.asked) < sum(empty._engine.asked) - 50


def test_a_part_of_a_better_mask_is_no_object_of_its_own():
    whole_and_part = scene((100, 100, 60), (130, 100, 20))
    assert middles(discover(whole_and_part, options=ALL)) == [(100, 100)]


def test_search_ends_with_its_time_and_says_so():
    clock = SimpleNamespace(now=0.0)
    session = scene(*FAR_APART, clock=lambda: clock.now)
    search = Discovery(session, DiscoveryRequest(), DiscoveryOptions(max_s=1.0))
    steps = 0
    while search.go_on():
        steps += 1
        clock.now += 0.4
    assert steps == 3
    assert not search.complete
    assert Discovery(scene(*FAR_APART), options=ALL).finish().complete


def test_a_batch_takes_no_longer_than_a_frame():
    pace = Pace(16)
    assert pace.batch(0.1) == 2  # nothing is known yet
    pace.note(2, 0.05)
    assert pace.batch(0.1) == 4
    assert pace.batch(0.001) == 1
    assert Pace(1).batch(0.1) == 1


def test_one_long_frame_or_quick_batch_makes_no_longer_batch():
    pace = Pace(16)
    pace.note(2, 0.05)
    assert [pace.batch(frame_s) for frame_s in (0.1, 0.3, 0.1, 0.3)] == [4, 4, 4, 4]
    pace.note(4, 0.02)
    assert pace.batch(0.1) == 4
    for _ in range(4):
        pace.note(4, 0.02)
    assert [pace.batch(0.3) for _ in range(4)][-1] == 16


def test_objects_start_on_the_frame_that_was_searched_and_catch_up():
    session = scene(*FAR_APART)
    search = Discovery(session, DiscoveryRequest(start=True), ALL)
    stamp_ns = 0
    while search.go_on():
        stamp_ns += 33_000_000
        session.step(IMAGE, stamp_ns)
    for _ in range(100):  # it left the history long ago
        stamp_ns += 33_000_000
        session.step(IMAGE, stamp_ns)
    assert middles(session.objects) == [(x, y) for x, y, _ in FAR_APART]


def test_what_was_prompted_during_the_search_is_not_found_again():
    session = scene(*FAR_APART)
    search = Discovery(session, DiscoveryRequest(start=True), ALL)
    search.go_on()
    session.step(IMAGE, 33_000_000)
    session.add_prompt(Prompt(points_xy=(120, 180)))
    search.finish()
    assert len(session.tracked) == 3


def test_search_does_not_outlive_a_reset():
    session = scene(*FAR_APART)
    search = Discovery(session, DiscoveryRequest(start=True), ALL)
    search.go_on()
    session.reset()
    with pytest.raises(PromptError, match='was reset during the search'):
        search.finish()
    assert not session.tracked


def test_objects_without_room_are_told():
    search = Discovery(scene(*FAR_APART, max_objects=2), DiscoveryRequest(start=True), ALL)
    search.finish()
    assert len(search.found) == 2
    assert search.refused == ['2 objects are tracked already: remove one or raise max_objects']


@pytest.mark.parametrize(
    ('request_', 'message'),
    [
        (DiscoveryRequest(region_xyxy=(300, 0, 400, 9)), 'region: box .* is outside the image'),
        (DiscoveryRequest(region_xyxy=(9, 9, 9, 9)), 'region: box .* is empty'),
        (DiscoveryRequest(stamp_ns=10**9), 'newer than the newest frame'),
        (DiscoveryRequest(label='x' * 300), 'label'),
    ],
)
def test_odd_requests_are_refused_by_name(request_, message):
    with pytest.raises(PromptError, match=message):
        Discovery(scene(*FAR_APART), request_)


def test_search_without_a_frame_is_refused():
    with pytest.raises(PromptError, match='no frame has arrived yet'):
        Discovery(Session(FakeEngine()))


def test_network_without_numbers_ends_the_search_alone(monkeypatch):
    session = scene(*FAR_APART)

    def fail(*_):
        raise NotFiniteError('not finite')

    monkeypatch.setattr(session._engine, 'decode_mask', fail)
    with pytest.raises(PromptError, match='not finite'):
        discover(session, options=ALL)


def test_masks_are_measured_as_said():
    whole, half = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    half[:2] = True
    assert shared_parts([whole, half], [half]).tolist() == [[0.5], [1.0]]
    assert shared_parts([], [half]).shape == (0, 1)
    logits = np.array([[2.0, 0.5, -0.5, -2.0]])
    assert stability(logits) == pytest.approx(1 / 3)


# -- the network that comes with the package ------------------------------------------------


def test_drawn_things_are_found_and_followed_by_the_real_network():
    session = Session(load_engine(EngineChoice('tam_nano', image_size=256, threads=1)))
    session.step(drawn(), 0)
    options = DiscoveryOptions(max_s=600.0, fine_points=0)
    found = discover(session, DiscoveryRequest(start=True), options)
    session.step(drawn(), 33_000_000)
    for boxes in ([f.box_xyxy for f in found], [o.box_xyxy for o in session.objects]):
        for thing in THINGS:
            assert max(box_iou(box, thing) for box in boxes if box) > 0.7, (thing, boxes)
    assert len(found) <= 6
