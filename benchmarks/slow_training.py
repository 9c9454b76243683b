"""Slows a model's training down by a known share, without changing what it learns or reports.

    python benchmarks/slow_training.py

measures by how much, step by step in turn within each of a few fresh processes, and writes
benchmarks/results/slow_training.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

IMAGES = {(64, 0.1): 22, (64, 0.15): 8, (64, 0.2): 15, (32, 0.1): 13, (32, 0.15): 6, (32, 0.2): 10}
"""Of how many images, by batch size and slowdown, at 32x32 in batches of 64 and at 96x96 in batches of 32."""

FORWARD_ONLY = {0.1}
"""Slowdowns that are predictions: a second gradient, of however few images, takes more than that."""

SIDES = {64: 32, 32: 96}
ROUNDS = 60
PROCESSES = 5
STEPS = {64: 10, 32: 3}


def slow_down(model: Any, batch_size: int, slowdown: float) -> None:
    """Let every step predict some images of its batch once more or, to slow it down by more, compute their gradient."""
    import tensorflow as tf

    train_step = model.train_step
    images = IMAGES[batch_size, slowdown]

    def slower(data: Any) -> Any:
        logs = train_step(data)
        x, y = (part[:images] for part in data)
        if slowdown in FORWARD_ONLY:
            computed = [model(x, training=False)]
        else:
            with tf.GradientTape() as tape:
                loss = model.compute_loss(x, y, model(x, training=False))
            computed = tape.gradient(loss, model.trainable_variables)
        # So small a share of the loss that it is lost in rounding, and yet not to be optimised away.
        return {**logs, "loss": logs["loss"] + 1e-30 * tf.add_n([tf.reduce_sum(each) for each in computed])}

    model.train_step = slower


def _training(batch_size: int, slowdown: float = 0.0) -> Callable[[], float]:
    """Return a function that takes one step of the sample project's training, slowed down by that share."""
    import tensorflow as tf
    from digits_classifier.model import build_classifier

    side = SIDES[batch_size]
    model = build_classifier((side, side))
    if slowdown:
        slow_down(model, batch_size, slowdown)
    model.make_train_function()
    batch = (tf.random.stateless_uniform((batch_size, side, side, 1), (1, 7)) * 255, tf.zeros(batch_size, tf.int32))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: float(model.train_function(batches)["loss"])


def _seconds(step: Callable[[], float], steps: int) -> float:
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - begin


def ratios(batch_size: int) -> dict[float, float]:
    """Time slowed steps against plain ones, in turn; return the medians of the ratios by slowdown."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "sample_project"))
    plain = _training(batch_size)
    slowed = {slowdown: _training(batch_size, slowdown) for batch, slowdown in IMAGES if batch == batch_size}
    found: dict[float, list[float]] = {slowdown: [] for slowdown in slowed}
    for number in range(ROUNDS + 1):
        usual = _seconds(plain, STEPS[batch_size])
        for slowdown, step in slowed.items():
            ratio = _seconds(step, STEPS[batch_size]) / usual
            if number:  # the first round traces
                found[slowdown].append(ratio)
    return {slowdown: median(each) for slowdown, each in found.items()}


def main() -> None:
    """Measure in fresh processes and record."""
    from record import record, table

    rows = []
    for batch_size, side in SIDES.items():
        with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            found = pool.map(ratios, [batch_size] * PROCESSES, chunksize=1)
        for slowdown in found[0]:
            each = sorted(ratio[slowdown] - 1 for ratio in found)
            what = "predicted" if slowdown in FORWARD_ONLY else "differentiated"
            images = f"{IMAGES[batch_size, slowdown]} {what}"
            spread = f"{each[0]:+.1%} to {each[-1]:+.1%}"
            rows.append([f"b{batch_size}-{side}x{side}", f"{slowdown:.0%}", images, f"{median(each):+.1%}", spread])
    head = ["case", "planted", "images once more", "found (median)", f"in {PROCESSES} processes"]
    record("slow_training", "python benchmarks/slow_training.py", table(head, rows))


if __name__ == "__main__":
    main()
