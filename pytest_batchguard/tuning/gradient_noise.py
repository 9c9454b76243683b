"""How noisy the gradient is: the batch size from which a larger batch says little more.

Source: McCandlish et al., An Empirical Model of Large-Batch Training (2018), arXiv 1812.06162, appendix A.1.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_batchguard.core.tuning import NoiseScale

_RESAMPLES = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class NoiseSample:
    """Squared gradient norms at one set of weights, of one large batch and of the small ones it is made of.

    Attributes:
        small_batch: Images in a small batch.
        small_squares: |G|² of each small batch.
        large_square: |G|² of the mean of their gradients, that is of the large batch.
    """

    small_batch: int
    small_squares: tuple[float, ...]
    large_square: float

    @property
    def large_batch(self) -> int:
        """Images in the large batch."""
        return self.small_batch * len(self.small_squares)


def noise_scale(samples: Sequence[NoiseSample], *, seed: int = 0) -> NoiseScale:
    """Return B_simple with a bootstrap interval over the large batches.

    Signal |G|² and noise tr Σ are unbiased in each large batch and averaged apart before they are divided: the mean
    of the ratios would be biased.

    Args:
        samples: At least one large batch, of two small ones or more.
        seed: Of the resampling, so that one set of figures always has one interval.
    """
    parts = [_signal_and_noise(sample) for sample in samples]
    chance = random.Random(seed)  # noqa: S311 -- resampling, not secrecy
    scales = sorted(_ratio(chance.choices(parts, k=len(parts))) for _ in range(_RESAMPLES))
    tail = (1 - _CONFIDENCE) / 2
    low, high = scales[int(tail * _RESAMPLES)], scales[int((1 - tail) * _RESAMPLES) - 1]
    return NoiseScale(_finite(_ratio(parts)), _finite(low), _finite(high), len(parts))


_UNDETERMINED = float("inf")


def _signal_and_noise(sample: NoiseSample) -> tuple[float, float]:
    """Return unbiased estimates of |G|² and tr Σ."""
    small, large = sample.small_batch, sample.large_batch
    small_square = sum(sample.small_squares) / len(sample.small_squares)
    signal = (large * sample.large_square - small * small_square) / (large - small)
    noise = (small_square - sample.large_square) / (1 / small - 1 / large)
    return signal, noise


def _ratio(parts: Sequence[tuple[float, float]]) -> float:
    """Return mean noise ÷ mean signal; infinite where the signal is not positive."""
    signal = sum(part[0] for part in parts)
    noise = sum(part[1] for part in parts)
    return noise / signal if signal > 0 else _UNDETERMINED


def _finite(scale: float) -> float | None:
    return scale if scale != _UNDETERMINED else None
