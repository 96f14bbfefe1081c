"""The losses: what choosing among candidates costs."""

import pytest
import torch

from training.losses import choice_loss

TRUE = torch.tensor([[0.3, 0.8, 0.5]])


def test_choosing_as_the_truth_does_costs_nothing():
    assert choice_loss(TRUE, TRUE).item() == pytest.approx(0, abs=1e-6)


def test_an_error_that_all_candidates_share_is_no_wrong_choice():
    assert choice_loss(TRUE - 0.2, TRUE).item() == pytest.approx(0, abs=1e-6)


def test_the_best_candidate_is_pulled_up_and_the_one_taken_for_it_down():
    predicted = torch.tensor([[0.3, 0.5, 0.8]], requires_grad=True)
    choice_loss(predicted, TRUE).sum().backward()
    slopes = predicted.grad[0]
    assert slopes[1] < 0 < slopes[2]
    assert slopes[2] > 100 * slopes[0].abs()


def test_candidates_that_are_equally_good_may_each_be_chosen():
    alike = torch.tensor([[0.7, 0.701, 0.7]])
    assert choice_loss(torch.full((1, 3), 0.5), alike).item() < 1e-3
