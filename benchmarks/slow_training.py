"""Slows a model's training down by a known share, without changing what it learns or reports.

    python benchmarks/slow_training.py

measures by how much, step by step in turn within one process, and writes benchmarks/results/slow_training.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

IMAGES = {(64, 0.1): 2, (64, 0.15): 8, (64, 0.2): 15, (32, 0.1): 3, (32, 0.15): 6, (32, 0.2): 10}
"""Of how many images, by batch size and slowdown, at 32x32 in batches of 64 and at 96x96 in batches of 32."""

SIDES = {64: 32, 32: 96}
ROUNDS = 60
STEPS = {64: 10, 32: 3}


def slow_down(model: Any, images: int) -> None:
    """Let every step compute the gradient of the first `images` of its batch once more."""
    import tensorflow as tf

    train_step = model.train_step

    def slower(data: Any) -> Any:
        logs = train_step(data)
        x, y = (part[:images] for part in data)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=False))
        gradients = tape.gradient(loss, model.trainable_variables)
        # So small a share of the loss that it is lost in rounding, and yet not to be optimised away.
        return {**logs, "loss": logs["loss"] + 1e-30 * tf.add_n([tf.reduce_sum(each) for each in gradients])}

    model.train_step = slower


def _training(batch_size: int, images: int) -> Callable[[], float]:
    """Return a function that takes one step of the sample project's training, slowed down by so many images."""
    import tensorflow as tf
    from digits_classifier.model import build_classifier

    side = SIDES[batch_size]
    model = build_classifier((side, side))
    if images:
        slow_down(model, images)
    model.make_train_function()
    batch = (tf.random.stateless_uniform((batch_size, side, side, 1), (1, 7)) * 255, tf.zeros(batch_size, tf.int32))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: float(model.train_function(batches)["loss"])


def _seconds(step: Callable[[], float], steps: int) -> float:
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    return time.perf_counter() - begin


def main() -> None:
    """Time slowed steps against plain ones, in turn, and record the medians of the ratios."""
    from record import record, table

    sys.path.insert(0, str(Path(__file__).parents[1] / "sample_project"))
    rows = []
    for batch_size, side in SIDES.items():
        counts = {slowdown: images for (batch, slowdown), images in IMAGES.items() if batch == batch_size}
        plain = _training(batch_size, 0)
        slowed = {slowdown: _training(batch_size, images) for slowdown, images in counts.items()}
        ratios: dict[float, list[float]] = {slowdown: [] for slowdown in slowed}
        for number in range(ROUNDS + 1):
            usual = _seconds(plain, STEPS[batch_size])
            for slowdown, step in slowed.items():
                ratio = _seconds(step, STEPS[batch_size]) / usual
                if number:  # the first round traces
                    ratios[slowdown].append(ratio)
        rows += [
            [f"b{batch_size}-{side}x{side}", f"{slowdown:.0%}", str(counts[slowdown]), f"{median(each) - 1:+.1%}"]
            for slowdown, each in ratios.items()
        ]
    record("slow_training", "python benchmarks/slow_training.py", table(["case", "planted", "images", "found"], rows))


if __name__ == "__main__":
    main()
