"""Several attempts at one case, each from a fresh process, and what they come to together."""

import math
from dataclasses import replace

import pytest

from pytest_batchguard.core import attempts as several
from pytest_batchguard.core.attempts import FEWEST_TO_FAIL, Attempted, taken_together, wants_another_attempt
from pytest_batchguard.core.figures import LossFigures
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Failure, FailureKind, Limits, Verdict
from pytest_batchguard.core.noise import MOST_ATTEMPTS, MOST_BY_HANDOFF
from tests.unit.samples import MIB, baseline, measurement, memory, throughput

EVEN = baseline(throughput=throughput(2.0, runs=(2.0, 1.98, 2.02, 2.01, 1.99)))
"""Of five processes that agree; at a tolerance of 10 % the limit is 2.2, half of it 2.1."""

ALIKE = replace(EVEN, loss=LossFigures(4.0, 1.0, 0.75, (4.0, 3.0, 2.0, 1.0), spread=0.0))
"""Knows that the loss is the same in every process."""


def paced(pace, low=None, high=None, images_per_second=800.0, **parts):
    return measurement(throughput=throughput(pace, images_per_second, pace_low=low, pace_high=high), **parts)


def heavy(pace=2.0):
    return paced(pace, memory=memory(200 * MIB))


def learning(decrease, **parts):
    curve = tuple(4.0 * (1 - decrease * step / 3) for step in range(4))
    return measurement(loss=LossFigures(4.0, curve[-1], decrease, curve), **parts)


FORGETFUL = learning(0.025)
"""Learns less than the baselines allow."""


def attempted(measurements, accepted=EVEN, **limits):
    return [Attempted(each, accepted, judge(each, accepted, Limits(**limits))) for each in measurements]


def goes_on(*measurements, accepted=EVEN, **limits):
    return wants_another_attempt(attempted(measurements, accepted, **limits), Limits(**limits))


def conclusion(*measurements, accepted=EVEN, **limits):
    """Return what measurements come to, which are all that are wanted."""
    judged = attempted(measurements, accepted, **limits)
    assert not wants_another_attempt(judged, Limits(**limits))
    return several.conclude(judged, Limits(**limits))


def verdict(*measurements, **limits):
    return conclusion(*measurements, **limits).judgement.verdict


# One attempt is enough


def test_good_pace_is_the_one_up_to_which_one_attempt_is_enough():
    limits = Limits(throughput_tolerance=0.125)
    good = several.good_pace(EVEN, limits, yardstick=1)
    assert good == 2.125
    assert not goes_on(paced(good), throughput_tolerance=0.125)
    assert goes_on(paced(math.nextafter(good, 3)), throughput_tolerance=0.125)


def test_no_pace_is_good_enough_to_end_early_where_images_per_second_are_judged():
    assert several.good_pace(None, Limits(min_throughput=100.0), yardstick=1) == 0.0


@pytest.mark.parametrize(
    "accepted", [None, baseline(throughput=None), baseline(throughput=throughput(yardstick=2))], ids=str
)
def test_any_pace_is_good_where_nothing_is_compared(accepted):
    assert several.good_pace(accepted, Limits(), yardstick=1) == math.inf


def test_case_that_passes_at_once_is_that():
    assert verdict(paced(2.0)) is Verdict.PASSED


def test_breach_of_a_loss_that_never_varies_is_not_measured_again():
    assert verdict(FORGETFUL, accepted=ALIKE) is Verdict.REGRESSED


def test_breach_of_pace_and_a_loss_that_never_varies_is_not_measured_again():
    slow = throughput(3.0)
    assert verdict(measurement(loss=FORGETFUL.loss, throughput=slow), accepted=ALIKE) is Verdict.REGRESSED


def test_case_without_baseline_is_not_measured_again():
    assert verdict(paced(2.0), accepted=None) is Verdict.NO_BASELINE


@pytest.mark.parametrize("kind", list(FailureKind))
def test_training_that_failed_is_not_measured_again(kind):
    failed = measurement(failure=Failure(kind, "it went wrong"))
    assert not goes_on(failed)
    assert conclusion(paced(3.0), failed).measurement is failed


def test_memory_near_its_limit_is_not_measured_again():
    assert not goes_on(paced(2.0, memory=memory(104 * MIB)))


# The pace


def test_slow_pace_is_measured_until_three_attempts_have_failed_it():
    assert FEWEST_TO_FAIL == 3
    assert goes_on(paced(2.25))
    assert goes_on(paced(2.25), paced(2.26))
    assert verdict(paced(2.25), paced(2.26), paced(2.24)) is Verdict.REGRESSED


def test_two_attempts_are_enough_where_the_whole_interval_lies_beyond_the_limit():
    assert goes_on(paced(3.0))
    assert verdict(paced(3.0), paced(3.1)) is Verdict.REGRESSED


def test_pace_that_has_used_up_half_of_what_is_tolerated_is_measured_again():
    assert goes_on(paced(2.11))
    assert not goes_on(paced(2.09))


def test_pace_known_too_poorly_is_measured_again():
    assert goes_on(paced(2.0, 1.5, 2.6))


def test_alarm_is_cleared_once_all_attempts_together_are_good():
    assert goes_on(paced(2.3))
    assert goes_on(paced(2.3), paced(2.0))
    assert verdict(paced(2.3), paced(2.0), paced(1.99)) is Verdict.PASSED


def test_pace_near_its_limit_is_measured_as_often_as_may_be():
    near = [paced(2.15)] * MOST_ATTEMPTS
    assert all(goes_on(*near[:count]) for count in range(1, MOST_ATTEMPTS))
    assert verdict(*near) is Verdict.PASSED


def test_one_attempt_out_of_five_that_is_far_off_decides_nothing():
    assert verdict(paced(9.0), paced(2.15), paced(2.15), paced(2.15), paced(2.15)) is not Verdict.REGRESSED


def test_attempts_that_differ_too_widely_to_tell_stay_inconclusive():
    concluded = conclusion(paced(1.5), paced(3.4), paced(1.6), paced(3.3), paced(2.3))
    assert concluded.judgement.verdict is Verdict.INCONCLUSIVE
    assert "is known to" in concluded.judgement.reason


def test_regression_is_told_by_the_figures_of_all_attempts():
    concluded = conclusion(paced(2.3), paced(2.2), paced(2.4))
    (pace,) = concluded.judgement.breaches
    assert pace.measured == pytest.approx((2.3 * 2.2 * 2.4) ** (1 / 3))
    assert concluded.place == 0


# Other limits


@pytest.mark.parametrize("limits", [{}, {"max_memory": 150 * MIB}], ids=["baseline", "max_memory"])
def test_memory_is_cleared_by_one_attempt_that_keeps_its_limit_and_breached_by_three(limits):
    assert goes_on(heavy(), **limits)
    assert goes_on(heavy(), heavy(), **limits)
    assert verdict(heavy(), heavy(), heavy(), **limits) is Verdict.REGRESSED
    assert verdict(heavy(), paced(2.0), **limits) is Verdict.PASSED
    assert verdict(heavy(), heavy(), paced(2.0), **limits) is Verdict.PASSED


@pytest.mark.parametrize(("accepted", "otherwise"), [(EVEN, Verdict.PASSED), (None, Verdict.NO_BASELINE)])
def test_images_per_second_are_judged_by_the_middle_of_three_attempts(accepted, otherwise):
    slow, fast = (measurement(throughput=throughput(2.0, images_per_second=rate)) for rate in (90.0, 105.0))
    limits = {"accepted": accepted, "min_throughput": 100.0}
    assert goes_on(slow, fast, **limits)
    assert verdict(slow, fast, slow, **limits) is Verdict.REGRESSED
    assert verdict(slow, fast, fast, **limits) is otherwise


@pytest.mark.parametrize(
    ("heads", "bases", "expected"),
    [
        ((120, 100), (100, 100), Verdict.PASSED),
        ((120, 120, 120), (100, 100, 100), Verdict.REGRESSED),
        ((120, 120, 120), (100, 120, 120), Verdict.REGRESSED),
        ((120, 118, 102), (100, 120, 98), Verdict.PASSED),
    ],
)
def test_base_measured_with_every_attempt_has_the_smallest_of_its_peaks_too(heads, bases, expected):
    limits = Limits(memory_tolerance=0.05)
    attempts = []
    for head, base in zip(heads, bases, strict=True):
        held_against = baseline(throughput=None, memory=memory(base * MIB))
        measured = paced(2.0, memory=memory(head * MIB))
        attempts.append(Attempted(measured, held_against, judge(measured, held_against, limits)))
        undecided = len(attempts) < len(heads)
        assert wants_another_attempt(attempts, limits) is undecided
    assert several.conclude(attempts, limits).judgement.verdict is expected


def test_slow_attempt_and_a_heavy_one_want_a_third():
    assert goes_on(paced(3.0), heavy())


def test_what_does_not_change_by_trying_stands_although_an_earlier_attempt_breached_another_limit():
    assert conclusion(paced(3.0), FORGETFUL, accepted=ALIKE).measurement is FORGETFUL


# The loss


@pytest.mark.parametrize(("accepted", "expected"), [(EVEN, Verdict.REGRESSED), (None, Verdict.UNHEALTHY)])
def test_loss_that_is_the_same_again_has_failed(accepted, expected):
    worse = learning(0.025 if accepted else -1.0)
    assert goes_on(worse, accepted=accepted)
    assert verdict(worse, worse, accepted=accepted) is expected


@pytest.mark.parametrize(
    ("decreases", "accepted", "expected"),
    [
        ((0.4, 0.3, 0.7), EVEN, Verdict.REGRESSED),
        ((0.4, 0.6, 0.7), EVEN, Verdict.PASSED),
        ((-0.4, -0.2, 0.1), None, Verdict.UNHEALTHY),
        ((-0.4, 0.1, 0.2), None, Verdict.NO_BASELINE),
    ],
)
def test_loss_that_varies_is_judged_by_the_middle_of_three_attempts(decreases, accepted, expected):
    varied = list(map(learning, decreases))
    assert all(goes_on(*varied[:count], accepted=accepted) for count in (1, 2))
    concluded = conclusion(*varied, accepted=accepted)
    assert concluded.judgement.verdict is expected
    assert concluded.measurement.loss.decrease == sorted(decreases)[1]


def test_loss_that_fails_in_two_of_four_attempts_is_measured_once_more():
    decreases = (0.4, 0.6, 0.7, 0.3)
    undecided = [learning(decrease, throughput=throughput(2.15)) for decrease in decreases]
    assert goes_on(*undecided)
    assert verdict(*undecided, learning(0.65, throughput=throughput(2.05))) is Verdict.PASSED


def test_loss_is_held_against_the_middle_of_a_base_that_varies():
    bases = [replace(EVEN, loss=learning(decrease).loss) for decrease in (0.9, 0.5, 0.6)]
    heads = list(map(learning, (0.55, 0.4, 0.5)))
    judged = [Attempted(head, base, judge(head, base, Limits())) for head, base in zip(heads, bases, strict=True)]
    (loss,) = [
        check for check in several.conclude(judged, Limits()).judgement.checks if check.quantity == "loss_decrease"
    ]
    assert (loss.measured, loss.baseline, loss.verdict) == (0.5, 0.6, Verdict.PASSED)


def test_images_per_second_are_shown_beside_the_middle_of_a_base_that_varies():
    heads = [paced(3.0, images_per_second=each) for each in (100.0, 60.0, 65.0)]
    bases = [replace(EVEN, throughput=replace(EVEN.throughput, images_per_second=each)) for each in (98.0, 61.0, 64.0)]
    judged = [Attempted(head, base, judge(head, base, Limits())) for head, base in zip(heads, bases, strict=True)]
    concluded = several.conclude(judged, Limits())
    assert concluded.measurement.throughput.images_per_second == 65.0
    assert concluded.baseline.throughput.images_per_second == 64.0


@pytest.mark.parametrize(
    ("bases", "least"),
    [((0.6, 0.6, 0.6), 0.42), ((0.5, 0.6, 0.75), 0.35), ((0.3, 0.6, 0.9), 0.3)],
    ids=["alike", "apart", "further apart than half of the middle one"],
)
def test_loss_may_miss_as_much_as_the_attempts_of_a_base_are_apart(bases, least):
    accepted = [replace(EVEN, loss=learning(decrease).loss) for decrease in bases]

    def concluded(decrease):
        heads = [learning(decrease + apart) for apart in (-0.001, 0.001, 0.0)]
        judged = [
            Attempted(head, base, judge(head, base, Limits())) for head, base in zip(heads, accepted, strict=True)
        ]
        return several.conclude(judged, Limits()).judgement.verdict

    assert concluded(least + 0.01) is Verdict.PASSED
    assert concluded(least - 0.01) is Verdict.REGRESSED


# Taken together


def test_taken_together_is_the_one_nearest_to_the_middle_with_the_figures_of_all():
    first = measurement(throughput=throughput(2.0, 900.0, pace_low=1.7, pace_high=2.6), memory=memory(100))
    second = measurement(throughput=throughput(4.5, 500.0, pace_low=4.2, pace_high=4.8), memory=memory(300))
    third = measurement(throughput=throughput(3.0, 800.0, pace_low=2.7, pace_high=3.0), memory=memory(200))
    place, together = taken_together([first, second, third])
    assert place == 2
    assert together.throughput.pace == pytest.approx(3.0)
    below = math.log(2.0 / 1.7) + math.log(4.5 / 4.2) + math.log(3.0 / 2.7)
    above = math.log(2.6 / 2.0) + math.log(4.8 / 4.5)
    assert together.throughput.pace_low == pytest.approx(3.0 * math.exp(-below / 3 / 3**0.5))
    assert together.throughput.pace_high == pytest.approx(3.0 * math.exp(above / 3 / 3**0.5))
    assert together.throughput.images_per_second == 800.0
    assert together.throughput.runs == (2.0, 4.5, 3.0)
    assert together.memory.peak_bytes == 100


USUAL = baseline(throughput=throughput(2.0, runs=(2.0, 1.98, 2.02, 2.01, 1.99), handoff_seconds=1.0))
"""The even baseline, recorded while a thread woke another in a second."""


def woken(pace, handoff_seconds):
    return measurement(throughput=throughput(pace, handoff_seconds=handoff_seconds))


def test_wide_intervals_of_few_paces_stay_above_zero():
    poor = [measurement(throughput=throughput(*each)) for each in ((1.0, 900.0), (10.0, 900.0))]
    poor[1] = measurement(throughput=throughput(10.0, 900.0, pace_low=1.0, pace_high=11.0))
    _, together = taken_together(poor)
    assert 0 < together.throughput.pace_low < together.throughput.pace


@pytest.mark.parametrize("last", [2.25, 2.6])
def test_too_few_paces_that_count_call_nothing_regressed(last):
    slow = [woken(2.4, 1.2)] * 4
    reached = conclusion(*slow, woken(last, 1.0), accepted=USUAL)
    assert reached.judgement.verdict is Verdict.INCONCLUSIVE
    assert "the machine is in another state" in reached.judgement.reason


def test_one_good_pace_that_counts_is_enough():
    slow = [woken(2.4, 1.2)] * 4
    assert conclusion(*slow, woken(2.0, 1.0), accepted=USUAL).judgement.verdict is Verdict.PASSED


def test_where_too_few_count_slow_wake_ups_excuse_no_more_than_they_explain():
    slow = [woken(4.0, 1.2)] * 4
    assert conclusion(*slow, woken(4.0, 1.0), accepted=USUAL).judgement.verdict is Verdict.REGRESSED


def test_paces_taken_while_threads_wake_slowly_do_not_count():
    slow, usual = woken(2.4, 1.2), woken(2.05, 1.05)
    assert goes_on(slow, accepted=USUAL)
    reached = conclusion(slow, usual, accepted=USUAL)
    assert reached.place == 1
    assert reached.measurement.throughput == usual.throughput
    assert reached.judgement.verdict is Verdict.PASSED


def test_slow_pace_is_inconclusive_where_threads_wake_slowly_at_every_attempt():
    slow = [woken(2.6, 1.2)] * MOST_ATTEMPTS
    assert goes_on(*slow[:-1], accepted=USUAL)
    reached = conclusion(*slow, accepted=USUAL)
    assert reached.judgement.verdict is Verdict.INCONCLUSIVE
    assert "waking a thread takes 1.2 s, and took 1 s when the baseline was recorded" in reached.judgement.reason


def test_pace_that_slow_wake_ups_do_not_explain_has_regressed():
    assert verdict(*[woken(2.7, 1.2)] * FEWEST_TO_FAIL, accepted=USUAL) is Verdict.REGRESSED  # beyond 1.2 times 2.2


@pytest.mark.parametrize(("pace", "comes_to"), [(2.85, Verdict.INCONCLUSIVE), (2.87, Verdict.REGRESSED)])
def test_wake_ups_that_take_ever_longer_explain_no_more_than_was_ever_seen(pace, comes_to):
    assert 2.85 < 2.2 * MOST_BY_HANDOFF < 2.87
    assert verdict(*[woken(pace, 2.5)] * MOST_ATTEMPTS, accepted=USUAL) is comes_to


def test_slow_pace_has_regressed_where_enough_attempts_were_taken_while_threads_woke_as_usual():
    slow, regressed = woken(2.4, 1.2), woken(2.25, 1.0)
    assert goes_on(slow, regressed, accepted=USUAL)
    assert goes_on(slow, regressed, regressed, accepted=USUAL)
    assert conclusion(slow, regressed, regressed, regressed, accepted=USUAL).judgement.verdict is Verdict.REGRESSED


def test_attempts_that_have_each_regressed_by_themselves_have_regressed_together_however_threads_woke_beside_most():
    usual, slow = woken(2.36, 1.0), woken(2.9, 1.3)
    reached = conclusion(usual, slow, slow, accepted=USUAL)
    assert reached.measurement.throughput.pace < 2.2 * 1.3
    assert reached.judgement.verdict is Verdict.REGRESSED


def test_paces_taken_while_threads_wake_slowly_count_where_each_attempt_has_regressed_by_itself():
    slow, usual = woken(4.6, 2.5), woken(4.5, 1.0)
    assert goes_on(slow, accepted=USUAL)
    reached = conclusion(slow, usual, slow, accepted=USUAL)
    assert len(reached.measurement.throughput.runs) == FEWEST_TO_FAIL
    assert reached.judgement.verdict is Verdict.REGRESSED
    assert not goes_on(slow, usual, slow, accepted=USUAL)


def test_where_the_usual_is_not_known_most_attempts_decide():
    rates = [(95.0, 1.0), (105.0, 1.15), (105.0, 1.15)]
    attempts = [measurement(throughput=throughput(2.0, rate, handoff_seconds=each)) for rate, each in rates]
    assert taken_together(attempts)[1].throughput.images_per_second == 105.0


def test_good_pace_passes_although_threads_wake_slowly():
    assert conclusion(woken(2.0, 1.5), accepted=USUAL).judgement.verdict is Verdict.PASSED


def test_single_measurement_is_itself():
    single = paced(2.0, 1.9, 2.1)
    assert taken_together([single]) == (0, single)


def test_attempts_without_throughput_or_memory_can_be_taken_together():
    assert taken_together([measurement(throughput=None)] * 3) == (0, measurement(throughput=None))
    assert taken_together([measurement(memory=None)] * 3)[1].memory is None
