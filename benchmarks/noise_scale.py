"""Does the gradient noise scale come out right? Against closed form, and against per-example gradients.

    python benchmarks/noise_scale.py

A linear model on random data has a known noise scale: with x ~ N(0, I) in d dimensions, y = w*·x + e,
e ~ N(0, σ²), and loss (w·x − y)², the gradient of one example is 2(δ·x − e)x with δ = w − w*, so that |G|² = 4|δ|² and
tr Σ = 4(d(|δ|² + σ²) + |δ|²). It is sampled 100 times by the code that tuning uses, and its intervals are counted.
Then the sample project's network, over its whole data set, example by example. About 5 minutes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import fmean, median
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import tensorflow as tf
from record import record, table

from pytest_batchguard.core.model import Case, ImageSize
from pytest_batchguard.core.plan import Parent, Pass, Plan
from pytest_batchguard.core.tuning import NoiseScale
from pytest_batchguard.measure.device import cpu_device
from pytest_batchguard.training import gradients
from pytest_batchguard.tuning.gradient_noise import NoiseSample, noise_scale

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
RUNS = 100
DIMENSIONS = 50
BATCH = 64
TRUTHS = (60.0, 250.0)
STEPS = 20


def sampled(model: Any, data: Any, size: int, batch: int) -> tuple[NoiseScale, NoiseScale]:
    """Return the noise scale before and after the training, by the code that tuning uses."""
    told: list[dict[str, Any]] = []
    plan = Plan(
        Case(batch, ImageSize(size, size)),
        Pass.NOISE,
        cpu_device(),
        steps=STEPS,
        warmup=5,
        seed=0,
        throughput_tolerance=0.1,
    )
    gradients.sample(model, data, (), plan, Parent(told.append))
    (noise,) = [message for message in told if message["kind"] == "noise"]
    before, after = (
        noise_scale(
            [
                NoiseSample(noise["small_batch"], tuple(each["small_squares"]), each["large_square"])
                for each in noise[when]
            ]
        )
        for when in ("before", "after")
    )
    return before, after


def linear_scale(truth: float, seed: int) -> NoiseScale:
    """Return what is sampled of a linear problem whose noise scale is `truth`."""
    # B = tr Σ ÷ |G|² = d(1 + σ² ÷ |δ|²) + 1, with |δ| = 1
    variance = (truth - 1) / DIMENSIONS - 1
    keras.utils.set_random_seed(seed)
    delta = tf.math.l2_normalize(tf.random.normal((DIMENSIONS, 1), seed=seed))

    def batch(_number: Any) -> tuple[Any, Any]:
        x = tf.random.normal((BATCH, DIMENSIONS))
        return x, tf.random.normal((BATCH, 1), stddev=variance**0.5)

    data = tf.data.Dataset.range(10**6).map(batch)
    model = keras.Sequential([keras.Input((DIMENSIONS,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(1e-6), loss="mse")
    model.layers[-1].kernel.assign(delta)
    return sampled(model, data, 1, BATCH)[0]


def linear_rows() -> list[list[str]]:
    """Return a row for each truth."""
    rows = []
    for truth in TRUTHS:
        scales = [linear_scale(truth, seed) for seed in range(RUNS)]
        found = [scale.images for scale in scales if scale.images is not None]
        covered = sum((scale.low or 0) <= truth <= (scale.high or float("inf")) for scale in scales)
        errors = sorted(abs(each / truth - 1) for each in found)
        rows.append(
            [
                f"{truth:g}",
                f"{median(found):.1f}",
                f"{fmean(found):.1f}",
                f"{median(errors):.1%}",
                f"{errors[int(0.95 * len(errors)) - 1]:.1%}",
                f"{covered} of {len(scales)}",
                str(len(scales) - len(found)),
            ]
        )
        print(rows[-1], flush=True)
    return rows


def digits_network(size: int, *, frozen: bool) -> Any:
    """Return the sample project's network; frozen, its batch normalisation knows no batch and nothing is dropped."""
    from digits_classifier.model import build_classifier

    keras.utils.set_random_seed(0)
    model = build_classifier((size, size))
    if frozen:
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False  # Keras then runs it in inference mode
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        model.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
    return model


def exact_scale(model: Any, data: Any) -> float:
    """Return tr Σ ÷ |G|² over all examples, one gradient each."""

    @tf.function(reduce_retracing=True)
    def gradient(x: Any, y: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
        return [tf.convert_to_tensor(part) for part in tape.gradient(loss, [w.value for w in model.trainable_weights])]

    total, squares, count = None, 0.0, 0
    for x, y in data.unbatch().batch(1):
        parts = gradient(x, y)
        squares += float(sum(tf.reduce_sum(tf.square(part)) for part in parts))
        total = parts if total is None else [a + b for a, b in zip(total, parts, strict=True)]
        count += 1
    signal = float(sum(tf.reduce_sum(tf.square(part / count)) for part in total or []))
    return (squares / count - signal) / signal


def digits_rows() -> list[list[str]]:
    """Return a row for the network as it is initialised and one after a short training."""
    sys.path.insert(0, str(SAMPLE_PROJECT))
    from digits_classifier.data import load_digits

    data = load_digits((32, 32), BATCH)
    model = digits_network(32, frozen=True)
    exact_before = exact_scale(model, data)
    before, after = sampled(model, data, 32, BATCH)
    exact_after = exact_scale(model, data)
    trained_as_it_is = sampled(digits_network(32, frozen=False), data, 32, BATCH)
    rows = [
        ["initialisation, batch normalisation frozen, no dropout", f"{exact_before:.3g}", _interval(before)],
        [f"after {STEPS + 5} steps, the same", f"{exact_after:.3g}", _interval(after)],
        ["initialisation, as the project trains it", "–", _interval(trained_as_it_is[0])],
        [f"after {STEPS + 5} steps, the same", "–", _interval(trained_as_it_is[1])],
    ]
    print(*rows, sep="\n", flush=True)
    return rows


def _interval(scale: NoiseScale) -> str:
    if scale.images is None:
        return "undetermined"
    low = f"{scale.low:.3g}" if scale.low is not None else "0"
    high = f"{scale.high:.3g}" if scale.high is not None else "∞"
    return f"{scale.images:.3g} ({low} to {high})"


def main() -> None:
    """Sample, compare and record."""
    head = [
        "truth",
        "median",
        "mean",
        "median error",
        "95 % of errors under",
        "intervals that cover it",
        "undetermined",
    ]
    lines = [f"The linear problem, {DIMENSIONS} dimensions, {RUNS} runs, batches of {BATCH}:", ""]
    lines += table(head, linear_rows())
    lines += ["", "The sample project's network at 32x32, all its training images:", ""]
    lines += table(["weights", "exact, example by example", "sampled, with its interval"], digits_rows())
    lines += [
        "",
        "Batch normalisation makes the gradient of an example depend on the batch it is in, so that there is nothing",
        "exact to compare with; it is frozen in the first two rows.",
    ]
    record("noise_scale", "python benchmarks/noise_scale.py", lines)


if __name__ == "__main__":
    main()
