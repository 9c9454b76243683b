"""The largest batch that fits, found in few trainings: every probe says where to look next.

Peak memory grows with the batch size in a near straight line, from what is held between the steps (weights,
optimizer slots) up to what the allocator can hand out. After every probe the line is drawn anew and read where it
reaches the limit. What remains is to bracket the boundary: the answer is always a size that was trained, and the
smallest size that failed lies close above it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PRECISION = 0.02
"""How far the smallest failing size may lie above the answer, as a fraction of it."""

_USABLE = 0.95
"""Share of the limit at which an allocator's pool usually has no room left in one piece."""

_FIRST_STEP = 0.85
"""Share of the way there that a line through one probe alone is followed: it knows little of workspaces."""

_FAR_STEP = 0.7
"""The same of a line through two probes that leads to more than twice the larger one: peaks do not grow evenly."""

_APART = 0.8
"""Two probes make a line where the smaller one is at most this share of the larger: closer, noise decides its slope."""

_DOUBT = 0.15
"""How far below a size that failed the next one lies, as a share of the way down to the largest that fits; twice as
far with each failure in a row, up to half of it."""

_FAR = 2.0
"""A size so many times the largest that fits was a mere guess where it failed: then the geometric middle is next."""

_WIDEN = 2
"""How much further the bracket reaches with each fit that was not expected: close to the limit the allocator wastes
less, so that a peak no longer says what is needed."""


@dataclass(frozen=True)
class Probe:
    """One training at one batch size.

    Attributes:
        batch_size: Images in a batch.
        fits: Whether it trained; out of memory otherwise.
        peak_bytes: The allocator's peak; `None` where it did not fit.
        held_bytes: In use between two steps: weights, optimizer slots; `None` where it did not fit.
    """

    batch_size: int
    fits: bool
    peak_bytes: int | None = None
    held_bytes: int | None = None


class SizeSearch:
    """Says which size to try next, and when the boundary is known.

    Args:
        start: The size to try first.
        limit_bytes: What the allocator may hand out, or an estimate of it.
        multiple: Every size tried is a multiple of it, the answer too.

    Attributes:
        most: The largest size that makes sense, as the data has no more images; `None` where it is not known.
    """

    def __init__(self, start: int, limit_bytes: int, *, multiple: int = 1) -> None:
        self._limit_bytes = limit_bytes
        self._multiple = multiple
        self.most: int | None = None
        self._start = start
        self._probes: list[Probe] = []
        self._surprises = 0

    def add(self, probe: Probe) -> None:
        """Take what came of a size."""
        surprises = bool(self._fits) and probe.fits == (probe.batch_size >= self._predicted())
        repeats = surprises and self._probes[-1].fits is probe.fits
        self._surprises = self._surprises + 1 if repeats else int(surprises)
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
        step = max(self._multiple, int(low * PRECISION))
        if high - low <= step:
            return None
        wanted = self._wanted(low, step) if low else self._smaller()
        return self._rounded(wanted, low, high)

    @property
    def _fits(self) -> list[Probe]:
        failing = self.smallest_failing
        return [probe for probe in self._probes if probe.fits and (failing is None or probe.batch_size < failing)]

    def _ceiling(self) -> int:
        """Return the smallest size, a multiple, that is not to be tried."""
        failing = self.smallest_failing
        if self.most is None:
            return failing if failing is not None else 2**62
        beyond = self.most // self._multiple * self._multiple + self._multiple
        return beyond if failing is None else min(failing, beyond)

    def _smaller(self) -> float:
        """Return a size below all that failed, or the first one of all."""
        failing = self.smallest_failing
        return self._start if failing is None else failing / 4

    def _wanted(self, low: int, step: int) -> float:
        """Return where the boundary most likely is; where the last answers came as a surprise, what brackets it."""
        predicted = self._predicted()
        failing = self.smallest_failing
        if failing is None:
            reach: float = step * _WIDEN ** max(0, self._surprises - 1)
            return max(predicted, low + reach)
        if predicted < failing - step:
            return max(predicted, low + step)
        if failing > low * _FAR:
            return math.sqrt(low * failing)
        doubt: float = min(0.5, _DOUBT * 2 ** (self._failures - 1))
        return failing - max(step, (failing - low) * doubt)

    @property
    def _failures(self) -> int:
        """How many of the last probes failed, without a fit between them."""
        return next((place for place, probe in enumerate(reversed(self._probes)) if probe.fits), len(self._probes))

    def _predicted(self) -> float:
        """Return the size at which a line through two fits, or one and what is held, reaches the limit."""
        upper = max(self._fits, key=lambda probe: probe.batch_size)
        size, peak = upper.batch_size, upper.peak_bytes or 0
        apart = [probe for probe in self._fits if probe.batch_size <= size * _APART]
        lower = max(apart, key=lambda probe: probe.batch_size, default=None)
        lower_size, lower_peak = (lower.batch_size, lower.peak_bytes or 0) if lower else (0, upper.held_bytes or 0)
        slope = (peak - lower_peak) / (size - lower_size)
        if slope <= 0:
            return size * 2
        beyond = (self._limit_bytes * _USABLE - peak) / slope
        if lower is None:
            return size + beyond * _FIRST_STEP
        return size + beyond * (_FAR_STEP if beyond > size else 1.0)

    def _rounded(self, wanted: float, low: int, high: int) -> int:
        """Return `wanted` as a multiple strictly between the bounds."""
        size = int(wanted) // self._multiple * self._multiple
        return max(low + self._multiple, min(size, high - self._multiple))
