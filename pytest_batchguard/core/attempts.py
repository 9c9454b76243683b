"""Several attempts at one case, each in a fresh process, and what they come to together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from pytest_batchguard.core.judge import judge, tolerated
from pytest_batchguard.core.model import Baseline, Check, Judgement, Limits, Measurement, Verdict
from pytest_batchguard.core.quantities import NOISY_QUANTITIES

MOST_ATTEMPTS = 3
"""Fresh measurements of one case before a verdict falls."""

_ALARMS = {Verdict.REGRESSED, Verdict.INCONCLUSIVE}
_FINE = {Verdict.PASSED, Verdict.NO_BASELINE}
_AGREEING = 2
_SUSPICIOUS = 0.5


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
        judgement: The verdict over the case.
    """

    place: int
    measurement: Measurement
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
    return accepted.pace * (1 + _SUSPICIOUS * tolerated(limits.throughput_tolerance, accepted.spread))


def wants_another_attempt(judgements: Sequence[Judgement]) -> bool:
    """Return whether a fresh process should measure the case again before a verdict falls.

    The majority of three attempts decides: the median of three figures errs less than one of them, in either
    direction. So not only a breach is measured again, but also a pace that has used up half of what is tolerated.
    Two attempts that agree are enough. The loss of a seeded run does not change by trying.
    """
    last = judgements[-1]
    if len(judgements) == 1:
        return _is_noisy_alarm(last) or (last.verdict is Verdict.PASSED and any(map(_is_suspicious, last.checks)))
    noisy = _is_noisy_alarm(last) or last.verdict in _FINE
    return noisy and len(judgements) < MOST_ATTEMPTS and not _confirmed(judgements) and not _cleared(judgements)


def conclude(attempts: Sequence[Attempted], limits: Limits) -> Conclusion:
    """Return what all attempts at a case, at least one, come to together.

    It is `regressed` where two attempts breached the same limit and `passed` where two breached none. Where no two
    agree, because each for itself is known too poorly, they are judged as one measurement; see `taken_together`.
    What is not measured again stands as it is.
    """
    judgements = [attempt.judgement for attempt in attempts]
    last = judgements[-1]
    if len(attempts) == 1 or not (_is_noisy_alarm(last) or last.verdict in _FINE):
        return _standing(attempts, len(attempts) - 1)
    confirmed, cleared = _confirmed(judgements), _cleared(judgements)
    for place in reversed(range(len(attempts))):
        is_confirmed = bool(confirmed & _regressed_quantities(judgements[place]))
        if is_confirmed or (not confirmed and cleared and judgements[place].verdict in _FINE):
            return _standing(attempts, place)
    place, measurement = taken_together([attempt.measurement for attempt in attempts])
    return Conclusion(place, measurement, judge(measurement, attempts[place].baseline, limits))


def taken_together(measurements: Sequence[Measurement]) -> tuple[int, Measurement]:
    """Return the place of the measurement with the middle pace, and that one with the figures of all.

    Peak, pace and images per second are medians. The interval of the pace reaches as far as theirs on average,
    divided by the square root of their number, since they are independent.
    """
    order = sorted(range(len(measurements)), key=lambda place: _pace(measurements[place]))
    place = order[len(order) // 2]
    middle = measurements[place]
    memory = middle.memory
    if memory is not None:
        peaks = [each.memory.peak_bytes for each in measurements if each.memory is not None]
        memory = replace(memory, peak_bytes=int(median(peaks)))
    throughput = middle.throughput
    if throughput is not None:
        figures = [each.throughput for each in measurements if each.throughput is not None]
        shrink = math.sqrt(len(figures))
        below = fmean(each.pace - (each.pace if each.pace_low is None else each.pace_low) for each in figures)
        above = fmean((each.pace if each.pace_high is None else each.pace_high) - each.pace for each in figures)
        throughput = replace(
            throughput,
            pace_low=throughput.pace - below / shrink,
            pace_high=throughput.pace + above / shrink,
            images_per_second=median(each.images_per_second for each in figures),
        )
    return place, replace(middle, memory=memory, throughput=throughput)


def _standing(attempts: Sequence[Attempted], place: int) -> Conclusion:
    return Conclusion(place, attempts[place].measurement, attempts[place].judgement)


def _pace(measurement: Measurement) -> float:
    return measurement.throughput.pace if measurement.throughput is not None else 0.0


def _is_noisy_alarm(judgement: Judgement) -> bool:
    noisy = all(check.quantity in NOISY_QUANTITIES for check in judgement.breaches)
    return judgement.verdict in _ALARMS and noisy


def _is_suspicious(check: Check) -> bool:
    if check.quantity != "pace" or check.baseline is None or check.allowance is None:
        return False
    return check.measured > check.baseline * (1 + _SUSPICIOUS * check.allowance)


def _cleared(judgements: Sequence[Judgement]) -> bool:
    return sum(judgement.verdict in _FINE for judgement in judgements) >= _AGREEING


def _confirmed(judgements: Sequence[Judgement]) -> set[str]:
    counts = Counter(quantity for judgement in judgements for quantity in _regressed_quantities(judgement))
    return {quantity for quantity, count in counts.items() if count >= _AGREEING}


def _regressed_quantities(judgement: Judgement) -> set[str]:
    return {check.quantity for check in judgement.checks if check.verdict is Verdict.REGRESSED}
