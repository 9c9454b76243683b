"""How well a pace is known: from its own process, from the processes of its baseline, and from what is usual."""

import math

import pytest

from pytest_batchguard.core.noise import MARGIN, MOST_ATTEMPTS, USUAL_NOISE, counted_in, interval, middle, tolerated
from pytest_batchguard.core.noise import USUAL_NOISE_WEIGHT as WEIGHT
from tests.unit.samples import throughput

UNEVEN = (1.8, 1.9, 2.0, 2.1, 2.2)


def reach(measured, accepted):
    """Return how far the interval reaches, in standard errors' logarithm, on both sides alike."""
    low, high = interval(measured, accepted)
    assert math.log(high / measured.pace) == pytest.approx(math.log(measured.pace / low))
    return math.log(high / measured.pace)


def deviations(paces):
    logs = list(map(math.log, paces))
    mean = sum(logs) / len(logs)
    return sum((each - mean) ** 2 for each in logs)


def test_pace_of_one_process_is_known_as_well_as_is_usual():
    assert reach(throughput(3.0), throughput(2.0)) == pytest.approx(MARGIN * USUAL_NOISE)


def test_baseline_of_several_processes_adds_its_own_error():
    even = throughput(2.0, runs=(2.0,) * 4)
    assert reach(throughput(3.0), even) < reach(throughput(3.0), throughput(2.0, runs=(2.0,) * 2))


def test_even_baseline_makes_a_pace_better_known_than_is_usual():
    even = throughput(2.0, runs=(2.0,) * 100)
    assert reach(throughput(3.0), even) < 0.5 * MARGIN * USUAL_NOISE


def test_uneven_baseline_makes_it_less_well_known():
    assert reach(throughput(3.0), throughput(2.0, runs=UNEVEN)) > 2 * MARGIN * USUAL_NOISE


def test_attempts_that_differ_make_it_less_well_known_than_attempts_that_agree():
    agreeing = throughput(2.0, runs=(2.0, 2.0, 2.0))
    differing = throughput(2.0, runs=(1.6, 2.0, 2.5))
    assert reach(agreeing, throughput(2.0)) < reach(throughput(2.0), throughput(2.0)) < reach(differing, throughput())


def test_process_whose_windows_differ_widely_is_known_no_better_than_these():
    windows = throughput(2.0, pace_low=2.0 / math.exp(0.196), pace_high=2.0 * math.exp(0.196))
    assert reach(windows, throughput(2.0)) == pytest.approx(MARGIN * 0.1)


def test_windows_of_several_processes_count_as_those_of_one_divided_by_the_root_of_their_number():
    windows = throughput(2.0, pace_low=2.0 / math.exp(0.196), pace_high=2.0 * math.exp(0.196), runs=(2.0,) * 4)
    assert reach(windows, throughput(2.0)) == pytest.approx(MARGIN * 0.1)


def test_tolerance_is_the_asked_one_where_the_baseline_supports_it():
    assert tolerated(0.1, throughput(2.0, runs=(2.0, 2.02, 1.98, 2.01, 1.99))) == 0.1


def test_tolerance_is_what_five_attempts_as_noisy_as_the_baseline_can_tell_where_that_is_more():
    noise = math.sqrt((WEIGHT * USUAL_NOISE**2 + deviations(UNEVEN)) / (WEIGHT + len(UNEVEN) - 1))
    error = noise * math.sqrt(1 / MOST_ATTEMPTS + 1 / len(UNEVEN))
    assert tolerated(0.01, throughput(2.0, runs=UNEVEN)) == pytest.approx(math.exp(MARGIN * error) - 1)


def test_middle_of_few_paces_is_their_geometric_mean():
    assert middle([2.0]) == pytest.approx(2.0)
    assert middle([1.0, 4.0]) == pytest.approx(2.0)
    assert middle([8.0, 1.0, 1.0]) == pytest.approx(2.0)


def test_middle_of_five_leaves_out_the_highest_and_the_lowest():
    assert middle([1.0, 100.0, 4.0, 2.0, 0.01]) == pytest.approx(2.0)


def test_pace_counted_in_another_is_their_quotient_with_both_errors():
    head = throughput(3.0, pace_low=3.0 / 1.03, pace_high=3.0 * 1.03)
    base = throughput(2.0, pace_low=2.0 / 1.04, pace_high=2.0 * 1.04)
    counted = counted_in(head, base)
    assert counted.pace == 1.5
    both = math.hypot(math.log(1.03), math.log(1.04))
    assert math.log(counted.pace_high / 1.5) == pytest.approx(both)
    assert math.log(1.5 / counted.pace_low) == pytest.approx(both)
