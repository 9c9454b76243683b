"""Slows a model's training down by a known share, without changing what it learns or reports."""

from __future__ import annotations

from typing import Any


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
