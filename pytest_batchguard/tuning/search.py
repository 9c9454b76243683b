"""The largest batch that fits, found in few trainings: every probe says where to look next.

After every probe the line of peak memory is drawn anew and read where it reaches the limit; see `memory_line`. What
remains is to bracket the boundary: the answer is always a size that was trained, and the smallest size that failed
lies close above it.
"""

from __future__ import annotations

import math

from pytest_batchguard.tuning.memory_line import Probe, size_that_fills

PRECISION = 0.02
"""How far the largest size that fits may lie above the answer, as a fraction of it, or one image where that is more."""

_EXACT_BELOW = 10
"""Smaller answers are exact: one image is much of them."""

_WIDE = 2.0
"""A bracket whose upper end is so many times its lower end says little: then its geometric middle is next."""

_NARROW = 2.2
"""A bracket of at most so many precisions wants one probe more, in its middle."""


class SizeSearch:
    """Says which size to try next, and when the boundary is known.

    Args:
        start: The size to try first.
        limit_bytes: What the allocator may hand out, or an estimate of it.
        multiple: Every size tried is a multiple of it, the answer too.

    Attributes:
        most: The largest size that makes sense, as the data has no more images; `None` where it is not known.
        beyond_data: The smallest size that the data was seen to fill no batch of; `None` where none was.
    """

    def __init__(self, start: int, limit_bytes: int, *, multiple: int = 1) -> None:
        self._limit_bytes = limit_bytes
        self._multiple = multiple
        self.most: int | None = None
        self.beyond_data: int | None = None
        self._start = start
        self._probes: list[Probe] = []
        self._surprises = 0

    def add(self, probe: Probe) -> None:
        """Take what came of a size."""
        is_surprise = bool(self._fits) and probe.fits and probe.batch_size > self._predicted()
        self._surprises = self._surprises + 1 if is_surprise else 0
        self._probes.append(probe)

    @property
    def smallest_failing(self) -> int | None:
        """The smallest size that ran out of memory; `None` where none did."""
        return min((probe.batch_size for probe in self._probes if not probe.fits), default=None)

    @property
    def largest(self) -> Probe | None:
        """The largest size that trained, below every size that did not; `None` where none did."""
        return max(self._fits, key=lambda probe: probe.batch_size, default=None)

    @property
    def trainings(self) -> int:
        """How many probes were taken."""
        return len(self._probes)

    def next_size(self) -> int | None:
        """Return the size to try next; `None` where the boundary is known, or nothing is left to try."""
        low = self.largest.batch_size if self.largest else 0
        high = self._ceiling()
        step = self._widest(low)
        if high - low <= step:
            return None
        wanted = self._wanted(low, step) if low else self._smaller()
        return self._rounded(wanted, low, high)

    def _widest(self, low: float) -> int:
        """Return how far above a size that fits the smallest one that does not may lie at the end."""
        tolerated = max(int(low * PRECISION), 1 if low >= _EXACT_BELOW else 0)
        return max(self._multiple, 1 + tolerated)

    @property
    def _fits(self) -> list[Probe]:
        failing = self.smallest_failing
        return [probe for probe in self._probes if probe.fits and (failing is None or probe.batch_size < failing)]

    def _ceiling(self) -> int:
        """Return the smallest size, a multiple, that is not to be tried."""
        bounds = [self.smallest_failing, self.beyond_data]
        if self.most is not None:
            bounds.append(self.most // self._multiple * self._multiple + self._multiple)
        return min((bound for bound in bounds if bound is not None), default=2**62)

    def _smaller(self) -> float:
        """Return a size below all that failed, or the first one of all."""
        failing = self.smallest_failing or self.beyond_data
        return self._start if failing is None else failing / 4

    def _wanted(self, low: int, step: int) -> float:
        """Return where the boundary most likely is or, where that is known already, what brackets it."""
        predicted = self._predicted()
        failing = self.smallest_failing
        if failing is None:
            beyond = self.beyond_data
            return math.sqrt(low * beyond) if beyond else max(predicted, low + step * 2.0**self._surprises)
        gap = failing - low
        if gap <= _NARROW * step:
            return low + gap / 2
        if low + step <= predicted <= failing - step:
            return predicted
        if failing > _WIDE * low:
            return math.sqrt(low * failing)
        if predicted < low + step:
            return low + min(gap / 2, step * 2.0**self._surprises)
        # If that size fits, it is the answer.
        back = self._widest(failing * (1 - PRECISION))
        return failing - min(gap / 2, back * 2.0 ** (self._failures - 1))

    @property
    def _failures(self) -> int:
        """How many of the last probes failed, without a fit between them."""
        return next((place for place, probe in enumerate(reversed(self._probes)) if probe.fits), len(self._probes))

    def _predicted(self) -> float:
        return size_that_fills(self._limit_bytes, self._fits)

    def _rounded(self, wanted: float, low: int, high: int) -> int:
        """Return `wanted` as a multiple strictly between the bounds."""
        size = int(wanted) // self._multiple * self._multiple
        return max(low + self._multiple, min(size, high - self._multiple))
