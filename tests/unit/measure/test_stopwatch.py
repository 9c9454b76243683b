"""Laps under a scripted clock."""

import pytest

from pytest_batchguard.measure.stopwatch import LAPS, LONGEST_SECONDS, RUNS, SKIPPED, Stopwatch


def run(lap_seconds):
    """Return what the stopwatch shows after laps as long as these, how many it took and when it waited for results."""
    now, waited = 0.0, []
    stopwatch = Stopwatch(lambda: now)
    for lap, seconds in enumerate(lap_seconds, start=1):
        now += seconds
        shown = stopwatch.lap(lambda lap=lap: waited.append(lap))
        if shown is not None:
            return shown, lap, waited
    return None, len(lap_seconds), waited


def test_laps_are_timed_in_runs_and_waited_for_at_their_ends():
    seconds, laps, waited = run([0.01] * 1000)
    assert seconds == pytest.approx(0.01)
    assert laps == SKIPPED + RUNS * LAPS
    assert waited == [SKIPPED + run * LAPS for run in range(RUNS + 1)]


def test_first_laps_do_not_count():
    assert run([1.0] * SKIPPED + [0.01] * 1000)[0] == pytest.approx(0.01)


def test_disturbed_run_does_not_decide():
    disturbed = [0.01] * SKIPPED + [0.2] * LAPS + [0.01] * 1000
    assert run(disturbed)[0] == pytest.approx(0.01)


def test_mean_of_a_run_counts_where_every_lap_differs():
    assert run([0.01] * SKIPPED + [0.01, 0.03] * 1000)[0] == pytest.approx(0.02)


def test_long_laps_end_when_the_time_is_spent():
    seconds, laps, _ = run([0.75] * 100)
    assert seconds == pytest.approx(0.75)
    assert laps == SKIPPED + 3
    assert LONGEST_SECONDS == 2.0


def test_run_that_was_cut_short_counts_only_where_it_is_the_only_one():
    laps = [0.25] * (SKIPPED + LAPS) + [1.0] * 100
    assert run(laps)[0] == pytest.approx(0.25)
    assert run([3.0] * 100)[0] == pytest.approx(3.0)


def test_too_few_laps_have_no_figure():
    assert run([0.01] * (SKIPPED + RUNS * LAPS - 1))[0] is None
