"""Measurement + baseline + limits → verdict. Pure: knows neither files, processes nor frameworks.

The order is the order in which an engineer asks: did it run, does it fit, does it learn, does it keep the limits
that the project set, and is it as good as the baseline of this device. The verdict is the worst of the answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_batchguard.core.checks import against, at_least, at_most
from pytest_batchguard.core.clock import denies_improvement, faster_yardstick, slower_yardstick
from pytest_batchguard.core.explain import explain_changes, explain_slowdown
from pytest_batchguard.core.figures import INPUT_BOUND, LossFigures, ThroughputFigures
from pytest_batchguard.core.learning import check_decrease, check_learning, is_finite, leaves_learning_open
from pytest_batchguard.core.model import Baseline, Check, Failure, Judgement, Limits, Measurement, Verdict
from pytest_batchguard.core.noise import (
    handoff_ratio,
    hands_over_slowly,
    interval,
    loss_reach,
    tolerated,
    tolerated_memory,
)
from pytest_batchguard.core.quantities import QUANTITIES
from pytest_batchguard.core.units import format_bytes, format_percent, format_seconds

_WORST_FIRST = (
    Verdict.BROKEN,
    Verdict.DOES_NOT_FIT,
    Verdict.UNHEALTHY,
    Verdict.REGRESSED,
    Verdict.INCONCLUSIVE,
    Verdict.NO_BASELINE,
    Verdict.PASSED,
)
_DISTURBING = 0.05
_TIGHT = 0.95
_RECORD_AGAIN = "record it again with --batchguard-update"


def judge(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Judgement:
    """Return the verdict over one measurement.

    Args:
        measurement: What one run of the case yielded.
        baseline: The accepted values of the case on this device; `None` where there are none.
        limits: The policy.
    """
    if measurement.failure is not None:
        return _judge_failure(measurement.failure, measurement.notes, limits)
    checks = (*_absolute_checks(measurement, baseline, limits), *_baseline_checks(measurement, baseline, limits))
    verdicts = {check.verdict for check in checks} | {Verdict.PASSED if baseline else Verdict.NO_BASELINE}
    verdict = next(verdict for verdict in _WORST_FIRST if verdict in verdicts)
    return Judgement(
        verdict=verdict,
        checks=checks,
        reason=_reason(verdict, checks, measurement, baseline, limits),
        notes=(*_notes(measurement, baseline, limits), *_improvements(measurement, baseline, limits)),
        changes=explain_changes(baseline, measurement) if baseline else (),
    )


def _judge_failure(failure: Failure, notes: tuple[str, ...], limits: Limits) -> Judgement:
    if not failure.is_out_of_memory:
        return Judgement(Verdict.BROKEN, reason=failure.message, notes=notes)
    budget = "" if limits.memory_budget is None else f"; the budget is {format_bytes(limits.memory_budget)}"
    return Judgement(Verdict.DOES_NOT_FIT, reason=failure.message + budget, notes=notes)


def _absolute_checks(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Iterator[Check]:
    memory, throughput, loss = measurement.memory, measurement.throughput, measurement.loss
    if memory and limits.memory_budget is not None:
        yield at_most("budget", memory.peak_bytes, limits.memory_budget, Verdict.DOES_NOT_FIT)
    accepted = _comparable_loss(measurement, baseline)
    if loss:
        yield from check_learning(loss, accepted, limits)
    elif throughput and ((baseline and baseline.loss) or limits.min_loss_decrease > 0):
        yield at_least("finite_loss", 0, 1, Verdict.UNHEALTHY)
    if memory and limits.max_memory is not None:
        yield at_most("max_memory", memory.peak_bytes, limits.max_memory, Verdict.REGRESSED)
    if throughput and limits.min_throughput is not None:
        yield at_least("min_throughput", throughput.images_per_second, limits.min_throughput, Verdict.REGRESSED)


def _baseline_checks(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Iterator[Check]:
    if baseline is None:
        return
    if measurement.memory and baseline.memory:
        yield against(
            "peak_memory",
            measurement.memory.peak_bytes,
            baseline.memory.peak_bytes,
            tolerated_memory(limits.memory_tolerance, baseline.memory),
        )
    measured, accepted = measurement.throughput, baseline.throughput
    if measured and accepted and measured.yardstick == accepted.yardstick:
        unconfirmed = bool(faster_yardstick(measurement, baseline, limits))
        yield _pace_check(measured, accepted, limits, unconfirmed=unconfirmed)
    accepted_loss = _comparable_loss(measurement, baseline)
    if measurement.loss and accepted_loss and is_finite(measurement.loss) and is_finite(accepted_loss):
        yield check_decrease(measurement.loss, accepted_loss, limits)


def _comparable_loss(measurement: Measurement, baseline: Baseline | None) -> LossFigures | None:
    """Return the baseline's loss, unless it is known to be of another number of steps at a time than the measured."""
    if baseline is None:
        return None
    then, now = baseline.model.steps_per_execution, measurement.model.steps_per_execution
    return None if then and now and then != now else baseline.loss


def _pace_check(
    measured: ThroughputFigures, accepted: ThroughputFigures, limits: Limits, *, unconfirmed: bool
) -> Check:
    """Hold the pace against its limit: a breach must exclude that nothing changed, a pass twice the tolerance.

    Nor is it a breach where the machine wakes threads more slowly than it did when the baseline was recorded, as far as
    that explains it (`handoff_ratio`), or where a faster yardstick may.
    """
    allowance = tolerated(limits.throughput_tolerance, accepted)
    check = against("pace", measured.pace, accepted.pace, allowance)
    low, high = interval(measured, accepted)
    breaches = check.verdict is Verdict.REGRESSED
    is_known = low > accepted.pace if breaches else high < accepted.pace * (1 + 2 * allowance)
    wakes_slowly = measured.pace <= check.limit * handoff_ratio(measured, accepted.handoff_seconds)
    is_explained = breaches and (wakes_slowly or unconfirmed)
    verdict = check.verdict if is_known and not is_explained else Verdict.INCONCLUSIVE
    return Check("pace", measured.pace, check.limit, verdict, accepted.pace, allowance, (low, high))


def _reason(
    verdict: Verdict,
    checks: tuple[Check, ...],
    measurement: Measurement,
    baseline: Baseline | None,
    limits: Limits,
) -> str:
    if verdict is Verdict.PASSED:
        return ""
    if verdict is Verdict.INCONCLUSIVE:
        doubtful = next(check for check in checks if check.verdict is verdict)
        return _doubt(doubtful, measurement, baseline, limits)
    if verdict is Verdict.NO_BASELINE:
        return "nothing was compared: this case has no baseline on this device"
    phrases = []
    for check in checks:
        if check.verdict is verdict:
            quantity = QUANTITIES[check.quantity]
            bounds = ("less than", "more than") if check.excludes_its_limit else ("at most", "at least")
            bound = bounds[0] if quantity.lower_is_better else bounds[1]
            phrases.append(
                f"{quantity.label} {quantity.format(check.measured)}, allowed is {bound} {quantity.format(check.limit)}"
            )
            if check.quantity == "pace" and baseline:
                phrases.append(explain_slowdown(baseline, measurement))
    return "; ".join(filter(None, phrases))


def _doubt(check: Check, measurement: Measurement, baseline: Baseline | None, limits: Limits) -> str:
    """Return which pace is known too poorly, what was seen to disturb it, and what to do."""
    _, high = check.interval or (check.measured, check.measured)
    form = QUANTITIES["pace"].format
    state = _other_state(measurement.throughput, baseline.throughput if baseline else None)
    faster = faster_yardstick(measurement, baseline, limits) if baseline else ""
    if check.measured > check.limit and (state or faster):
        beyond = f"pace {form(check.measured)} is beyond its limit, {form(check.limit)}, but "
        unconfirmed = faster and f"the images per second are not, and {faster}; {_RECORD_AGAIN}"
        return beyond + "; and ".join(filter(None, (unconfirmed, state and f"{state}; run it again")))
    reach = format_percent(high / check.measured - 1)
    known = f"pace {form(check.measured)} is known to ±{reach} only, the limit is {form(check.limit)}"
    disturbances = tuple(_disturbances(measurement))
    seen = [what for what, _ in disturbances] or ["nothing else was seen at work"]
    cures = dict.fromkeys(cure for _, cure in disturbances)
    return "; ".join((known, *seen, " and ".join(cures) or "run it again", "or set a larger throughput_tolerance"))


def _other_state(measured: ThroughputFigures | None, accepted: ThroughputFigures | None) -> str:
    """Return by what the machine shows to be in another state than when the baseline was recorded, if it does."""
    took, takes = (figures.handoff_seconds if figures else None for figures in (accepted, measured))
    if measured is None or took is None or takes is None or not hands_over_slowly(measured, took):
        return ""
    return (
        f"the machine is in another state: waking a thread takes {format_seconds(takes)}, and took "
        f"{format_seconds(took)} when the baseline was recorded"
    )


def _disturbances(measurement: Measurement) -> Iterator[tuple[str, str]]:
    """Yield what was measured beside the training and may have made its pace uneven, each with its cure."""
    throughput, memory, breakdown = measurement.throughput, measurement.memory, measurement.breakdown
    contention = throughput.contention if throughput else None
    quiet = "run it while the machine has less to do"
    if contention and contention.others_share > _DISTURBING:
        yield f"other programs used {format_percent(contention.others_share)} of the processor", quiet
    if contention and contention.stolen_share > _DISTURBING:
        yield f"other guests of the host took {format_percent(contention.stolen_share)} of the processor", quiet
    if memory and memory.other_processes:
        yield f"{_others(memory.other_processes, 'was', 'were')} on the card", quiet
    if throughput and throughput.thermally_limited:
        yield "the card slowed down for its temperature", "let it cool"
    if breakdown and breakdown.waiting_share > INPUT_BOUND:
        yield (
            f"a step waits for data {format_percent(breakdown.waiting_share)} of its time",
            "cache or prefetch the data",
        )


def _others(count: int, one: str, many: str) -> str:
    """Return how many other processes, with the verb that goes with one or with many."""
    return f"another process {one}" if count == 1 else f"{count} other processes {many}"


def _notes(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Iterator[str]:
    yield from measurement.notes
    memory = measurement.memory
    if memory and limits.memory_budget and memory.peak_bytes > _TIGHT * limits.memory_budget:
        yield f"tight: the peak is {format_percent(memory.peak_bytes / limits.memory_budget)} of the budget"
    if memory and memory.other_processes:
        held = f", {format_bytes(memory.device_used_bytes)} are in use in all" if memory.device_used_bytes else ""
        yield f"{_others(memory.other_processes, 'is', 'are')} on the device{held}"
    if measurement.retraces:
        yield f"the training function was traced again {measurement.retraces} times in steady state"
    loss = measurement.loss
    if loss and leaves_learning_open(loss, _comparable_loss(measurement, baseline), limits):
        yield (
            f"the loss decrease of {format_percent(loss.decrease)} is less than its noise from batch to batch, "
            f"±{format_percent(loss_reach(loss))}: whether it learns was not told; raise `steps`"
        )
    throughput, breakdown = measurement.throughput, measurement.breakdown
    if throughput and not throughput.settled:
        yield "the warm-up had not settled when measuring began; raise `warmup`"
    if breakdown and breakdown.waiting_share > INPUT_BOUND:
        yield (
            f"input-bound: {format_percent(breakdown.waiting_share)} of each step waits for data "
            f"(model alone {format_seconds(breakdown.model_seconds)}, step {format_seconds(breakdown.step_seconds)})"
        )
    if baseline:
        yield from _not_compared(measurement, baseline)
        if hidden := slower_yardstick(measurement, baseline, limits):
            yield hidden
    accepted = baseline.throughput if baseline else None
    if throughput and accepted and throughput.yardstick != accepted.yardstick:
        yield (
            f"throughput was not compared: the baseline counts in yardstick {accepted.yardstick}, "
            f"this version in {throughput.yardstick}; {_RECORD_AGAIN}"
        )


def _not_compared(measurement: Measurement, baseline: Baseline) -> Iterator[str]:
    """Yield what was measured and has no baseline though the case has one."""
    if measurement.loss and baseline.loss and not _comparable_loss(measurement, baseline):
        yield (
            f"loss decrease was not compared: the baseline's is of {baseline.model.steps_per_execution} steps at a "
            f"time, this one's of {measurement.model.steps_per_execution} (steps_per_execution); {_RECORD_AGAIN}"
        )
    pairs = {
        "peak memory": (measurement.memory, baseline.memory),
        "throughput": (measurement.throughput, baseline.throughput),
        "loss decrease": (measurement.loss, baseline.loss),
    }
    for what, (measured, accepted) in pairs.items():
        if measured and not accepted:
            yield f"{what} was not compared: the baseline has none; {_RECORD_AGAIN}"


def _improvements(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Iterator[str]:
    if baseline is None:
        return
    pairs = []
    if measurement.memory and baseline.memory:
        allowance = tolerated_memory(limits.memory_tolerance, baseline.memory)
        pairs.append(("peak memory", measurement.memory.peak_bytes / baseline.memory.peak_bytes, allowance))
    measured, accepted = measurement.throughput, baseline.throughput
    if measured and accepted and measured.yardstick == accepted.yardstick:
        allowance = tolerated(limits.throughput_tolerance, accepted)
        _, high = interval(measured, accepted)
        doubtful = hands_over_slowly(accepted, measured.handoff_seconds)
        if high < accepted.pace and not doubtful and not denies_improvement(measurement, accepted, limits):
            pairs.append(("pace", measured.pace / accepted.pace, allowance))
    for label, ratio, allowance in pairs:
        if ratio < 1 - allowance:
            yield f"improved: {label} is {format_percent(1 - ratio)} better than the baseline, which is stale"
