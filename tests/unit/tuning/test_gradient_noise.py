"""The gradient noise scale from squared norms, where it is known in closed form."""

import math
import random
from statistics import median

import pytest

from pytest_batchguard.tuning.gradient_noise import NoiseSample, noise_scale

DIMENSIONS = 20


def samples_of(noise, seed, *, count=30, small_batch=8, small_batches=8, signal=1.0):
    """Draw gradients of mean length `signal` whose tr Σ ÷ |G|² is `noise`."""
    chance = random.Random(seed)
    mean = signal / math.sqrt(DIMENSIONS)
    deviation = math.sqrt(noise / DIMENSIONS / small_batch)
    for _ in range(count):
        gradients = [[chance.gauss(mean, deviation) for _ in range(DIMENSIONS)] for _ in range(small_batches)]
        large = [sum(parts) / small_batches for parts in zip(*gradients, strict=True)]
        squares = tuple(sum(part**2 for part in gradient) for gradient in gradients)
        yield NoiseSample(small_batch, squares, sum(part**2 for part in large))


def test_known_scale_is_found_without_bias():
    found = [noise_scale(list(samples_of(200, seed))).images for seed in range(40)]

    assert median(found) == pytest.approx(200, rel=0.05)


def test_interval_covers_the_known_scale():
    scales = [noise_scale(list(samples_of(200, seed))) for seed in range(40)]

    covering = [scale for scale in scales if scale.low <= 200 and (scale.high is None or scale.high >= 200)]
    assert len(covering) >= 36


def test_gradient_without_noise_has_scale_zero():
    sample = NoiseSample(small_batch=4, small_squares=(9.0, 9.0), large_square=9.0)

    assert noise_scale([sample, sample]).images == 0


def test_gradient_without_signal_is_undetermined():
    scale = noise_scale(list(samples_of(200, 0, signal=0.0, count=10)))

    assert scale.images is None or scale.high is None


def test_signal_that_comes_out_negative_is_undetermined():
    sample = NoiseSample(small_batch=4, small_squares=(9.0, 9.0), large_square=4.0)

    scale = noise_scale([sample, sample])

    assert (scale.images, scale.low, scale.high) == (None, None, None)
    assert scale.samples == 2


def test_parts_are_averaged_before_they_are_divided():
    quiet = NoiseSample(small_batch=1, small_squares=(2.0, 2.0), large_square=2.0)  # signal 2, noise 0
    loud = NoiseSample(small_batch=1, small_squares=(4.0, 4.0), large_square=3.0)  # signal 2, noise 2

    assert noise_scale([quiet, loud]).images == pytest.approx(0.5)


def test_one_set_of_figures_has_one_interval():
    samples = list(samples_of(50, 3))

    assert noise_scale(samples) == noise_scale(samples)


def test_large_batch_is_all_small_ones_together():
    assert NoiseSample(4, (1.0, 1.0, 1.0), 1.0).large_batch == 12
