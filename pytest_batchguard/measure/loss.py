"""The loss at every step, from whatever the training reports."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_batchguard.core.figures import LossFigures
from pytest_batchguard.core.statistics import quarter_means


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
    """Return first and last quarter and the decrease between them, relative to the first.

    Args:
        curve: The loss of every step, at least one.
    """
    first, last = quarter_means(curve)
    decrease = (first - last) / abs(first) if first else 0.0
    return LossFigures(first=first, last=last, decrease=decrease, curve=tuple(curve))
