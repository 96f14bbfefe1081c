"""Which pathways survive a frame, and which is published."""

import numpy as np

from tam_ros.tracker.pathways import BranchRules, choose_branches

SURE, UNSURE = 5.0, 1.0


def choose(log_scores, ious, score=SURE, *, count=3, **rules):
    """Return (parent, candidate) pairs; score is of all pathways, or one each."""
    scores = np.broadcast_to(np.array(score, float), len(log_scores))
    ious = np.array(ious, float)
    branches = choose_branches(log_scores, ious, scores, BranchRules(count, **rules))
    assert max(b.log_score for b in branches) == 0
    return [(b.parent, b.candidate) for b in branches]


def test_one_pathway_branches_into_its_candidates():
    assert choose([0], [[0.5, 0.9, 0.7]]) == [(0, None), (0, 2), (0, 0)]


def test_the_best_sums_of_logarithms_survive():
    ious = [[0.9, 0.8, 0.1], [0.9, 0.8, 0.1], [0.9, 0.2, 0.1]]
    assert choose([0, -0.05, -3], ious) == [(0, None), (1, None), (0, 1)]


def test_an_absent_object_has_one_answer():
    assert choose([0], [[0.5, 0.9, 0.7]], -1.0) == [(0, None)]


def test_unsure_pathways_differ_and_have_different_parents():
    ious = [[0.900, 0.901, 0.902], [0.6, 0.5, 0.4]]
    assert choose([0, 0], ious, SURE) == [(0, None), (0, 1), (0, 0)]
    assert choose([0, 0], ious, UNSURE) == [(0, None), (1, None), (1, 1)]


def test_publishing_stays_with_the_heir_within_the_margin():
    ious = [[0.6], [0.9]]
    assert choose([0, 0], ious, switch_margin=0.5) == [(0, None), (1, None)]
    assert choose([0, 0], ious, switch_margin=0.3) == [(1, None), (0, None)]


def test_the_published_heir_survives_within_the_margin():
    ious = [[0.7, 0.1, 0.1], [0.9, 0.9, 0.9]]
    assert choose([0, 0], ious, switch_margin=0.5)[0] == (0, None)


def test_a_lead_adds_up_over_frames():
    log_scores, published = [0.0, 0.0], []
    for _ in range(4):
        branches = choose_branches(
            log_scores, np.array([[0.7], [0.9]]), np.full(2, SURE), BranchRules(most=2)
        )
        published.append(branches[0].parent)
        if published[-1]:
            break
        log_scores = [b.log_score for b in branches]
    assert published == [0, 1]
