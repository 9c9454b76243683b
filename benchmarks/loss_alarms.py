"""How often does the loss of an unchanged training fail a guard, and how often that of one which learns no more?

    python benchmarks/loss_alarms.py

Trains two models, small batches and larger ones, with images that are altered at random: in a seeded order, by threads
in any order, and by a generator that nobody seeded. Each in fresh processes, as it is, with a tenth of the learning
rate and with none. Five processes make a baseline; all the others are judged against it, by the guard's rules and by
the plain one that it had before: the first process that misses its share of the last one's decrease fails. Writes
benchmarks/results/loss_alarms.md. About half an hour.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from alarm_rules import guard
from lab import Bench, work_on
from record import record, table
from search import SAMPLE_PROJECT

from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Limits, Measurement
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.core.repeats import combine, disagreement
from pytest_batchguard.core.units import format_percent
from pytest_batchguard.measure.device import choose_device

BASELINE = 5
PROCESSES = {1.0: 20, 0.1: 8, 0.0: 8}
"""By the share of the learning rate that is left."""

GUARDS = f"""
import pytest

def altered(guard, order):
    import numpy as np
    import tensorflow as tf
    from digits_classifier.data import load_digits

    chance = np.random.default_rng()
    shape = (*guard.image_size, 1)

    def alter(image, label):
        image = tf.image.random_contrast(tf.image.random_brightness(image, 80.0), 0.3, 2.0)
        if order == "unseeded":
            image += tf.numpy_function(lambda: chance.normal(0, 60, shape).astype("f4"), [], tf.float32)
        return tf.ensure_shape(image, shape), label

    digits = load_digits(guard.image_size, guard.batch_size).unbatch()
    digits = digits.map(alter, num_parallel_calls=4 if order == "threads" else None)
    return digits.batch(guard.batch_size, drop_remainder=True)

def network(size):
    import keras
    from keras import layers

    model = keras.Sequential([
        keras.Input((*size, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(16, 3, 2, activation="relu"),
        layers.Conv2D(32, 3, 2, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model

@pytest.mark.parametrize("rate", {list(PROCESSES)})
@pytest.mark.parametrize("order", ["seeded", "threads", "unseeded"])
@pytest.mark.parametrize("kind", ["network", "classifier"])
@pytest.mark.batchguard(cases=[(8, 32), (64, 32)])
def test_it(batchguard, kind, order, rate):
    from digits_classifier.model import build_classifier

    build = build_classifier if kind == "classifier" else network
    model = build(batchguard.image_size)
    model.optimizer.learning_rate = float(model.optimizer.learning_rate) * rate
    batchguard.train(model, altered(batchguard, order))
"""

Losses = dict[tuple[str, str, int], dict[float, list[Measurement]]]
Fails = Callable[[Sequence[Measurement], Sequence[Measurement]], bool | None]


def losses() -> Losses:
    """Return every process's measurement, the loss alone, by model, order and batch size, then by the rate left."""
    found: Losses = {}

    def measure(bench: Bench) -> None:
        rate = bench.parameters["rate"]
        key = (bench.parameters["kind"], bench.parameters["order"], bench.case.batch_size)
        for _ in range(PROCESSES[rate]):
            measurement = bench.measure(Pass.THROUGHPUT, is_probe=False, good_pace=math.inf).measurement
            if measurement is None or measurement.loss is None:
                raise RuntimeError(f"{bench.name} did not train")
            loss_alone = replace(measurement, memory=None, throughput=None, breakdown=None)
            found.setdefault(key, {}).setdefault(rate, []).append(loss_alone)

    work_on(GUARDS, choose_device("cpu", os.environ), measure, [SAMPLE_PROJECT])
    return found


def by_the_guard(recorded: Sequence[Measurement], processes: Sequence[Measurement]) -> bool | None:
    """Return whether the guard fails; `None` where it refuses to record the baseline."""
    limits = Limits()
    baseline = combine(recorded)
    if disagreement(recorded, limits) or judge(replace(recorded[0], loss=baseline.loss), None, limits).verdict.fails:
        return None
    return guard(processes, recorded, limits.throughput_tolerance).fails


def plainly(recorded: Sequence[Measurement], processes: Sequence[Measurement]) -> bool | None:
    """Return whether the first process fails a plain rule; `None` where one of the baseline's does."""
    decreases = [_decrease(each) for each in recorded]
    if min(decreases) <= 0 or max(decreases) - min(decreases) > 0.1:
        return None
    return _decrease(processes[0]) < (1 - Limits().loss_tolerance) * decreases[-1]


def row(key: tuple[str, str, int], found: dict[float, list[Measurement]]) -> list[str]:
    """Return a case's row."""
    kind, order, batch_size = key
    unchanged = found[1.0]
    decreases = sorted(map(_decrease, unchanged))
    cells = [f"{kind}, batch {batch_size}, {order}"]
    cells.append(
        f"{format_percent(median(decreases))} ({format_percent(decreases[0])} to {format_percent(decreases[-1])})"
    )
    outcomes = [_outcomes(fails, unchanged, found[rate]) for fails in (plainly, by_the_guard) for rate in PROCESSES]
    return [*cells, *map(_share, outcomes)]


def _outcomes(fails: Fails, unchanged: Sequence[Measurement], judged: Sequence[Measurement]) -> list[bool | None]:
    """Judge every process, the others after it where it takes more, against every baseline that it is no part of."""
    outcomes: list[bool | None] = []
    for begin in range(0, len(unchanged) - BASELINE + 1, BASELINE):
        recorded = unchanged[begin : begin + BASELINE]
        rest = [each for each in judged if not any(each is one for one in recorded)]
        outcomes += [fails(recorded, [*rest[first:], *rest[:first]]) for first in range(len(rest))]
    return outcomes


def _share(outcomes: Sequence[bool | None]) -> str:
    judged = [outcome for outcome in outcomes if outcome is not None]
    refused = 1 - len(judged) / len(outcomes)
    failed = format_percent(sum(judged) / len(judged)) if judged else "–"
    return f"{failed}, {format_percent(refused)} not recorded" if refused else failed


def _decrease(measurement: Measurement) -> float:
    return measurement.loss.decrease if measurement.loss else math.nan


def main() -> None:
    """Measure, judge and record."""
    found = losses()
    rules = [f"{rule}, {what}" for rule in ("plain rule", "guard") for what in ("unchanged", "rate / 10", "rate 0")]
    counts = f"{PROCESSES[1.0]} processes of each unchanged case, {PROCESSES[0.1]} of each changed one"
    lines = [
        f"Share of runs that fail for their loss. {counts}; baselines of {BASELINE}.",
        "",
        *table(["case", "loss decrease, unchanged", *rules], [row(*each) for each in found.items()]),
    ]
    record("loss_alarms", "python benchmarks/loss_alarms.py", lines)


if __name__ == "__main__":
    main()
