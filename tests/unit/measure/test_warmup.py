"""The steps before the first window, under a scripted clock."""

import pytest

from pytest_batchguard.measure.warmup import LONGEST_WARMUP, WarmUp


def warm(*seconds, steps=3, steps_at_once=1):
    """Return the warm-up after steps as long as these, and after how many calls it had ended."""
    now = [16.0]
    warmup = WarmUp(steps, lambda: now[0], steps_at_once)
    for call, each in enumerate(seconds, start=1):
        now[0] += each
        if warmup.step_ended():
            return warmup, call
    return warmup, None


def test_it_ends_with_the_steps_asked_for_where_they_are_even():
    assert warm(9.0, 0.25, 0.25, 0.25)[1] == 3


def test_it_goes_on_until_a_step_is_near_the_fastest():
    assert warm(9.0, 0.25, 0.5, 0.375, 0.3125, 0.25)[1] == 5


def test_it_ends_some_time_where_the_steps_never_settle():
    restless = [0.25, *[1.0] * 100]
    assert warm(9.0, *restless)[1] == 3 * LONGEST_WARMUP


def test_first_step_alone_says_nothing():
    assert warm(0.25, 0.25, steps=1)[1] == 2


def test_usual_step_is_the_median_of_the_last_ones():
    warmup, _ = warm(9.0, 2.0, 0.5, 0.5, 0.5, 0.0625, steps=6)
    assert warmup.usual_seconds == 0.5
    assert warmup.last_seconds == 0.0625


def test_steps_at_once_share_their_time():
    warmup, call = warm(9.0, 2.0, steps=8, steps_at_once=4)
    assert (call, warmup.last_seconds) == (2, pytest.approx(0.5))
