"""The loss at every step, from whatever the training reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_batchguard.core.figures import LossFigures
from pytest_batchguard.core.statistics import quarter_means, relative_decrease


def undo_running_mean(means: Sequence[float]) -> list[float]:
    """Return the values whose running mean is `means`, all weighted alike.

    Keras reports the mean since the epoch began: with n values so far, value n is n·mean(n) − (n−1)·mean(n−1).
    """
    values = []
    previous_total = 0.0
    for count, mean in enumerate(means, 1):
        values.append(count * mean - previous_total)
        previous_total = count * mean
    return values


def loss_figures(curve: Sequence[float]) -> LossFigures:
    """Return first and last quarter and the decrease between them, relative to the first; nan where any is not finite.

    Args:
        curve: The loss of every step, at least one.
    """
    if not all(map(math.isfinite, curve)):
        return LossFigures(math.nan, math.nan, math.nan, tuple(curve))
    first, last = quarter_means(curve)
    return LossFigures(first, last, relative_decrease(first, last), tuple(curve))
