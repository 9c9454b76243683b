"""Peak memory against batch size: where it reaches what the allocator can hand out.

What a training needs grows with the batch in a near straight line. Beside it the pool wastes some of what it has:
TensorFlow's allocator splits a free chunk only where at least half of it or 128 MiB would be left over
(`BFCAllocator::FindChunkPtr`), and finds no room for a large tensor in many small holes. Real trainings just below
the limit needed 84 to 97 % of it by their line, most of them; see benchmarks/results/search.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_USABLE = 0.89
"""Share of the limit that can be used."""

_APART = 0.8
"""Two sizes make a line where the smaller one is at most this share of the larger: closer, noise decides its slope."""

_CAUTION = 0.9
"""Share of the way that is gone where the line is not known well: through one size alone, or to a far one."""

_FAR = 2.5


@dataclass(frozen=True)
class Probe:
    """One training at one batch size.

    Attributes:
        batch_size: Images in a batch.
        fits: Whether it trained; out of memory otherwise.
        peak_bytes: The allocator's peak; `None` where it did not fit.
        held_bytes: In use between two steps: weights, optimizer slots; `None` where it did not fit.
        activation_bytes: What the model's layers put out for an image; `None` where they do not say.
    """

    batch_size: int
    fits: bool
    peak_bytes: int | None = None
    held_bytes: int | None = None
    activation_bytes: int | None = None


def size_that_fills(limit_bytes: int, fits: Sequence[Probe]) -> float:
    """Return the batch size at which a limit is most likely reached.

    Args:
        limit_bytes: What the allocator may hand out.
        fits: Probes that trained, at least one.
    """
    upper = max(fits, key=lambda probe: probe.batch_size)
    size, peak = upper.batch_size, upper.peak_bytes or 0
    apart = [probe for probe in fits if probe.batch_size <= _APART * size]
    slope = _slope(upper, max(apart, key=lambda probe: probe.batch_size, default=None))
    if slope <= 0:
        return 2.0 * size
    fixed = peak - slope * size
    reached = (_USABLE * limit_bytes - fixed) / slope
    is_doubtful = not apart or reached > _FAR * size
    return size + (reached - size) * (_CAUTION if is_doubtful else 1.0)


def _slope(upper: Probe, lower: Probe | None) -> float:
    """Return bytes an image: by two probes, or by what the layers put out, or from what is held without a batch."""
    peak = upper.peak_bytes or 0
    if lower is not None:
        return (peak - (lower.peak_bytes or 0)) / (upper.batch_size - lower.batch_size)
    if upper.activation_bytes is not None:
        return upper.activation_bytes
    return (peak - (upper.held_bytes or 0)) / upper.batch_size
