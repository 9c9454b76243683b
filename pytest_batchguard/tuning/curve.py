"""Where throughput stops growing with the batch size.

The plateau begins where doubling the batch gains less than 5 %, as in DeepSpeed's autotuning. A gain is read from the
throughput in yardsticks, so that the machine's drift between two sizes cancels.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from pytest_batchguard.core.tuning import SpeedPoint

PLATEAU_GAIN = 0.05
"""A doubling that gains less is not worth it."""

_SMALLEST = 8
_CLOSEST = 1.5
"""Two sizes are at least so many times apart: closer, their difference is noise."""

_BEYOND = 2
"""Doublings timed beyond the plateau, so that one bad minute does not end the curve."""


def sizes(largest: int, declared: Collection[int] = (), multiple: int = 1) -> list[int]:
    """Return the sizes to time: doubling from 8 up, the declared ones, the largest that fits.

    Args:
        largest: The largest that fits.
        declared: Sizes to compare with; a doubling that is close to one gives way to it.
        multiple: Every other size is a multiple of it.
    """
    wanted = {largest, *declared}
    size = -(-min(_SMALLEST, largest) // multiple) * multiple
    while size < largest:
        if all(max(size, other) >= _CLOSEST * min(size, other) for other in wanted):
            wanted.add(size)
        size *= 2
    return sorted(wanted)


def plateau(points: Sequence[SpeedPoint]) -> int | None:
    """Return the smallest size from which no larger one gains 5 % a doubling; `None` where throughput still grows.

    Every larger size is compared with it, and not each with the one before: a size that happened to be timed in a bad
    minute would make the next one look like a gain.

    Args:
        points: By size.
    """
    for place, point in enumerate(points[:-1]):
        if all(gain_a_doubling(point, larger) < PLATEAU_GAIN for larger in points[place + 1 :]):
            return point.batch_size
    return None


def is_enough(points: Sequence[SpeedPoint]) -> bool:
    """Return whether the curve has been flat for so long that larger sizes need not be timed."""
    start = plateau(points)
    return start is not None and sum(point.batch_size > start for point in points) >= _BEYOND


def gain_a_doubling(smaller: SpeedPoint, larger: SpeedPoint) -> float:
    """Return the gain in throughput for each doubling between two sizes, as a fraction."""
    gain = larger.images_per_yardstick / smaller.images_per_yardstick
    doublings = math.log2(larger.batch_size / smaller.batch_size)
    return float(gain ** (1 / doublings)) - 1
