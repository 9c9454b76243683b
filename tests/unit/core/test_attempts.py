"""Several judgements of one case, each from a fresh process, and what they come to together."""

import pytest

from pytest_batchguard.core.judge import conclude, wants_another_attempt
from pytest_batchguard.core.model import Check, Judgement, Verdict
from tests.unit.samples import pace_check

PASSED = Judgement(Verdict.PASSED)
SLOW = Judgement(Verdict.REGRESSED, (pace_check(),))
SLOWER = Judgement(Verdict.REGRESSED, (pace_check(measured=4.0),))
UNSURE = Judgement(Verdict.INCONCLUSIVE, (pace_check(Verdict.INCONCLUSIVE),))
STILL_UNSURE = Judgement(Verdict.INCONCLUSIVE, (pace_check(Verdict.INCONCLUSIVE, measured=2.5),))
NEAR = Judgement(Verdict.PASSED, (pace_check(Verdict.PASSED, measured=2.11),))
HEAVY = Judgement(Verdict.REGRESSED, (Check("peak_memory", 2, 1, Verdict.REGRESSED),))
FORGETFUL = Judgement(Verdict.REGRESSED, (Check("loss_decrease", 0.1, 0.3, Verdict.REGRESSED),))


@pytest.mark.parametrize("quantity", ["pace", "peak_memory", "min_throughput", "max_memory"])
def test_breach_of_memory_or_throughput_is_measured_again(quantity):
    assert wants_another_attempt([Judgement(Verdict.REGRESSED, (Check(quantity, 2, 1, Verdict.REGRESSED),))])


def test_breach_of_the_loss_is_not_measured_again():
    assert not wants_another_attempt([FORGETFUL])


def test_breach_of_loss_and_pace_is_not_measured_again():
    assert not wants_another_attempt([Judgement(Verdict.REGRESSED, (*SLOW.checks, *FORGETFUL.checks))])


def test_checks_that_passed_do_not_keep_from_measuring_again():
    passed = Check("loss_decrease", 0.4, 0.3, Verdict.PASSED)
    assert wants_another_attempt([Judgement(Verdict.REGRESSED, (*SLOW.checks, passed))])


@pytest.mark.parametrize(
    "verdict",
    [Verdict.PASSED, Verdict.NO_BASELINE, Verdict.BROKEN, Verdict.DOES_NOT_FIT, Verdict.UNHEALTHY],
)
def test_verdicts_that_are_no_alarm_of_noise_are_not_measured_again(verdict):
    assert not wants_another_attempt([Judgement(verdict)])


def test_inconclusive_is_measured_again():
    assert wants_another_attempt([UNSURE])


def test_two_regressions_are_enough():
    assert not wants_another_attempt([SLOW, SLOWER])


@pytest.mark.parametrize(
    "attempts",
    [[SLOW, UNSURE], [UNSURE, SLOW], [UNSURE, UNSURE], [SLOW, PASSED], [UNSURE, PASSED], [NEAR, SLOW], [NEAR, UNSURE]],
)
def test_two_attempts_that_do_not_agree_want_a_third(attempts):
    assert wants_another_attempt(attempts)


def test_pace_that_has_used_up_half_of_what_is_tolerated_is_measured_again():
    assert wants_another_attempt([NEAR])
    assert not wants_another_attempt([Judgement(Verdict.PASSED, (pace_check(Verdict.PASSED, measured=2.1),))])


def test_memory_near_its_limit_is_not_measured_again():
    near = Check("peak_memory", 104, 105, Verdict.PASSED, 100, 0.05)
    assert not wants_another_attempt([Judgement(Verdict.PASSED, (near,))])


@pytest.mark.parametrize("verdict", [Verdict.UNHEALTHY, Verdict.DOES_NOT_FIT, Verdict.NO_BASELINE])
def test_pace_near_its_limit_is_not_measured_again_where_something_else_is_said_already(verdict):
    assert not wants_another_attempt([Judgement(verdict, NEAR.checks)])


def test_three_attempts_are_the_most():
    assert not wants_another_attempt([UNSURE, UNSURE, UNSURE])


@pytest.mark.parametrize("attempts", [[NEAR, PASSED], [SLOW, NEAR, PASSED], [UNSURE, NEAR, PASSED]])
def test_two_attempts_without_a_breach_clear_it(attempts):
    assert not wants_another_attempt(attempts)
    assert conclude(attempts) is PASSED


def test_two_breaches_of_three_are_a_regression_whatever_their_order():
    assert conclude([NEAR, SLOW, SLOWER]) is SLOWER
    assert conclude([SLOW, PASSED, SLOWER]) is SLOWER
    assert not wants_another_attempt([SLOW, PASSED, SLOWER])


def test_two_regressions_conclude_as_regressed_with_the_last_of_them():
    assert conclude([SLOW, SLOWER]) is SLOWER
    assert conclude([SLOW, UNSURE, SLOWER]) is SLOWER
    assert conclude([SLOW, SLOWER, UNSURE]) is SLOWER


def test_breach_that_is_never_measured_again_stands_alone():
    assert conclude([FORGETFUL]) is FORGETFUL


@pytest.mark.parametrize(
    "attempts",
    [
        [SLOW, UNSURE, STILL_UNSURE],
        [UNSURE, SLOW, STILL_UNSURE],
        [UNSURE, UNSURE, STILL_UNSURE],
        [UNSURE, UNSURE, SLOW],
        [SLOW, HEAVY, STILL_UNSURE],
        [PASSED, SLOW, STILL_UNSURE],
    ],
)
def test_no_two_that_agree_leave_it_inconclusive(attempts):
    concluded = conclude(attempts)
    assert concluded.verdict is Verdict.INCONCLUSIVE
    assert concluded.checks == attempts[-1].checks


def test_what_is_inconclusive_shows_an_attempt_that_breached():
    concluded = conclude([SLOW, UNSURE, PASSED])
    assert (concluded.verdict, concluded.checks) == (Verdict.INCONCLUSIVE, UNSURE.checks)


def test_limit_that_was_breached_twice_is_concluded_by_an_attempt_that_breached_it():
    assert conclude([SLOW, SLOWER, HEAVY]) is SLOWER


def test_breach_that_is_no_noise_stands_although_an_earlier_attempt_breached_another_limit():
    assert conclude([SLOW, FORGETFUL]).verdict is Verdict.REGRESSED


def test_attempt_that_broke_ends_it():
    broken = Judgement(Verdict.BROKEN)
    assert conclude([SLOW, broken]) is broken


def test_case_that_passes_at_once_is_that():
    assert conclude([PASSED]) is PASSED


def test_two_attempts_that_breach_different_limits_want_a_third():
    assert wants_another_attempt([SLOW, HEAVY])
