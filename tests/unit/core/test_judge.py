"""One measurement against baseline and limits: both sides of every threshold, and every verdict."""

import math
from dataclasses import replace

import pytest

from pytest_batchguard.core.figures import Contention, LossFigures
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.learning import loss_figures
from pytest_batchguard.core.model import (
    Failure,
    FailureKind,
    Limits,
    Measurement,
    ModelFingerprint,
    Provenance,
    Verdict,
)
from pytest_batchguard.core.noise import MARGIN, clearly_falls, interval, tolerated
from pytest_batchguard.core.quantities import QUANTITIES
from tests.unit.samples import MIB, baseline, breakdown, full_baseline, loss, measurement, memory, throughput


def check(judgement, quantity):
    (found,) = [check for check in judgement.checks if check.quantity == quantity]
    return found


def with_failure(kind, message="it went wrong"):
    return measurement(failure=Failure(kind, message), notes=("shared card",))


def learning(decrease, last=1.0, curve=(2.0, 1.0)):
    return measurement(loss=LossFigures(2.0, last, decrease, curve))


# Verdicts that need no baseline


def test_measurement_equal_to_its_baseline_passes_with_nothing_to_say():
    judgement = judge(measurement(), baseline(), Limits())
    assert judgement.verdict is Verdict.PASSED
    assert (judgement.reason, judgement.notes, judgement.changes, judgement.breaches) == ("", (), (), ())


def test_measurement_without_baseline_has_no_baseline_and_says_so():
    judgement = judge(measurement(), None, Limits())
    assert judgement.verdict is Verdict.NO_BASELINE
    assert judgement.reason == "nothing was compared: this case has no baseline on this device"


def test_every_check_made_is_shown_and_has_a_registered_quantity():
    limits = Limits(memory_budget=2**40, max_memory=2**40, min_throughput=1.0)
    judgement = judge(measurement(), baseline(), limits)
    assert {check.quantity for check in judgement.checks} == set(QUANTITIES)


@pytest.mark.parametrize("kind", [FailureKind.CRASH, FailureKind.TIMEOUT, FailureKind.ERROR])
def test_training_that_failed_for_other_reasons_than_memory_is_broken(kind):
    judgement = judge(with_failure(kind), baseline(), Limits())
    assert judgement.verdict is Verdict.BROKEN
    assert (judgement.reason, judgement.notes, judgement.checks) == ("it went wrong", ("shared card",), ())


@pytest.mark.parametrize("kind", [FailureKind.OOM, FailureKind.HOST_OOM])
def test_training_that_ran_out_of_memory_does_not_fit(kind):
    judgement = judge(with_failure(kind, "out of memory"), baseline(), Limits())
    assert (judgement.verdict, judgement.reason) == (Verdict.DOES_NOT_FIT, "out of memory")


def test_running_out_of_memory_names_the_budget_where_there_is_one():
    judgement = judge(with_failure(FailureKind.OOM, "out of memory"), None, Limits(memory_budget=300 * MIB))
    assert judgement.reason == "out of memory; the budget is 300 MiB"


def test_peak_at_the_budget_fits():
    assert judge(measurement(), baseline(), Limits(memory_budget=100 * MIB)).verdict is Verdict.PASSED


def test_peak_above_the_budget_does_not_fit():
    judgement = judge(measurement(), baseline(), Limits(memory_budget=100 * MIB - 1))
    assert judgement.verdict is Verdict.DOES_NOT_FIT
    assert judgement.reason.startswith("peak memory in budget 100 MiB, allowed is at most 100 MiB")


def test_peak_at_the_most_memory_passes():
    assert judge(measurement(), baseline(), Limits(max_memory=100 * MIB)).verdict is Verdict.PASSED


def test_peak_above_the_most_memory_has_regressed_even_without_baseline():
    assert judge(measurement(), None, Limits(max_memory=100 * MIB - 1)).verdict is Verdict.REGRESSED


def test_throughput_at_the_least_passes():
    assert judge(measurement(), baseline(), Limits(min_throughput=800.0)).verdict is Verdict.PASSED


def test_throughput_below_the_least_has_regressed_even_without_baseline():
    judgement = judge(measurement(), None, Limits(min_throughput=801.0))
    assert judgement.verdict is Verdict.REGRESSED
    assert judgement.reason == "throughput 800 images/s, allowed is at least 801 images/s"


# Loss


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_loss_that_is_not_finite_at_any_step_is_unhealthy(bad, place):
    curve = [4.0, 3.0, 2.0, 1.0]
    curve[place] = bad
    judgement = judge(measurement(loss=loss(curve)), baseline(), Limits())
    assert judgement.verdict is Verdict.UNHEALTHY
    assert judgement.reason == "steps with a finite loss 3, allowed is at least 4"


def test_loss_that_falls_a_little_is_healthy():
    assert judge(learning(0.001), None, Limits()).verdict is Verdict.NO_BASELINE


def test_loss_that_stands_still_is_unhealthy():
    judgement = judge(learning(0.0), None, Limits())
    assert judgement.verdict is Verdict.UNHEALTHY
    assert judgement.reason == "loss decrease 0 %, allowed is more than 0 %"


def test_loss_that_rises_is_unhealthy():
    assert judge(learning(-0.001), None, Limits()).verdict is Verdict.UNHEALTHY


def test_loss_that_falls_by_the_least_decrease_is_healthy():
    assert judge(learning(0.2), None, Limits(min_loss_decrease=0.2)).verdict is Verdict.NO_BASELINE


def test_loss_that_falls_by_less_than_the_least_decrease_is_unhealthy():
    judgement = judge(learning(0.19), None, Limits(min_loss_decrease=0.2))
    assert judgement.verdict is Verdict.UNHEALTHY
    assert judgement.reason == "loss decrease 19 %, allowed is at least 20 %"


def test_negative_least_decrease_lets_the_loss_rise_that_much():
    assert judge(learning(-0.1), None, Limits(min_loss_decrease=-0.1)).verdict is Verdict.NO_BASELINE
    assert judge(learning(0.0), None, Limits(min_loss_decrease=-0.1)).verdict is Verdict.NO_BASELINE
    assert judge(learning(-0.11), None, Limits(min_loss_decrease=-0.1)).verdict is Verdict.UNHEALTHY


def test_loss_that_ends_at_twice_the_untrained_models_is_healthy_if_it_falls():
    assert judge(learning(0.5, last=4.0, curve=(2.0, 8.0, 4.0)), None, Limits()).verdict is Verdict.NO_BASELINE


def test_loss_that_exploded_at_once_is_unhealthy_although_it_falls_ever_after():
    judgement = judge(learning(0.5, last=4.01, curve=(2.0, 12.01, 8.01, 4.01)), None, Limits())
    assert judgement.verdict is Verdict.UNHEALTHY
    assert judgement.reason == "loss at the end 4.01, allowed is at most 4.00"


def test_first_loss_that_is_small_by_chance_is_no_untrained_models():
    by_chance = (0.01, 0.06, 0.02, 0.05, 0.01, 0.06, 0.03, 0.02)
    judgement = judge(learning(0.5, last=0.03, curve=by_chance), None, Limits())
    assert judgement.verdict is Verdict.NO_BASELINE


def test_squared_error_of_one_image_may_be_a_hundredth_of_the_next_ones():
    """That of one in twelve is, whatever is trained."""
    curve = (0.008, 1.9, 0.02, 0.4, 2.2, 0.1, 0.9, 0.003, 1.1, 0.05, 0.7, 1.6)
    judgement = judge(learning(0.2, last=0.8, curve=curve), None, Limits())
    assert check(judgement, "diverged_loss").verdict is Verdict.PASSED


def test_loss_that_exploded_at_once_is_unhealthy_however_noisy_it_is_then():
    curve = (2.3, *(7.0, 8.2, 6.1, 7.5, 5.9, 8.1) * 4)
    judgement = judge(learning(-0.1, last=7.0, curve=curve), None, Limits(min_loss_decrease=-1))
    assert check(judgement, "diverged_loss").verdict is Verdict.UNHEALTHY


@pytest.mark.parametrize(
    ("accepted", "limits", "verdict"),
    [
        (baseline(), Limits(), Verdict.UNHEALTHY),
        (None, Limits(min_loss_decrease=0.1), Verdict.UNHEALTHY),
        (baseline(loss=None), Limits(), Verdict.PASSED),
        (None, Limits(min_loss_decrease=-1), Verdict.NO_BASELINE),
    ],
)
def test_loss_that_is_missing_is_unhealthy_where_one_is_asked_for(accepted, limits, verdict):
    assert judge(measurement(loss=None), accepted, limits).verdict is verdict


def test_loss_that_is_a_number_again_is_not_held_against_one_that_was_not():
    accepted = baseline(loss=LossFigures(math.nan, math.nan, math.nan, (math.nan, math.nan)))
    assert judge(measurement(), accepted, Limits()).verdict is Verdict.PASSED


def test_first_loss_of_zero_is_no_measure_of_an_explosion():
    judgement = judge(learning(-0.1, curve=(0.0, 0.0, 0.0)), None, Limits(min_loss_decrease=-1))
    assert "largest_loss" not in {check.quantity for check in judgement.checks}


UNEVEN_CURVE = (2.3, 2.2, 2.4, 2.25, 2.35, 2.2, 2.4, 2.3)
"""A decrease of less than 22 % may be by the batches that came (`loss_reach`)."""


@pytest.mark.parametrize(
    ("decrease", "verdict"),
    [(0.05, Verdict.NO_BASELINE), (-0.05, Verdict.NO_BASELINE), (-0.3, Verdict.UNHEALTHY)],
)
def test_loss_is_unhealthy_only_if_it_rises_by_more_than_its_noise(decrease, verdict):
    judgement = judge(learning(decrease, curve=UNEVEN_CURVE), None, Limits())
    assert judgement.verdict is verdict
    open_ = [note for note in judgement.notes if "whether it learns was not told; raise `steps`" in note]
    assert len(open_) == (verdict is Verdict.NO_BASELINE)


def test_loss_that_falls_beyond_its_noise_tells_that_it_learns():
    assert judge(learning(0.3, curve=UNEVEN_CURVE), None, Limits()).notes == ()


def test_least_decrease_that_was_asked_for_is_taken_at_its_word():
    judgement = judge(learning(0.05, curve=UNEVEN_CURVE), None, Limits(min_loss_decrease=0.06))
    assert (judgement.verdict, judgement.notes) == (Verdict.UNHEALTHY, ())


def test_loss_that_stands_still_is_unhealthy_where_the_baselines_fell_beyond_doubt():
    judgement = judge(
        learning(-0.01, curve=UNEVEN_CURVE), baseline(loss=LossFigures(2.3, 1.1, 0.5, UNEVEN_CURVE)), Limits()
    )
    assert judgement.verdict is Verdict.UNHEALTHY
    assert judgement.reason == "loss decrease -1 %, allowed is at least 0 %"


@pytest.mark.parametrize(("decrease", "verdict"), [(-0.05, Verdict.PASSED), (-0.3, Verdict.UNHEALTHY)])
def test_baseline_whose_own_fall_was_noise_is_no_measure_of_a_small_one(decrease, verdict):
    doubtful = baseline(loss=LossFigures(2.3, 2.28, 0.01, UNEVEN_CURVE))
    other_batches = UNEVEN_CURVE[1:] + UNEVEN_CURVE[:1]
    assert judge(learning(decrease, curve=other_batches), doubtful, Limits()).verdict is verdict


def uneven(learned_a_step, first=2.3):
    """Return the loss of 24 uneven batches that are the same every time, and of which so much is learned a step."""
    batches = [first, *UNEVEN_CURVE[1:], *UNEVEN_CURVE, *UNEVEN_CURVE]
    return loss_figures([batch - learned_a_step * step for step, batch in enumerate(batches)])


@pytest.mark.parametrize(
    ("left", "verdict"),
    [(1.0, Verdict.PASSED), (0.7, Verdict.PASSED), (0.1, Verdict.REGRESSED), (0.0, Verdict.REGRESSED)],
)
def test_same_batches_from_the_same_weights_are_no_noise(left, verdict):
    accepted = uneven(0.01)
    assert not clearly_falls(accepted)

    judgement = judge(measurement(loss=uneven(0.01 * left)), baseline(loss=accepted), Limits())

    assert judgement.verdict is verdict
    assert judgement.notes == ()


def test_tolerance_is_a_share_of_what_noise_may_hide_too():
    """These batches get worse by as much as is learned, so that a decrease of next to nothing is left."""
    judgement = judge(measurement(loss=uneven(0.0015)), baseline(loss=uneven(0.002)), Limits())

    assert check(judgement, "loss_decrease").baseline == pytest.approx(0.0012, rel=0.05)
    assert judgement.verdict is Verdict.PASSED


def test_other_batches_or_weights_are_noise_in_both():
    judgement = judge(measurement(loss=uneven(0.0, first=2.31)), baseline(loss=uneven(0.01)), Limits())

    assert judgement.verdict is Verdict.PASSED
    assert "whether it learns was not told" in judgement.notes[0]


@pytest.mark.parametrize(("mine", "theirs"), [(8, 4), (4, 8)])
def test_curves_of_other_lengths_are_compared_over_the_steps_that_both_took(mine, theirs):
    """A training of twice as many steps falls twice as far, and is no better for that."""
    steps = [2.0 - 0.1 * step for step in range(8)]
    judgement = judge(measurement(loss=loss(steps[:mine])), baseline(loss=loss(steps[:theirs])), Limits())

    assert judgement.verdict is Verdict.PASSED
    assert check(judgement, "loss_decrease").measured == check(judgement, "loss_decrease").baseline == 0.15


def test_longer_baseline_that_fell_beyond_doubt_asks_no_fall_of_as_few_steps_as_leave_it_in_doubt():
    long = loss_figures([each - 0.05 * step for step, each in enumerate(UNEVEN_CURVE * 3)])
    short = loss_figures(long.curve[: len(UNEVEN_CURVE)])
    assert clearly_falls(long)
    assert not clearly_falls(short)
    rising = loss_figures([2.31, 2.2, 2.4, 2.25, 2.35, 2.25, 2.4, 2.3])

    judgement = judge(measurement(loss=rising), baseline(loss=long), Limits())

    assert rising.decrease < 0
    assert judgement.verdict is Verdict.PASSED
    assert "whether it learns was not told" in judgement.notes[0]


@pytest.mark.parametrize(("then", "now"), [(10, 1), (1, 10)])
def test_losses_of_other_numbers_of_steps_at_a_time_are_not_compared(then, now):
    """The mean of ten steps falls ten times as far from one to the next."""
    accepted = baseline(loss=loss((4.0, 3.0, 2.0, 1.0)), model=ModelFingerprint(steps_per_execution=then))
    measured = measurement(loss=loss((4.0, 3.9, 3.8, 3.7)), model=ModelFingerprint(steps_per_execution=now))

    judgement = judge(measured, accepted, Limits())

    assert judgement.verdict is Verdict.PASSED
    assert not [check for check in judgement.checks if check.quantity == "loss_decrease"]
    (note,) = judgement.notes
    assert note.startswith(
        f"loss decrease was not compared: the baseline's is of {then} steps at a time, this one's of {now}"
    )
    assert judgement.changes == (f"steps_per_execution {then} → {now}",)


def test_losses_are_compared_where_the_baseline_does_not_know_its_steps_at_a_time():
    measured = measurement(loss=loss((4.0, 3.9, 3.8, 3.7)), model=ModelFingerprint(steps_per_execution=10))
    assert judge(measured, baseline(), Limits()).verdict is Verdict.REGRESSED


def test_baseline_that_fell_by_less_than_its_processes_were_apart_does_not_tell_that_it_must_fall():
    apart = baseline(loss=replace(loss((2.0, 1.99, 1.98, 1.97)), spread=0.05))
    assert judge(measurement(loss=loss((2.0, 2.0, 2.01, 2.0))), apart, Limits()).verdict is Verdict.PASSED
    assert judge(measurement(loss=loss((2.0, 2.05, 2.1, 2.15))), apart, Limits()).verdict is Verdict.UNHEALTHY


def test_loss_that_begins_at_zero_has_nothing_to_diverge_from():
    sparse = measurement(loss=loss_figures((0.0, 0.3, 0.0, 0.2)))
    assert judge(sparse, None, Limits(min_loss_decrease=-1)).verdict is Verdict.NO_BASELINE


@pytest.mark.parametrize(("decrease", "verdict"), [(0.25, Verdict.PASSED), (0.24, Verdict.REGRESSED)])
def test_loss_may_miss_as_much_as_the_processes_of_the_baseline_were_apart(decrease, verdict):
    accepted = baseline(loss=LossFigures(2.0, 1.2, 0.4, (2.0, 1.2), spread=0.15))
    judgement = judge(learning(decrease), accepted, Limits(loss_tolerance=0.3))
    assert judgement.verdict is verdict
    assert check(judgement, "loss_decrease").allowance == pytest.approx(0.375)


def test_loss_below_zero_may_fall_further():
    judgement = judge(measurement(loss=loss((-1.0, -2.0, -3.0, -4.0))), None, Limits())
    assert judgement.verdict is Verdict.NO_BASELINE


def test_loss_may_rise_as_far_as_the_least_decrease_allows():
    limits = Limits(min_loss_decrease=-5)
    assert judge(learning(-4.0, last=10.0), None, limits).verdict is Verdict.NO_BASELINE
    assert judge(learning(-4.0, last=12.1), None, limits).verdict is Verdict.UNHEALTHY


def test_unchanged_loss_decrease_is_as_good_as_its_rounded_baseline():
    accepted = baseline(loss=LossFigures(2.0, 1.0, 0.7754, (2.0, 1.0)))
    for exact in (0.77536, 0.77544):
        judgement = judge(learning(exact), accepted, Limits(loss_tolerance=0))
        assert check(judgement, "loss_decrease").verdict is Verdict.PASSED


def test_unchanged_loss_decrease_is_as_good_as_that_of_a_base():
    accepted = baseline(loss=LossFigures(2.0, 1.0, 0.77544, (2.0, 1.0)))
    judgement = judge(learning(0.77544), accepted, Limits(loss_tolerance=0))
    assert check(judgement, "loss_decrease").verdict is Verdict.PASSED


def test_loss_decrease_that_keeps_its_share_of_the_baselines_passes():
    judgement = judge(learning(0.35), baseline(loss=LossFigures(2, 1, 0.5, ())), Limits(loss_tolerance=0.3))
    assert judgement.verdict is Verdict.PASSED
    assert check(judgement, "loss_decrease").limit == pytest.approx(0.35)


def test_loss_decrease_that_misses_more_has_regressed():
    judgement = judge(learning(0.349), baseline(loss=LossFigures(2, 1, 0.5, ())), Limits(loss_tolerance=0.3))
    assert judgement.verdict is Verdict.REGRESSED
    assert judgement.reason == "loss decrease 34.9 %, allowed is at least 35 %"


def test_baseline_of_a_rising_loss_tolerates_a_little_more_rise():
    rising = baseline(loss=LossFigures(1, 1.1, -0.1, ()))
    limits = Limits(min_loss_decrease=-1, loss_tolerance=0.3)
    assert judge(learning(-0.13), rising, limits).verdict is Verdict.PASSED
    assert judge(learning(-0.131), rising, limits).verdict is Verdict.REGRESSED


def test_loss_that_is_not_finite_is_not_compared_with_the_baseline():
    judgement = judge(measurement(loss=loss((math.nan, 1.0))), baseline(), Limits())
    assert "loss_decrease" not in {check.quantity for check in judgement.checks}


# Memory and pace against the baseline


def test_peak_at_the_tolerance_passes():
    grown = measurement(memory=memory(1050))
    assert judge(grown, baseline(memory=memory(1000)), Limits(memory_tolerance=0.05)).verdict is Verdict.PASSED


def test_peak_beyond_the_tolerance_has_regressed():
    grown = measurement(memory=memory(1051))
    judgement = judge(grown, baseline(memory=memory(1000)), Limits(memory_tolerance=0.05))
    assert judgement.verdict is Verdict.REGRESSED
    found = check(judgement, "peak_memory")
    assert (found.measured, found.baseline, found.limit, found.allowance) == (1051, 1000, 1050, 0.05)


def paced(pace, low=None, high=None):
    return measurement(throughput=throughput(pace, pace_low=low, pace_high=high))


def test_pace_at_the_tolerance_passes():
    judgement = judge(paced(2.25), baseline(), Limits(throughput_tolerance=0.125))
    assert judgement.verdict is Verdict.PASSED


def test_pace_beyond_the_tolerance_has_regressed():
    measured = paced(2.26, 2.26, 2.3)
    judgement = judge(measured, baseline(), Limits(throughput_tolerance=0.125))
    assert judgement.verdict is Verdict.REGRESSED
    assert judgement.reason == "pace 2.26 yardsticks, allowed is at most 2.25 yardsticks"
    assert check(judgement, "pace").interval == interval(measured.throughput, baseline().throughput)


@pytest.mark.parametrize(("pace", "low", "high"), [(2.3, 1.9, 2.7), (2.2, 1.8, 2.6)])
def test_pace_known_too_poorly_for_its_limit_is_inconclusive_on_either_side(pace, low, high):
    judgement = judge(paced(pace, low, high), baseline(), Limits(throughput_tolerance=0.125))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "pace" in judgement.reason


UNSURE = {"pace": 2.3, "pace_low": 1.9, "pace_high": 2.7}


def doubt(**parts):
    return judge(measurement(**{"throughput": throughput(**UNSURE), **parts}), baseline(), Limits()).reason


def test_inconclusive_pace_names_its_spread_and_what_to_do():
    assert doubt() == (
        "pace 2.3 yardsticks is known to ±23.2 % only, the limit is 2.2 yardsticks; nothing else was seen at work; "
        "run it again; or set a larger throughput_tolerance"
    )


@pytest.mark.parametrize(
    ("parts", "seen", "cure"),
    [
        (
            {"throughput": throughput(**UNSURE, contention=Contention(0.42, 0.0))},
            "other programs used 42 % of the processor",
            "run it while the machine has less to do",
        ),
        (
            {"throughput": throughput(**UNSURE, contention=Contention(0.0, 0.12))},
            "other guests of the host took 12 % of the processor",
            "run it while the machine has less to do",
        ),
        ({"memory": memory(other_processes=2)}, "2 other processes were on the card", "run it while"),
        ({"memory": memory(other_processes=1)}, "another process was on the card", "run it while"),
        (
            {"throughput": throughput(**UNSURE, thermally_limited=True)},
            "the card slowed down for its temperature",
            "let it cool",
        ),
        ({"breakdown": breakdown(0.05, 0.1)}, "a step waits for data 50 % of its time", "cache or prefetch the data"),
    ],
)
def test_inconclusive_pace_names_what_was_seen_to_disturb_it(parts, seen, cure):
    reason = doubt(**parts)
    assert f"; {seen}; {cure}" in reason
    assert "nothing else" not in reason


def test_what_does_not_disturb_is_not_blamed():
    quiet = throughput(**UNSURE, contention=Contention(0.05, 0.05), thermally_limited=False)
    reason = doubt(throughput=quiet, memory=memory(other_processes=0), breakdown=breakdown(0.09, 0.1))
    assert "; nothing else was seen at work; run it again; " in reason


def test_cure_of_two_causes_is_named_once():
    reason = doubt(throughput=throughput(**UNSURE, contention=Contention(0.4, 0.1)))
    assert reason.count("less to do") == 1


def windows_apart(pace, low_end):
    """Return a pace whose interval begins at `low_end`, for the windows of its process are so far apart."""
    deviation = math.log(pace / low_end) / MARGIN
    return paced(pace, pace / math.exp(1.96 * deviation), pace * math.exp(1.96 * deviation))


@pytest.mark.parametrize(("low_end", "verdict"), [(2.001, Verdict.REGRESSED), (1.999, Verdict.INCONCLUSIVE)])
def test_breach_is_one_only_where_its_interval_excludes_that_nothing_changed(low_end, verdict):
    assert judge(windows_apart(2.5, low_end), baseline(), Limits(throughput_tolerance=0.125)).verdict is verdict


@pytest.mark.parametrize(("high_end", "verdict"), [(2.499, Verdict.PASSED), (2.501, Verdict.INCONCLUSIVE)])
def test_pass_is_one_only_where_its_interval_excludes_a_slowdown_of_twice_the_tolerance(high_end, verdict):
    measured = windows_apart(2.1, 2.1 * 2.1 / high_end)
    assert judge(measured, baseline(), Limits(throughput_tolerance=0.125)).verdict is verdict


def test_speed_is_judged_by_pace_so_that_a_slower_machine_fails_nothing():
    slow_machine = measurement(throughput=throughput(2.0, images_per_second=80.0))
    assert judge(slow_machine, baseline(), Limits()).verdict is Verdict.PASSED


def test_pace_in_another_yardstick_is_not_compared_and_says_so():
    newer = measurement(throughput=throughput(99.0, yardstick=2))
    judgement = judge(newer, baseline(), Limits())
    assert judgement.verdict is Verdict.PASSED
    assert "pace" not in {check.quantity for check in judgement.checks}
    (note,) = judgement.notes
    assert note == (
        "throughput was not compared: the baseline counts in yardstick 1, this version in 2; "
        "record it again with --batchguard-update"
    )


def test_what_either_side_lacks_is_not_compared():
    nothing = measurement(memory=None, throughput=None, loss=None)
    assert judge(nothing, baseline(), Limits(memory_budget=1, max_memory=1, min_throughput=1)).checks == ()
    judgement = judge(measurement(), baseline(memory=None, throughput=None, loss=None), Limits())
    assert {check.quantity for check in judgement.checks} == {
        "finite_loss",
        "min_loss_decrease",
        "diverged_loss",
        "largest_loss",
    }


@pytest.mark.parametrize(
    ("part", "what"), [("memory", "peak memory"), ("throughput", "throughput"), ("loss", "loss decrease")]
)
def test_part_that_the_baseline_lacks_is_told(part, what):
    (note,) = judge(measurement(), baseline(**{part: None}), Limits()).notes
    assert note == f"{what} was not compared: the baseline has none; record it again with --batchguard-update"


# Tolerance from the noise

NOISY = baseline(memory=memory(1000, spread=0.2), throughput=throughput(2.0, runs=(1.5, 1.8, 2.0, 2.2, 2.7)))


def test_noisy_baseline_widens_the_limits():
    slower = measurement(memory=memory(1200), throughput=throughput(2.2, runs=(2.2,) * 5))
    judgement = judge(slower, NOISY, Limits(throughput_tolerance=0.05))
    assert judgement.verdict is Verdict.PASSED
    assert check(judgement, "peak_memory").allowance == 0.2
    assert check(judgement, "pace").allowance == tolerated(0.05, NOISY.throughput) > 0.1


def test_noisy_baseline_has_an_end_to_its_limits():
    assert judge(measurement(memory=memory(1201)), NOISY, Limits()).verdict is Verdict.REGRESSED
    slow = measurement(memory=memory(1000), throughput=throughput(4.0))
    assert judge(slow, NOISY, Limits()).verdict is Verdict.REGRESSED


# A yardstick that an upgrade may have changed

OLD, NEW = Provenance(tensorflow="2.20.0", python="3.11"), Provenance(tensorflow="2.21.0", python="3.12")


def upgraded(images_per_second, provenance=NEW):
    slower = throughput(3.0, images_per_second)
    return judge(measurement(throughput=slower, provenance=provenance), baseline(recorded_with=OLD), Limits())


def test_slower_pace_after_an_upgrade_is_inconclusive_where_images_per_second_do_not_confirm_it():
    judgement = upgraded(800.0)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == (
        "pace 3 yardsticks is beyond its limit, 2.2 yardsticks, but the images per second are not, and the yardstick "
        "itself may have become faster (TensorFlow 2.20.0 → 2.21.0); record it again with --batchguard-update"
    )


def test_upgrade_is_told_beside_a_machine_in_another_state():
    slow = throughput(3.0, 800.0, handoff_seconds=4e-5)
    accepted = baseline(recorded_with=OLD, throughput=replace(baseline().throughput, handoff_seconds=2e-5))
    reason = judge(measurement(throughput=slow, provenance=NEW), accepted, Limits()).reason
    assert "TensorFlow 2.20.0 → 2.21.0" in reason
    assert reason.endswith(
        "; and the machine is in another state: waking a thread takes 0.04 ms, and took 0.02 ms when the baseline was "
        "recorded; run it again"
    )


def test_slower_pace_after_an_upgrade_has_regressed_where_images_per_second_confirm_it():
    assert upgraded(800.0 / 1.1).verdict is Verdict.REGRESSED


def test_what_does_not_compute_does_not_change_the_yardstick():
    assert upgraded(800.0, replace(OLD, python="3.13", commit="b")).verdict is Verdict.REGRESSED


# The worst wins


def test_not_fitting_beats_unhealthy():
    judgement = judge(learning(-1.0), None, Limits(memory_budget=1))
    assert judgement.verdict is Verdict.DOES_NOT_FIT
    assert len(judgement.breaches) == 2


def test_unhealthy_beats_regressed_and_tells_only_its_own_reason():
    judgement = judge(learning(-1.0), None, Limits(max_memory=1))
    assert judgement.verdict is Verdict.UNHEALTHY
    assert "memory" not in judgement.reason


def test_regressed_beats_inconclusive():
    both = measurement(memory=memory(1000 * MIB), throughput=throughput(2.3, pace_low=1.9, pace_high=2.7))
    assert judge(both, baseline(), Limits()).verdict is Verdict.REGRESSED


def test_two_breaches_of_one_verdict_are_both_named():
    both = measurement(memory=memory(1000 * MIB), throughput=throughput(3.0))
    assert judge(both, baseline(), Limits()).reason == (
        "peak memory 1000 MiB, allowed is at most 105 MiB; pace 3 yardsticks, allowed is at most 2.2 yardsticks"
    )


@pytest.mark.parametrize(("spike", "verdict"), [(2e5, Verdict.PASSED), (2.1e5, Verdict.UNHEALTHY)])
def test_loss_that_exploded_on_its_way_is_unhealthy_wherever_it_ends(spike, verdict):
    curve = (2.0, spike, -1.0, 1.0)
    judgement = judge(measurement(loss=LossFigures(2.0, 1.0, 0.5, curve)), baseline(loss=None), Limits())
    assert judgement.verdict is verdict
    assert ("largest loss" in judgement.reason) is (verdict is Verdict.UNHEALTHY)


# Notes


def test_pace_as_much_better_as_the_tolerance_is_not_yet_improved():
    assert judge(paced(1.75), baseline(), Limits(throughput_tolerance=0.125)).notes == ()


def test_pace_better_than_the_tolerance_is_a_pass_with_a_note():
    judgement = judge(paced(1.5), baseline(), Limits(throughput_tolerance=0.125))
    assert judgement.verdict is Verdict.PASSED
    assert judgement.notes == ("improved: pace is 25 % better than the baseline, which is stale",)


def test_pace_is_not_noted_as_improved_where_threads_woke_slowly_when_the_baseline_was_recorded():
    slow = baseline(throughput=throughput(2.0, handoff_seconds=1.2))
    usual = measurement(throughput=throughput(1.5, handoff_seconds=1.0))
    assert judge(usual, slow, Limits(throughput_tolerance=0.125)).notes == ()


def test_pace_that_may_be_no_better_is_not_noted_as_improved():
    sure, unsure = windows_apart(1.7, 1.7 * 1.7 / 1.999), windows_apart(1.7, 1.7 * 1.7 / 2.001)
    assert "improved" in judge(sure, baseline(), Limits()).notes[0]
    assert judge(unsure, baseline(), Limits()).notes == ()


def test_peak_as_much_better_as_the_tolerance_is_not_yet_improved():
    assert (
        judge(measurement(memory=memory(750)), baseline(memory=memory(1000)), Limits(memory_tolerance=0.25)).notes == ()
    )


def test_peak_better_than_the_tolerance_is_a_pass_with_a_note():
    judgement = judge(measurement(memory=memory(749)), baseline(memory=memory(1000)), Limits(memory_tolerance=0.25))
    assert judgement.verdict is Verdict.PASSED
    assert judgement.notes == ("improved: peak memory is 25.1 % better than the baseline, which is stale",)


def test_pace_in_another_yardstick_has_not_improved():
    notes = judge(measurement(throughput=throughput(0.1, yardstick=2)), baseline(), Limits()).notes
    assert not any("improved" in note for note in notes)


def test_warm_up_that_had_not_settled_is_noted():
    unsettled = measurement(throughput=throughput(settled=False))
    assert judge(unsettled, baseline(), Limits()).notes == (
        "the warm-up had not settled when measuring began; raise `warmup`",
    )


def test_retracing_is_noted():
    assert judge(measurement(retraces=2), baseline(), Limits()).notes == (
        "the training function was traced again 2 times in steady state",
    )
    assert judge(measurement(retraces=0), baseline(), Limits()).notes == ()


def test_waiting_for_data_more_than_a_fifth_of_the_step_is_noted_as_input_bound():
    judgement = judge(measurement(breakdown=breakdown(0.05, 0.1)), baseline(), Limits())
    assert judgement.notes == ("input-bound: 50 % of each step waits for data (model alone 50 ms, step 100 ms)",)


def test_waiting_for_data_up_to_a_fifth_of_the_step_is_not_noted():
    assert judge(measurement(breakdown=breakdown(0.75, 0.9375)), baseline(), Limits()).notes == ()


def test_notes_of_the_measurement_come_first():
    noted = measurement(notes=("the card is shared",), retraces=1)
    assert judge(noted, baseline(), Limits()).notes[0] == "the card is shared"


def test_what_changed_since_the_baseline_comes_with_the_judgement():
    accepted = full_baseline()
    measured = measurement(
        memory=accepted.memory,
        throughput=accepted.throughput,
        loss=accepted.loss,
        model=ModelFingerprint(parameters=8_000_000),
    )
    assert judge(measured, accepted, Limits()).changes == ("parameters 3,989,285 → 8,000,000",)


def test_measurement_of_nothing_at_all_is_not_compared():
    empty = Measurement(32, measurement().image_size)
    assert judge(empty, None, Limits()).verdict is Verdict.NO_BASELINE


def test_peak_close_below_the_budget_is_noted_as_tight():
    judgement = judge(measurement(memory=memory(951)), baseline(memory=memory(951)), Limits(memory_budget=1000))
    assert judgement.verdict is Verdict.PASSED
    assert judgement.notes == ("tight: the peak is 95.1 % of the budget",)


def test_peak_further_below_the_budget_is_not_tight():
    assert judge(measurement(memory=memory(950)), baseline(memory=memory(950)), Limits(memory_budget=1000)).notes == ()


def test_other_processes_on_the_card_are_noted():
    shared = measurement(memory=memory(other_processes=2, device_used_bytes=3 * 2**30))
    assert judge(shared, baseline(), Limits()).notes == (
        "2 other processes are on the device, 3 GiB are in use in all",
    )
    alone = measurement(memory=memory(other_processes=0, device_used_bytes=3 * 2**30))
    assert judge(alone, baseline(), Limits()).notes == ()
