"""Statistics of few, noisy figures: medians, spreads, intervals, and whether a warm-up has settled."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from statistics import fmean, median

_RESAMPLES = 1000
_UNSETTLED = 1.25
_NORMAL_QUARTILE = 0.6745
"""Of the absolute values of a normal variable of unit variance, half lie below."""


def relative_spread(values: Sequence[float]) -> float:
    """Return (largest − smallest) ÷ median; zero where all are alike."""
    width = max(values) - min(values)
    return width / median(values) if width else 0.0


def median_interval(
    values: Sequence[float], *, together: int = 1, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return a bootstrap percentile interval of the median.

    Args:
        values: At least one figure.
        together: How many in a row depend on one another; they are resampled as one.
        confidence: The share of resampled medians inside the interval.
        seed: Of the resampling, so that one set of figures always has one interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    chance = random.Random(seed)  # noqa: S311 -- resampling, not secrecy
    blocks = [values[begin : begin + together] for begin in range(0, len(values), together)]
    resamples = (chance.choices(blocks, k=len(blocks)) for _ in range(_RESAMPLES))
    medians = sorted(median(itertools.chain.from_iterable(resample)) for resample in resamples)
    tail = (1 - confidence) / 2
    return medians[int(tail * _RESAMPLES)], medians[min(_RESAMPLES - 1, math.ceil((1 - tail) * _RESAMPLES) - 1)]


def has_settled(paces: Sequence[float]) -> bool:
    """Return whether the first window is no slower than the rest by more than a quarter.

    Args:
        paces: Step time in yardsticks of each window after the warm-up, in the order measured.
    """
    if len(paces) < 3:  # noqa: PLR2004 -- fewer windows show no trend
        return True
    return paces[0] <= _UNSETTLED * median(paces[1:])


def quarter_means(values: Sequence[float]) -> tuple[float, float]:
    """Return the means of the first and of the last quarter, each of at least one value."""
    quarter = _quarter(values)
    return fmean(values[:quarter]), fmean(values[-quarter:])


def scatter(values: Sequence[float]) -> float:
    """Return the standard deviation of values around their trend; zero of fewer than three.

    It is taken from how far each value lies from the line between its neighbours, and by the median of these, so that
    neither a steady fall nor a single jump counts.

    Source: Gasser, Sroka and Jennen-Steinmetz (1986), doi:10.1093/biomet/73.3.625, of which the median is the robust
    form.
    """
    bends = [
        abs(before - 2 * value + after) for before, value, after in zip(values, values[1:], values[2:], strict=False)
    ]
    return median(bends) / (_NORMAL_QUARTILE * math.sqrt(6)) if bends else 0.0


def quarters_error(values: Sequence[float]) -> float:
    """Return the standard error of the difference between the means of the first and the last quarter."""
    return scatter(values) * math.sqrt(2 / _quarter(values))


def _quarter(values: Sequence[float]) -> int:
    return max(1, len(values) // 4)
