"""Laps under a scripted clock."""

import pytest

from pytest_batchguard.measure.stopwatch import (
    LAPS,
    LONGEST_READING_SECONDS,
    LONGEST_SECONDS,
    READING_SHARE,
    RUNS,
    SKIPPED,
    SKIPPED_AFTER_PAUSE,
    Stopwatch,
)


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
    disturbed = [0.01] * SKIPPED + [0.1] * LAPS + [0.01] * 1000
    assert run(disturbed)[0] == pytest.approx(0.01)


def test_mean_of_a_run_counts_where_every_lap_differs():
    assert run([0.01] * SKIPPED + [0.01, 0.03] * 1000)[0] == pytest.approx(0.02)


def test_long_laps_end_when_the_time_is_spent():
    seconds, laps, _ = run([0.75 * LONGEST_SECONDS] * 100)
    assert seconds == pytest.approx(0.75 * LONGEST_SECONDS)
    assert laps == SKIPPED + 2


def test_run_that_was_cut_short_counts_only_where_it_is_the_only_one():
    short = 0.75 * LONGEST_SECONDS / LAPS
    assert run([short] * (SKIPPED + LAPS) + [LONGEST_SECONDS] * 100)[0] == pytest.approx(short)
    assert run([3.0] * 100)[0] == pytest.approx(3.0)


def test_too_few_laps_have_no_figure():
    assert run([0.01] * (SKIPPED + RUNS * LAPS - 1))[0] is None


def drifting(lap_seconds, drifts):
    """Return what the stopwatch shows where the yardstick is read so, and at which laps it was read."""
    now, lap, read_at = 0.0, 0, []

    def drift(_):
        read_at.append(lap)
        return drifts[min(len(read_at), len(drifts)) - 1]

    stopwatch = Stopwatch(lambda: now, drift)
    shown = None
    while shown is None:
        lap += 1
        now += lap_seconds(len(read_at), lap)
        shown = stopwatch.lap(lambda: None)
    return shown, read_at


def test_laps_are_told_as_long_as_they_were_beside_the_usual_yardstick():
    slower_and_slower = [2.0**reading for reading in range(RUNS + 1)]
    shown, _ = drifting(lambda readings, _: 0.01 * 1.5 * 2.0 ** (readings - 1), slower_and_slower)
    assert shown == pytest.approx(0.01)


def test_yardstick_is_read_before_the_first_lap_and_after_every_run():
    _, read_at = drifting(lambda *_: 0.01, [1.0])
    assert read_at[0] == 0
    assert read_at[1:] == [SKIPPED + LAPS + run * (SKIPPED_AFTER_PAUSE + LAPS) for run in range(RUNS)]


def test_lap_after_a_reading_does_not_count():
    paused = {SKIPPED + run * (SKIPPED_AFTER_PAUSE + LAPS) for run in range(1, RUNS)}
    shown, _ = drifting(lambda _, lap: 5.0 if lap in paused else 0.01, [1.0])
    assert shown == pytest.approx(0.01)


@pytest.mark.parametrize("lap_seconds", [0.001, 0.1])
def test_yardstick_is_read_for_a_share_of_the_run_but_never_long(lap_seconds):
    lengths = []
    now = 0.0
    stopwatch = Stopwatch(lambda: now, lambda at_least: lengths.append(at_least) or 1.0)
    for _ in range(SKIPPED + LAPS):
        now += lap_seconds
        stopwatch.lap(lambda: None)
    assert lengths[0] == LONGEST_READING_SECONDS
    assert lengths[1:] == [pytest.approx(min(LONGEST_READING_SECONDS, READING_SHARE * LAPS * lap_seconds))]
