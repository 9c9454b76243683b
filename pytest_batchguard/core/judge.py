"""Measurement + baseline + limits → verdict. Pure: knows neither files, processes nor frameworks.

The order is the order in which an engineer asks: did it run, does it fit, does it learn, does it keep the limits
that the project set, and is it as good as the baseline of this device. The verdict is the worst of the answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_batchguard.core.explain import explain_changes, explain_slowdown
from pytest_batchguard.core.figures import INPUT_BOUND, LossFigures, MemoryFigures, ThroughputFigures
from pytest_batchguard.core.model import Baseline, Check, Failure, Judgement, Limits, Measurement, Verdict
from pytest_batchguard.core.noise import (
    MARGIN,
    clearly_falls,
    handoff_ratio,
    hands_over_slowly,
    interval,
    loss_reach,
    tolerated,
)
from pytest_batchguard.core.quantities import QUANTITIES
from pytest_batchguard.core.statistics import scatter
from pytest_batchguard.core.units import format_bytes, format_percent, format_seconds, round_significant

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
_EXPLODED = 1e5
"""Growth of the loss from which on Keras's running mean, in float32, shows nothing of a loss like the first."""
_TIGHT = 0.95


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
        reason=_reason(verdict, checks, measurement, baseline),
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
        yield _at_most("budget", memory.peak_bytes, limits.memory_budget, Verdict.DOES_NOT_FIT)
    if loss:
        yield from _loss_checks(loss, baseline.loss if baseline else None, limits)
    if memory and limits.max_memory is not None:
        yield _at_most("max_memory", memory.peak_bytes, limits.max_memory, Verdict.REGRESSED)
    if throughput and limits.min_throughput is not None:
        yield _at_least("min_throughput", throughput.images_per_second, limits.min_throughput, Verdict.REGRESSED)


def _loss_checks(loss: LossFigures, accepted: LossFigures | None, limits: Limits) -> Iterator[Check]:
    finite = sum(map(math.isfinite, loss.curve))
    yield _at_least("finite_loss", finite, len(loss.curve), Verdict.UNHEALTHY)
    if finite < len(loss.curve):
        return
    least = _least_decrease(loss, accepted, limits)
    learns = loss.decrease > 0 or least < 0
    check = _at_least("min_loss_decrease", loss.decrease, least, Verdict.UNHEALTHY)
    yield check if learns else Check(check.quantity, check.measured, check.limit, Verdict.UNHEALTHY)
    # A loss that exploded at once falls ever after; it is held against the untrained model's too, which is one batch's.
    untrained = abs(loss.curve[0])
    rise = max(1.0, -limits.min_loss_decrease) * untrained + MARGIN * scatter(loss.curve[1:])
    yield _at_most("diverged_loss", loss.last, loss.curve[0] + rise, Verdict.UNHEALTHY)
    if untrained:
        yield _at_most("largest_loss", max(map(abs, loss.curve)), _EXPLODED * untrained, Verdict.UNHEALTHY)


def _least_decrease(loss: LossFigures, accepted: LossFigures | None, limits: Limits) -> float:
    """Return by how much a loss must fall: at all, unless more is asked for, or less than its own noise would hide it.

    Where the baseline's fell beyond doubt it must fall at all, noise or not.
    """
    is_told = accepted is not None and clearly_falls(accepted)
    return limits.min_loss_decrease if limits.min_loss_decrease or is_told else -loss_reach(loss) or 0.0


def _tolerated_decrease(loss: LossFigures, accepted: LossFigures, limits: Limits) -> float:
    """Return by how much less than the baseline's a loss may fall.

    That is the tolerance, or how far the baseline's own processes were apart, or, where that one's loss did not fall
    beyond doubt, the noise of both.
    """
    doubt = 0.0 if clearly_falls(accepted) else math.hypot(loss_reach(loss), loss_reach(accepted))
    return max(abs(round_significant(accepted.decrease)) * limits.loss_tolerance, accepted.spread or 0.0, doubt)


def _baseline_checks(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Iterator[Check]:
    if baseline is None:
        return
    if measurement.memory and baseline.memory:
        yield _against(
            "peak_memory",
            measurement.memory.peak_bytes,
            baseline.memory.peak_bytes,
            _tolerated_memory(limits, baseline.memory),
        )
    measured, accepted = measurement.throughput, baseline.throughput
    if measured and accepted and measured.yardstick == accepted.yardstick:
        yield _pace_check(measured, accepted, limits)
    if measurement.loss and baseline.loss and all(map(math.isfinite, measurement.loss.curve)):
        decrease = round_significant(baseline.loss.decrease)
        allowed = _tolerated_decrease(measurement.loss, baseline.loss, limits)
        measured_decrease = round_significant(measurement.loss.decrease)  # as a stored baseline's is
        check = _at_least("loss_decrease", measured_decrease, decrease - allowed, Verdict.REGRESSED)
        allowance = allowed / abs(decrease) if decrease else 0.0
        yield Check(check.quantity, check.measured, check.limit, check.verdict, decrease, allowance)


def _pace_check(measured: ThroughputFigures, accepted: ThroughputFigures, limits: Limits) -> Check:
    """Hold the pace against its limit: a breach must exclude that nothing changed, a pass twice the tolerance.

    Nor is it a breach where the machine wakes threads more slowly than it did when the baseline was recorded, as far as
    that explains it: a step takes longer in proportion at the most.
    """
    allowance = tolerated(limits.throughput_tolerance, accepted)
    check = _against("pace", measured.pace, accepted.pace, allowance)
    low, high = interval(measured, accepted)
    breaches = check.verdict is Verdict.REGRESSED
    is_known = low > accepted.pace if breaches else high < accepted.pace * (1 + 2 * allowance)
    is_explained = breaches and measured.pace <= check.limit * handoff_ratio(measured, accepted.handoff_seconds)
    verdict = check.verdict if is_known and not is_explained else Verdict.INCONCLUSIVE
    return Check("pace", measured.pace, check.limit, verdict, accepted.pace, allowance, (low, high))


def _tolerated_memory(limits: Limits, accepted: MemoryFigures) -> float:
    """Return the effective tolerance: the asked one, or the baseline's own spread where that is larger."""
    return max(limits.memory_tolerance, accepted.spread or 0.0)


def _at_most(quantity: str, measured: float, limit: float, breach: Verdict) -> Check:
    return Check(quantity, measured, limit, Verdict.PASSED if measured <= limit else breach)


def _at_least(quantity: str, measured: float, limit: float, breach: Verdict) -> Check:
    return Check(quantity, measured, limit, Verdict.PASSED if measured >= limit else breach)


def _against(quantity: str, measured: float, accepted: float, allowance: float) -> Check:
    limit = accepted * (1 + allowance)
    verdict = Verdict.PASSED if measured <= limit else Verdict.REGRESSED
    return Check(quantity, measured, limit, verdict, accepted, allowance)


def _reason(verdict: Verdict, checks: tuple[Check, ...], measurement: Measurement, baseline: Baseline | None) -> str:
    if verdict is Verdict.PASSED:
        return ""
    if verdict is Verdict.INCONCLUSIVE:
        return _doubt(next(check for check in checks if check.verdict is verdict), measurement, baseline)
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


def _doubt(check: Check, measurement: Measurement, baseline: Baseline | None) -> str:
    """Return which pace is known too poorly, what was seen to disturb it, and what to do."""
    _, high = check.interval or (check.measured, check.measured)
    form = QUANTITIES["pace"].format
    state = _other_state(measurement.throughput, baseline.throughput if baseline else None)
    if check.measured > check.limit and state:
        return f"pace {form(check.measured)} is beyond its limit, {form(check.limit)}, but {state}; run it again"
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
    if loss and _leaves_learning_open(loss, baseline.loss if baseline else None, limits):
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
    accepted = baseline.throughput if baseline else None
    if throughput and accepted and throughput.yardstick != accepted.yardstick:
        yield (
            f"throughput was not compared: the baseline counts in yardstick {accepted.yardstick}, "
            f"this version in {throughput.yardstick}; record it again with --batchguard-update"
        )


def _leaves_learning_open(loss: LossFigures, accepted: LossFigures | None, limits: Limits) -> bool:
    """Return whether a loss neither falls nor rises by more than its noise, and nothing else tells."""
    if limits.min_loss_decrease or not all(map(math.isfinite, loss.curve)):
        return False
    return abs(loss.decrease) < -_least_decrease(loss, accepted, limits)


def _improvements(measurement: Measurement, baseline: Baseline | None, limits: Limits) -> Iterator[str]:
    if baseline is None:
        return
    pairs = []
    if measurement.memory and baseline.memory:
        allowance = _tolerated_memory(limits, baseline.memory)
        pairs.append(("peak memory", measurement.memory.peak_bytes / baseline.memory.peak_bytes, allowance))
    measured, accepted = measurement.throughput, baseline.throughput
    if measured and accepted and measured.yardstick == accepted.yardstick:
        allowance = tolerated(limits.throughput_tolerance, accepted)
        _, high = interval(measured, accepted)
        if high < accepted.pace and not hands_over_slowly(accepted, measured.handoff_seconds):
            pairs.append(("pace", measured.pace / accepted.pace, allowance))
    for label, ratio, allowance in pairs:
        if ratio < 1 - allowance:
            yield f"improved: {label} is {format_percent(1 - ratio)} better than the baseline, which is stale"
