"""Does it learn? A loss, against what any loss must do and against the baseline's, as far as its noise allows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_batchguard.core.checks import at_least, at_most
from pytest_batchguard.core.figures import LossFigures
from pytest_batchguard.core.model import Check, Limits, Verdict
from pytest_batchguard.core.noise import clearly_falls, loss_reach, reach_apart
from pytest_batchguard.core.statistics import quarter_means, scatter
from pytest_batchguard.core.units import round_significant

_FEWEST_LOSSES = 4
"""A curve of fewer has no quarters; no training that is measured is so short."""

_MARGIN_OF_ONE_BATCH = 3.5
"""Standard errors from a batch's loss to what it may be by chance: small ones are likelier than the normal law has it.
The squared errors of 1, 2, 4 and 8 images are lower in 3.2, 1.7, 0.9 and 0.3 % of curves, by simulation."""

_EXPLODED = 1e5
"""Growth of the loss from which on Keras's running mean, in float32, shows nothing of a loss like the first."""


def loss_figures(curve: Sequence[float]) -> LossFigures:
    """Return first and last quarter and the decrease between them, relative to the first; nan where any is not finite.

    Args:
        curve: The loss of every step, at least one.
    """
    if not all(map(math.isfinite, curve)):
        return LossFigures(math.nan, math.nan, math.nan, tuple(curve))
    first, last = quarter_means(curve)
    decrease = (first - last) / abs(first) if first else 0.0
    return LossFigures(first, last, decrease, tuple(curve))


def check_learning(loss: LossFigures, accepted: LossFigures | None, limits: Limits) -> Iterator[Check]:
    """Hold a loss against what every loss must do: be finite, fall, and not explode on its way.

    Args:
        loss: Of one measurement.
        accepted: The baseline's; `None` where there is none.
        limits: The policy.
    """
    finite = sum(map(math.isfinite, loss.curve))
    yield at_least("finite_loss", finite, len(loss.curve), Verdict.UNHEALTHY)
    if finite < len(loss.curve):
        return
    least = _least_decrease(loss, accepted, limits)
    learns = loss.decrease > 0 or least < 0
    check = at_least("min_loss_decrease", loss.decrease, least, Verdict.UNHEALTHY)
    yield check if learns else replace(check, verdict=Verdict.UNHEALTHY)
    # A loss that exploded at once falls ever after; it is held against the untrained model's too.
    untrained = abs(loss.curve[0])
    rise = max(1.0, -limits.min_loss_decrease, _rise_by_chance(loss.curve[1:])) * untrained
    if untrained:
        yield at_most("diverged_loss", loss.last, loss.curve[0] + rise, Verdict.UNHEALTHY)
        yield at_most("largest_loss", max(map(abs, loss.curve)), _EXPLODED * untrained, Verdict.UNHEALTHY)


def check_decrease(loss: LossFigures, accepted: LossFigures, limits: Limits) -> Check:
    """Hold the decrease of a finite loss against the baseline's, over as many steps as both took."""
    loss, accepted = _over_common_steps(loss, accepted)
    decrease = round_significant(accepted.decrease)
    allowed = _tolerated_decrease(loss, accepted, limits)
    measured = round_significant(loss.decrease)  # as a stored baseline's is
    check = at_least("loss_decrease", measured, decrease - allowed, Verdict.REGRESSED)
    allowance = allowed / abs(decrease) if decrease else 0.0
    return replace(check, baseline=decrease, allowance=allowance)


def is_finite(loss: LossFigures) -> bool:
    """Return whether the loss was a number at every step."""
    return all(map(math.isfinite, loss.curve))


def leaves_learning_open(loss: LossFigures, accepted: LossFigures | None, limits: Limits) -> bool:
    """Return whether a loss neither falls nor rises by more than its noise, and nothing else tells.

    The baseline's tells where one that stands still would miss more of its decrease than is tolerated.
    """
    if limits.min_loss_decrease or not is_finite(loss):
        return False
    if accepted is not None:
        mine, theirs = _over_common_steps(loss, accepted)
        if theirs.decrease > _tolerated_decrease(mine, theirs, limits):
            return False
    return abs(loss.decrease) < -_least_decrease(loss, accepted, limits)


def _rise_by_chance(later: Sequence[float]) -> float:
    """Return by which share the loss may rise from the first batch to the last because the first has a small one.

    It varies by as large a factor as the later ones.
    """
    logarithms = [math.log(abs(each)) for each in later if each]
    return math.expm1(min(_MARGIN_OF_ONE_BATCH * scatter(logarithms), math.log(_EXPLODED)))


def _over_common_steps(loss: LossFigures, accepted: LossFigures) -> tuple[LossFigures, LossFigures]:
    return _over(loss, len(accepted.curve)), _over(accepted, len(loss.curve))


def _over(loss: LossFigures, steps: int) -> LossFigures:
    """Return the figures of the first steps alone; of all where there are no more, or these are too few to tell."""
    if not _FEWEST_LOSSES <= steps < len(loss.curve):
        return loss
    return replace(loss_figures(loss.curve[:steps]), spread=loss.spread)


def _least_decrease(loss: LossFigures, accepted: LossFigures | None, limits: Limits) -> float:
    """Return by how much a loss must fall: at all, unless more is asked for, or less than its own noise would hide it.

    Where the baseline's fell beyond doubt over no more steps, and by more than its processes were apart, it must fall
    at all.
    """
    if accepted is not None:
        accepted = _over(accepted, len(loss.curve))
    is_told = accepted is not None and clearly_falls(accepted) and accepted.decrease > (accepted.spread or 0.0)
    return limits.min_loss_decrease if limits.min_loss_decrease or is_told else -loss_reach(loss) or 0.0


def _tolerated_decrease(loss: LossFigures, accepted: LossFigures, limits: Limits) -> float:
    """Return by how much less than the baseline's a loss may fall.

    That is the tolerance, or how far the baseline's own processes were apart. Where that one's loss did not fall beyond
    doubt, noise may hide that much more was learned, of which the tolerance is a share, and may put the two apart.
    """
    decrease = abs(round_significant(accepted.decrease))
    apart = accepted.spread or 0.0
    if not clearly_falls(accepted):
        decrease = max(decrease, accepted.decrease + loss_reach(accepted))
        apart = max(apart, reach_apart(loss, accepted))
    return max(decrease * limits.loss_tolerance, apart)
