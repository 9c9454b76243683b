"""The loss at every step, from whatever the training reports."""

from __future__ import annotations

from collections.abc import Sequence


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
