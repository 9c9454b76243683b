"""The figures of a loss curve. What is made of them is in test_judge.py."""

import math

import pytest

from pytest_batchguard.core.learning import loss_figures


def test_figures_are_the_means_of_the_first_and_last_quarter():
    figures = loss_figures([4.0, 2.0, 9.0, 9.0, 9.0, 9.0, 2.0, 1.0])
    assert (figures.first, figures.last, figures.decrease) == (3.0, 1.5, 0.5)


def test_curve_is_kept_step_by_step():
    assert loss_figures([3.0, 2.0, 1.0]).curve == (3.0, 2.0, 1.0)


def test_loss_of_one_step_decreases_by_nothing():
    figures = loss_figures([3.0])
    assert (figures.first, figures.last, figures.decrease) == (3.0, 3.0, 0.0)


def test_decrease_below_zero_is_relative_to_the_size_of_the_loss():
    assert loss_figures([-2.0, -3.0]).decrease == 0.5
    assert loss_figures([-2.0, -1.0]).decrease == -0.5


def test_rising_loss_decreases_by_a_negative_share():
    assert loss_figures([1.0, 3.0]).decrease == -2.0


def test_loss_that_begins_at_zero_decreases_by_nothing():
    assert loss_figures([0.0, 1.0]).decrease == 0.0


def test_decrease_of_what_is_not_finite_is_not_a_number():
    assert math.isnan(loss_figures([1.0, math.nan]).decrease)


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_loss_that_is_lost_has_no_decrease(lost):
    figures = loss_figures([math.inf, lost, 1.0, 1.0, lost, math.inf, 1.0, 1.0])
    assert all(map(math.isnan, (figures.first, figures.last, figures.decrease)))
