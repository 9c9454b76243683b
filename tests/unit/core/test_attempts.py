"""Several judgements of one case, each from a fresh process, and what they come to together."""

import math

import pytest

from pytest_batchguard.core import attempts as several
from pytest_batchguard.core.attempts import Attempted, taken_together, wants_another_attempt
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Check, Judgement, Limits, Verdict
from tests.unit.samples import baseline, measurement, memory, pace_check, throughput

PASSED = Judgement(Verdict.PASSED)
SLOW = Judgement(Verdict.REGRESSED, (pace_check(),))
SLOWER = Judgement(Verdict.REGRESSED, (pace_check(measured=4.0),))
UNSURE = Judgement(Verdict.INCONCLUSIVE, (pace_check(Verdict.INCONCLUSIVE),))
NEAR = Judgement(Verdict.PASSED, (pace_check(Verdict.PASSED, measured=2.11),))
HEAVY = Judgement(Verdict.REGRESSED, (Check("peak_memory", 2, 1, Verdict.REGRESSED),))
FORGETFUL = Judgement(Verdict.REGRESSED, (Check("loss_decrease", 0.1, 0.3, Verdict.REGRESSED),))


def conclude(judgements):
    """Return what judgements come to where the measurements behind them do not count."""
    measured = measurement()
    return several.conclude([Attempted(measured, baseline(), each) for each in judgements], Limits()).judgement


def paced(pace, low=None, high=None, **parts):
    return measurement(throughput=throughput(pace, pace_low=low, pace_high=high), **parts)


def conclusion(*measurements, **limits):
    """Return what measurements come to, each judged for itself first; the limit of the pace is 2.2."""
    judged = [Attempted(each, baseline(), judge(each, baseline(), Limits(**limits))) for each in measurements]
    assert not wants_another_attempt([each.judgement for each in judged])
    return several.conclude(judged, Limits(**limits))


@pytest.mark.parametrize(("spread", "good"), [(None, 2.125), (0.25, 2.25)])
def test_good_pace_is_the_one_up_to_which_one_attempt_is_enough(spread, good):
    accepted = baseline(throughput=throughput(2.0, spread=spread))
    limits = Limits(throughput_tolerance=0.125)
    assert several.good_pace(accepted, limits, yardstick=1) == good
    assert not wants_another_attempt([judge(paced(good), accepted, limits)])
    assert wants_another_attempt([judge(paced(math.nextafter(good, 3)), accepted, limits)])


def test_no_pace_is_good_enough_to_end_early_where_images_per_second_are_judged():
    assert several.good_pace(None, Limits(min_throughput=100.0), yardstick=1) == 0.0


@pytest.mark.parametrize(
    "accepted", [None, baseline(throughput=None), baseline(throughput=throughput(yardstick=2))], ids=str
)
def test_any_pace_is_good_where_nothing_is_compared(accepted):
    assert several.good_pace(accepted, Limits(), yardstick=1) == math.inf


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


def test_three_that_are_known_too_poorly_are_taken_together():
    concluded = conclusion(paced(2.3, 2.15, 2.45), paced(2.5, 2.19, 2.6), paced(2.25, 2.1, 2.4))
    assert concluded.judgement.verdict is Verdict.REGRESSED
    assert concluded.judgement.reason == "pace 2.3 yardsticks, allowed is at most 2.2 yardsticks"
    assert concluded.place == 0


def test_taken_together_they_pass_where_the_middle_one_does():
    concluded = conclusion(paced(2.15, 2.0, 2.3), paced(2.1, 1.95, 2.25), paced(2.3, 2.1, 2.5))
    assert (concluded.judgement.verdict, concluded.place) == (Verdict.PASSED, 0)


def test_they_stay_inconclusive_where_even_together_they_are_known_too_poorly():
    concluded = conclusion(paced(2.3, 1.9, 2.7), paced(2.1, 1.7, 2.6), paced(2.25, 1.8, 2.6))
    assert concluded.judgement.verdict is Verdict.INCONCLUSIVE
    assert "pace 2.25 yardsticks is known to 21.4 % only" in concluded.judgement.reason
    assert concluded.place == 2


def test_breaches_of_three_different_limits_are_judged_by_the_medians():
    heavy = paced(2.0, memory=memory(200 * 2**20))
    slow = paced(2.5, 2.45, 2.55)
    concluded = conclusion(heavy, slow, paced(2.1, 1.95, 2.25))
    assert (concluded.judgement.verdict, concluded.place) == (Verdict.PASSED, 2)


def test_taken_together_is_the_middle_one_with_the_medians_and_a_narrower_interval():
    first = measurement(throughput=throughput(2.0, 900.0, pace_low=1.7, pace_high=2.6), memory=memory(100))
    second = measurement(throughput=throughput(4.0, 500.0, pace_low=3.7, pace_high=4.3), memory=memory(300))
    third = measurement(throughput=throughput(3.0, 800.0, pace_low=2.7, pace_high=3.0), memory=memory(200))
    place, together = taken_together([first, second, third])
    assert place == 2
    assert together.throughput.pace == 3.0
    assert together.throughput.pace_low == pytest.approx(3.0 - 0.3 / 3**0.5)
    assert together.throughput.pace_high == pytest.approx(3.0 + 0.3 / 3**0.5)
    assert together.throughput.images_per_second == 800.0
    assert together.memory.peak_bytes == 200


def test_attempts_without_throughput_or_intervals_can_be_taken_together():
    assert taken_together([measurement(throughput=None)] * 3) == (1, measurement(throughput=None))
    assert taken_together([measurement(memory=None)] * 3)[1].throughput.pace_low == 2.0


def test_limit_that_was_breached_twice_is_concluded_by_an_attempt_that_breached_it():
    assert conclude([SLOW, SLOWER, HEAVY]) is SLOWER


def test_conclusion_speaks_of_the_attempt_it_rests_on():
    calm, slow, slower = paced(2.0), paced(2.5), paced(3.0)
    concluded = conclusion(slow, calm, slower)
    assert (concluded.place, concluded.measurement) == (2, slower)
    concluded = conclusion(slow, calm, calm)
    assert (concluded.place, concluded.judgement.verdict) == (2, Verdict.PASSED)


def test_breach_that_is_no_noise_stands_although_an_earlier_attempt_breached_another_limit():
    assert conclude([SLOW, FORGETFUL]).verdict is Verdict.REGRESSED


def test_attempt_that_broke_ends_it():
    broken = Judgement(Verdict.BROKEN)
    assert conclude([SLOW, broken]) is broken


def test_case_that_passes_at_once_is_that():
    assert conclude([PASSED]) is PASSED


def test_limit_of_the_marker_without_baseline_is_decided_by_two_of_three_too():
    slow = Judgement(Verdict.REGRESSED, (Check("min_throughput", 90, 100, Verdict.REGRESSED),))
    fine = Judgement(Verdict.NO_BASELINE)
    assert wants_another_attempt([slow, fine])
    assert conclude([slow, fine, fine]) is fine
    assert conclude([slow, fine, slow]) is slow


def test_two_attempts_that_breach_different_limits_want_a_third():
    assert wants_another_attempt([SLOW, HEAVY])
