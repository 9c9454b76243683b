"""Several attempts at one case, each in a fresh process, and what they come to together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from pytest_batchguard.core.figures import LossFigures, MemoryFigures, ThroughputFigures
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Baseline, Check, Judgement, Limits, Measurement, Verdict
from pytest_batchguard.core.noise import MOST_ATTEMPTS, middle, of_usual_state, tolerated, usual_of
from pytest_batchguard.core.quantities import LOSS_DECREASES, NOISY_QUANTITIES
from pytest_batchguard.core.units import round_significant

FEWEST_TO_FAIL = 3
"""Attempts behind a breach of what varies, unless two put a pace beyond its limit for certain."""

_ALARMS = {Verdict.UNHEALTHY, Verdict.REGRESSED, Verdict.INCONCLUSIVE}
_FINE = {Verdict.PASSED, Verdict.NO_BASELINE}
_FEWEST_IF_CERTAIN = 2
_SUSPICIOUS = 0.5
_LARGEST_SPREAD = 0.5
"""Of a base's decreases, as a share of the middle one: the rest is held against the head, whatever they do."""


@dataclass(frozen=True)
class Attempted:
    """One attempt, judged by itself.

    Attributes:
        measurement: What it yielded.
        baseline: What it was held against; `None` where there was nothing.
        judgement: What it comes to alone.
    """

    measurement: Measurement
    baseline: Baseline | None
    judgement: Judgement


@dataclass(frozen=True)
class Conclusion:
    """What the attempts come to together.

    Attributes:
        place: Of the attempt that it speaks of.
        measurement: That attempt's, or all of them taken together.
        baseline: What it was held against: that attempt's, or those of all of them taken together.
        judgement: The verdict over the case.
    """

    place: int
    measurement: Measurement
    baseline: Baseline | None
    judgement: Judgement


def good_pace(baseline: Baseline | None, limits: Limits, yardstick: int) -> float:
    """Return the pace up to which a case passes without being measured again; infinite where nothing is compared.

    It is zero where the images per second are held against a limit of the marker, which takes a good figure of them.

    Args:
        baseline: What the case is held against; `None` where there is nothing.
        limits: The policy.
        yardstick: The version that the case's pace will be counted in.
    """
    if limits.min_throughput is not None:
        return 0.0
    accepted = baseline.throughput if baseline is not None else None
    if accepted is None or accepted.yardstick != yardstick:
        return math.inf
    return accepted.pace * (1 + _SUSPICIOUS * tolerated(limits.throughput_tolerance, accepted))


def wants_another_attempt(attempts: Sequence[Attempted], limits: Limits) -> bool:
    """Return whether a fresh process should measure the case again before a verdict falls.

    Not only a breach is measured again, but also a pace that has used up half of what is tolerated, or is known too
    poorly. It takes `FEWEST_TO_FAIL` attempts, judged together, to call a case regressed, two where the whole interval
    of its pace lies beyond the limit. A loss decrease that is the same in every process does not change by trying.
    """
    if _stands(attempts) or len(attempts) == MOST_ATTEMPTS:
        return False
    return bool(_open_checks(conclude(attempts, limits), len(attempts)))


def conclude(attempts: Sequence[Attempted], limits: Limits) -> Conclusion:
    """Return what all attempts at a case, at least one, come to together: judged as one measurement.

    What is not measured again stands as it is. All of them count for the pace where each is a regression by itself,
    however the machine woke threads beside it, or where the last attempt is made and too few count to call it one.
    """
    if _stands(attempts):
        last = attempts[-1]
        return Conclusion(len(attempts) - 1, last.measurement, last.baseline, last.judgement)
    accepted = attempts[-1].baseline
    usual = accepted.throughput.handoff_seconds if accepted is not None and accepted.throughput else None
    if all(_is_slower(attempt) for attempt in attempts):
        return _conclude(attempts, limits, None, is_beyond_handoff=True)
    conclusion = _conclude(attempts, limits, usual)
    is_last = len(attempts) == MOST_ATTEMPTS
    if is_last and any(check.verdict is Verdict.REGRESSED for check in _open_checks(conclusion, len(attempts))):
        return _conclude(attempts, limits, None)
    return conclusion


def taken_together(measurements: Sequence[Measurement], usual_handoff: float | None = None) -> tuple[int, Measurement]:
    """Return the place of the measurement that is nearest to the middle pace, and that one with the figures of all.

    The peak is the smallest: the order of operations differs from process to process, and what the allocator wastes on
    the way is added to what the training needs. Images per second are the median, the loss is the one with the median
    decrease, the pace is the middle of all; its interval reaches as far as theirs on average, divided by the square
    root of their number, since they are independent. Where the machine woke threads slowly beside some of them, these
    do not count for the pace.

    Args:
        measurements: At least one.
        usual_handoff: Seconds a wake-up when the baseline was recorded; `None` where that is not known.
    """
    every = [each.throughput for each in measurements if each.throughput is not None]
    figures = of_usual_state(every, usual_handoff) if usual_handoff is not None else every
    rate = median(each.images_per_second for each in every) if every else 0.0
    pace = middle([each.pace for each in figures]) if figures else 0.0
    distances = [
        abs(math.log(each.throughput.pace / pace)) if each.throughput and each.throughput in figures else math.inf
        for each in measurements
    ]
    place = distances.index(min(distances))
    nearest = measurements[place]
    peak = _smallest_peak(each.memory for each in measurements)
    return place, replace(
        nearest,
        memory=replace(nearest.memory, peak_bytes=peak) if nearest.memory else None,
        throughput=replace(_throughput_together(nearest.throughput, pace, figures), images_per_second=rate)
        if nearest.throughput
        else None,
        loss=median_loss(each.loss for each in measurements),
    )


def median_loss(losses: Iterable[LossFigures | None]) -> LossFigures | None:
    """Return the one with the median decrease, of an even number the lower one; `None` where there are none."""
    known = sorted((each for each in losses if each is not None), key=lambda each: each.decrease)
    return known[(len(known) - 1) // 2] if known else None


def is_noisy_alarm(
    judgement: Judgement, losses: Sequence[LossFigures | None], accepted: LossFigures | None = None
) -> bool:
    """Return whether another process may say otherwise: nothing but figures that vary is breached.

    Args:
        judgement: Over the last process.
        losses: Of all processes so far. Where their decreases are alike, one more will not differ.
        accepted: The baseline's, which may know that they never do.
    """
    varying = NOISY_QUANTITIES - LOSS_DECREASES if _learn_alike(losses, accepted) else NOISY_QUANTITIES
    noisy = all(check.quantity in varying for check in judgement.breaches)
    return judgement.verdict in _ALARMS and noisy


def _conclude(
    attempts: Sequence[Attempted], limits: Limits, usual_handoff: float | None, *, is_beyond_handoff: bool = False
) -> Conclusion:
    place, measurement = taken_together([attempt.measurement for attempt in attempts], usual_handoff)
    judged = measurement
    if is_beyond_handoff and measurement.throughput is not None:
        judged = replace(measurement, throughput=replace(measurement.throughput, handoff_seconds=None))
    accepted = _accepted_together(attempts, place)
    return Conclusion(place, measurement, accepted, judge(judged, accepted, limits))


def _open_checks(conclusion: Conclusion, attempts: int) -> list[Check]:
    """Return the figures that may still become another verdict."""
    throughput = conclusion.measurement.throughput
    paces = max(1, len(throughput.runs)) if throughput else 0  # fewer than the attempts, where some do not count
    return [
        check
        for check in conclusion.judgement.checks
        if _is_open(check, paces if check.quantity == "pace" else attempts)
    ]


def _smallest_peak(figures: Iterable[MemoryFigures | None]) -> int:
    return min((each.peak_bytes for each in figures if each is not None), default=0)


def _accepted_together(attempts: Sequence[Attempted], place: int) -> Baseline | None:
    """Return the baseline at `place` with the smallest peak, the median rate and the median loss decrease of all.

    A base that is measured with every attempt varies as the head does; how far its decreases are apart is known then.
    """
    accepted = attempts[place].baseline
    if accepted is None or all(each.baseline == accepted for each in attempts):
        return accepted
    every = [each.baseline for each in attempts if each.baseline is not None]
    peak = _smallest_peak(each.memory for each in every)
    rates = [each.throughput.images_per_second for each in every if each.throughput is not None]
    return replace(
        accepted,
        throughput=replace(accepted.throughput, images_per_second=median(rates)) if accepted.throughput else None,
        memory=replace(accepted.memory, peak_bytes=peak) if accepted.memory else None,
        loss=_accepted_loss([each.loss for each in every if each.loss is not None]) if accepted.loss else None,
    )


def _accepted_loss(losses: Sequence[LossFigures]) -> LossFigures | None:
    typical = median_loss(losses)
    if typical is None or typical.spread is not None:
        return typical
    decreases = [round_significant(each.decrease) for each in losses]
    spread = min(max(decreases) - min(decreases), _LARGEST_SPREAD * abs(typical.decrease))
    return replace(typical, spread=spread)


def _throughput_together(
    nearest: ThroughputFigures, pace: float, figures: Sequence[ThroughputFigures]
) -> ThroughputFigures:
    if len(figures) == 1:
        return nearest
    shrink = math.sqrt(len(figures))
    below = fmean(math.log(each.pace / (each.pace_low or each.pace)) for each in figures)
    above = fmean(math.log((each.pace_high or each.pace) / each.pace) for each in figures)
    return replace(
        nearest,
        pace=pace,
        pace_low=pace * math.exp(-below / shrink),
        pace_high=pace * math.exp(above / shrink),
        handoff_seconds=usual_of(each.handoff_seconds for each in figures),
        runs=tuple(each.pace for each in figures),
    )


def _stands(attempts: Sequence[Attempted]) -> bool:
    """Return whether the last attempt says what does not change by trying."""
    last = attempts[-1]
    losses = [attempt.measurement.loss for attempt in attempts]
    accepted = last.baseline.loss if last.baseline is not None else None
    return not (is_noisy_alarm(last.judgement, losses, accepted) or last.judgement.verdict in _FINE)


def _is_slower(attempt: Attempted) -> bool:
    return any(check.quantity == "pace" and check.verdict is Verdict.REGRESSED for check in attempt.judgement.checks)


def _learn_alike(losses: Sequence[LossFigures | None], accepted: LossFigures | None) -> bool:
    if accepted is not None and accepted.spread == 0:
        return True
    decreases = {round_significant(each.decrease) for each in losses if each is not None}
    return len(losses) > 1 and len(decreases) == 1


def _is_open(check: Check, attempts: int) -> bool:
    """Return whether a figure of all attempts together may still become another verdict."""
    if check.quantity not in NOISY_QUANTITIES:
        return False
    if check.verdict.fails and check.quantity in LOSS_DECREASES:
        return attempts < FEWEST_TO_FAIL or attempts % 2 == 0  # of an even number none is the middle
    if check.verdict.fails:
        is_certain = check.interval is not None and check.interval[0] > check.limit
        return attempts < (_FEWEST_IF_CERTAIN if is_certain else FEWEST_TO_FAIL)
    if check.quantity != "pace" or check.baseline is None or check.allowance is None:
        return False
    is_suspicious = check.measured > check.baseline * (1 + _SUSPICIOUS * check.allowance)
    return is_suspicious or check.verdict is Verdict.INCONCLUSIVE
