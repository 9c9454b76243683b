"""How well a pace or a loss is known.

Two processes that run the same program differ in pace, and what one of them says proves little. Paces are compared by
their logarithms, since noise is a share of a pace. All paces of a case tell of its noise, those that its baseline was
made of and those that are judged, together with what is usual: few of them say little.

A loss differs from batch to batch. Over a few steps of few images that may be more than what is learned. Two trainings
on the same batches from the same weights are told apart all the same: by the difference of their curves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, median

from pytest_batchguard.core.figures import LossFigures, MemoryFigures, ThroughputFigures
from pytest_batchguard.core.statistics import quarters_error
from pytest_batchguard.core.units import round_significant

MOST_ATTEMPTS = 5
"""Fresh measurements of one case before a verdict falls."""

USUAL_NOISE = 0.03
"""Standard deviation of a pace over fresh processes of one program, as a share; see docs/noise.md."""

USUAL_NOISE_WEIGHT = 2
"""How many paces' worth of evidence that is. Source: Smyth (2004), doi:10.2202/1544-6115.1027, section 3."""

MARGIN = 2.33
"""Standard errors from a figure to either end of its interval: 1 % of all lie further to that side."""

SLOW_HANDOFF = 0.1
"""By how much longer waking another thread may take: from there on the machine is in another state."""

MOST_BY_HANDOFF = 1.3
"""By how much slower a pace may be for that, however much longer it takes; see docs/noise.md for what was seen."""

_WINDOWS_MARGIN = 1.96
"""The same of the interval that the windows of one process give, beyond which lie 2.5 %."""


def tolerated(asked: float, accepted: ThroughputFigures) -> float:
    """Return the effective tolerance of throughput: the asked one, or what the baseline's noise supports if larger.

    That is how far the interval of `MOST_ATTEMPTS` paces reaches where they are as noisy as the baseline's.
    """
    error = _noise([accepted.runs]) * math.sqrt(1 / MOST_ATTEMPTS + _variances(accepted))
    return max(asked, math.expm1(MARGIN * error))


def tolerated_memory(asked: float, accepted: MemoryFigures) -> float:
    """Return the effective tolerance of the peak: the asked one, or the baseline's own spread where that is larger."""
    return max(asked, accepted.spread or 0.0)


def middle(paces: Sequence[float]) -> float:
    """Return the geometric mean of the paces, of five and more without the highest and the lowest fifth."""
    ordered = sorted(map(math.log, paces))
    cut = len(ordered) // 5
    return math.exp(fmean(ordered[cut : len(ordered) - cut]))


def interval(measured: ThroughputFigures, accepted: ThroughputFigures) -> tuple[float, float]:
    """Return the interval of a measured pace, as wide as its own noise and that of what it is held against ask for.

    Args:
        measured: Of one attempt, or of several taken together.
        accepted: The baseline's.
    """
    paces = measured.runs or (measured.pace,)
    noise = max(_noise([paces, accepted.runs]), _within(measured) * math.sqrt(len(paces)))
    error = noise * math.sqrt(1 / len(paces) + _variances(accepted))
    reach = math.exp(MARGIN * error)
    return measured.pace / reach, measured.pace * reach


def handoff_ratio(figures: ThroughputFigures, usual: float | None) -> float:
    """Return how many times longer a step may take as waking another thread did; 1 unless that took clearly longer."""
    if figures.handoff_seconds is None or usual is None:
        return 1.0
    ratio = figures.handoff_seconds / usual
    return min(ratio, MOST_BY_HANDOFF) if ratio > 1 + SLOW_HANDOFF else 1.0


def hands_over_slowly(figures: ThroughputFigures, usual: float | None) -> bool:
    """Return whether waking another thread took clearly longer than usual, in seconds; false where it is not known."""
    return handoff_ratio(figures, usual) > 1


def of_usual_state(figures: Sequence[ThroughputFigures], usual: float | None = None) -> list[ThroughputFigures]:
    """Return the figures beside which threads woke one another as fast as usual, or all of them.

    Args:
        figures: Of several processes.
        usual: Seconds a wake-up. Where it is `None` it is the least of the figures' own, and most have to agree.
    """
    fewest = 1 if usual is not None else len(figures) // 2 + 1
    if usual is None:
        usual = min((each.handoff_seconds for each in figures if each.handoff_seconds is not None), default=None)
    kept = [each for each in figures if not hands_over_slowly(each, usual)]
    return kept if len(kept) >= fewest else list(figures)


def usual_of(handoffs: Iterable[float | None]) -> float | None:
    """Return the median of those that are known."""
    known = [each for each in handoffs if each is not None]
    return median(known) if known else None


def counted_in(measured: ThroughputFigures, base: ThroughputFigures) -> ThroughputFigures:
    """Return figures with their pace counted in another's, both having been taken in one yardstick.

    Its interval is as wide as the errors of a quotient are: the squares of both add up.
    """
    pace = measured.pace / base.pace
    reach = math.exp(_WINDOWS_MARGIN * math.hypot(_within(measured), _within(base)))
    return replace(measured, pace=pace, pace_low=pace / reach, pace_high=pace * reach)


def loss_reach(loss: LossFigures) -> float:
    """Return how far a loss decrease may be from what it would be with other batches, as its own curve tells it."""
    return MARGIN * quarters_error(loss.curve) / abs(loss.first) if loss.first else 0.0


def reach_apart(loss: LossFigures, accepted: LossFigures) -> float:
    """Return how far two loss decreases may be apart although both trainings learn alike.

    That is the noise of both. Where they began at the same loss they had the same weights and the same batches, whose
    noise is in both curves and not in their difference.
    """
    apart = math.hypot(loss_reach(loss), loss_reach(accepted))
    if not _begin_alike(loss.curve, accepted.curve) or not accepted.first:
        return apart
    differences = [mine - theirs for mine, theirs in zip(loss.curve, accepted.curve, strict=True)]
    return min(apart, MARGIN * quarters_error(differences) / abs(accepted.first))


def clearly_falls(loss: LossFigures) -> bool:
    """Return whether a loss falls by more than other batches could make of it."""
    return loss.decrease > loss_reach(loss)


def _begin_alike(curve: Sequence[float], accepted: Sequence[float]) -> bool:
    """Return whether two curves are of as many steps and have the same first loss, rounded as a stored one is."""
    if not curve or len(curve) != len(accepted):
        return False
    return round_significant(curve[0]) == round_significant(accepted[0])


def _noise(groups: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation of a pace, as a share, from groups of paces of one program each."""
    squares = USUAL_NOISE_WEIGHT * USUAL_NOISE**2
    degrees = USUAL_NOISE_WEIGHT
    for paces in filter(None, groups):
        logs = list(map(math.log, paces))
        squares += sum((each - fmean(logs)) ** 2 for each in logs)
        degrees += len(logs) - 1
    return math.sqrt(squares / degrees)


def _variances(accepted: ThroughputFigures) -> float:
    """Return what the baseline adds, in variances of one pace; nothing where it is the yardstick itself."""
    return 1 / len(accepted.runs) if accepted.runs else 0.0


def _within(figures: ThroughputFigures) -> float:
    """Return the standard error of a pace as its windows tell it, as a share."""
    if figures.pace_low is None or figures.pace_high is None:
        return 0.0
    return math.log(figures.pace_high / figures.pace_low) / (2 * _WINDOWS_MARGIN)
