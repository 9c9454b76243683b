import random
from statistics import fmean, median, pstdev

import pytest

from pytest_batchguard.core.statistics import (
    has_settled,
    median_interval,
    quarter_means,
    quarters_error,
    relative_spread,
    scatter,
)


def test_spread_is_the_range_over_the_median():
    assert relative_spread([90, 100, 120]) == pytest.approx(0.3)


def test_spread_of_a_single_value_is_zero():
    assert relative_spread([7.0]) == 0


def test_interval_of_equal_values_is_that_value():
    assert median_interval([2.0] * 6) == (2.0, 2.0)


def test_interval_holds_the_median_and_stays_inside_the_values():
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]
    low, high = median_interval(values)
    assert min(values) <= low < median(values) < high <= max(values)


def test_one_set_of_values_has_one_interval():
    values = [1.0, 1.4, 0.8, 2.0, 1.1, 0.9]
    assert median_interval(values) == median_interval(values)


def test_drawing_the_interval_leaves_the_projects_own_random_numbers_alone():
    random.seed(3)
    expected = random.random()
    random.seed(3)
    median_interval([1.0, 2.0, 3.0])
    assert random.random() == expected


def test_more_confidence_widens_the_interval():
    values = [1.0, 1.4, 0.8, 2.0, 1.1, 0.9]
    narrow, wide = median_interval(values, confidence=0.5), median_interval(values, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_interval_covers_the_true_median_about_as_often_as_asked():
    chance = random.Random(1)
    covered = 0
    for seed in range(100):
        low, high = median_interval([chance.gauss(0, 1) for _ in range(15)], seed=seed)
        covered += low <= 0 <= high
    assert 88 <= covered <= 100


def test_interval_of_one_value_is_that_value():
    assert median_interval([3.0]) == (3.0, 3.0)


def test_values_that_depend_on_one_another_are_resampled_as_one():
    values = [1.0, 2.0, 4.0, 5.0, 7.0]
    twice = [value for value in values for _ in range(2)]
    assert median_interval(twice, together=2) == median_interval(values)
    assert median_interval(twice) != median_interval(values)


def test_first_window_up_to_a_quarter_slower_has_settled():
    assert has_settled([1.25, 1.0, 1.0, 1.0])


def test_first_window_more_than_a_quarter_slower_has_not_settled():
    assert not has_settled([1.26, 1.0, 1.0, 1.0])


def test_settling_is_relative_to_the_rest_whatever_the_pace():
    assert has_settled([5.0, 4.0, 4.0, 4.0])
    assert not has_settled([5.1, 4.0, 4.0, 4.0])


def test_rest_is_every_window_but_the_first():
    assert not has_settled([1.3, 1.0, 1.0, 9.0])


def test_one_slow_window_later_does_not_unsettle():
    assert has_settled([1.0, 9.0, 1.0, 1.0])


def test_two_windows_show_no_trend():
    assert has_settled([9.0, 1.0])
    assert not has_settled([9.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("values", "first", "last"),
    [
        ([5.0], 5.0, 5.0),
        ([4.0, 1.0], 4.0, 1.0),
        ([4.0, 3.0, 2.0, 1.0], 4.0, 1.0),
        ([4.0, 2.0, 0, 0, 0, 0, 3.0, 1.0], 3.0, 2.0),
        ([4.0, 2.0, 0, 0, 0, 0, 0, 3.0, 1.0, 5.0, 9.0], 3.0, 7.0),
    ],
)
def test_quarters_are_averaged_each_of_one_value_at_least(values, first, last):
    assert quarter_means(values) == (first, last)


def test_scatter_is_the_standard_deviation_around_a_trend():
    chance = random.Random(0)
    values = [5 - 0.1 * step + chance.gauss(0, 0.3) for step in range(4000)]
    assert scatter(values) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 5.0), (4.0, 3.0, 2.0, 1.0), (1.0, 1.0, 1.0)])
def test_steady_values_do_not_scatter(values):
    assert scatter(values) == 0


def test_single_jump_is_no_scatter():
    assert scatter((1.0,) * 5 + (9.0,) * 5) == 0


def test_error_of_the_quarters_is_that_of_two_means():
    chance = random.Random(0)
    runs = [[chance.gauss(2, 0.3) for _ in range(24)] for _ in range(2000)]
    differences = [first - last for first, last in map(quarter_means, runs)]
    usual = fmean(map(quarters_error, runs))
    assert usual == pytest.approx(pstdev(differences), rel=0.1)
