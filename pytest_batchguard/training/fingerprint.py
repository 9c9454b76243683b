"""What was trained: parameters, types and settings that decide memory, speed and learning."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from pytest_batchguard.core.model import ModelFingerprint
from pytest_batchguard.core.units import round_significant
from pytest_batchguard.training.ending import steps_at_once


def of_model(model: Any, batch: Any, learning_rate: float | None) -> ModelFingerprint:
    """Return the fingerprint of a compiled Keras model that has trained.

    Args:
        model: The model.
        batch: What it has trained on.
        learning_rate: What it began with; callbacks may have changed it since.
    """
    optimizer = own_optimizer(model) if _has_updated(model) else None
    return ModelFingerprint(
        parameters=_count(model.weights),
        trainable=_count(model.trainable_weights),
        dtype_policy=model.dtype_policy.name,
        optimizer=type(optimizer).__name__ if optimizer is not None else None,
        learning_rate=learning_rate if optimizer is not None else None,
        jit_compile=bool(model.jit_compile),
        batch_shapes=batch_shapes(batch),
        steps_per_execution=steps_at_once(model),
    )


def own_optimizer(model: Any) -> Any:
    """Return the project's optimizer, out of the one that scales the loss which Keras puts around it for float16."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def steps_to_update(model: Any) -> int:
    """Return after how many steps the weights change: Keras's `gradient_accumulation_steps`."""
    return getattr(own_optimizer(model), "gradient_accumulation_steps", None) or 1


def of_step(step: Any, batch: Any) -> ModelFingerprint:
    """Return what a hand-written step shows of itself: the trainable variables, if it is a `tf.function`."""
    trainable = None
    if hasattr(step, "get_concrete_function"):
        trainable = _count(step.get_concrete_function(batch).trainable_variables)
    return ModelFingerprint(trainable=trainable, batch_shapes=batch_shapes(batch))


def batch_shapes(batch: Any) -> tuple[str, ...]:
    """Return dtype and shape of every array in a batch, as in `float32[32, 180, 180, 3]`."""
    return tuple(
        f"{getattr(leaf.dtype, 'name', leaf.dtype)}[{', '.join(map(str, leaf.shape))}]"
        for leaf in tf.nest.flatten(batch)
        if hasattr(leaf, "shape")
    )


def _count(weights: Any) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _has_updated(model: Any) -> bool:
    """Return whether the model's optimizer was asked for an update: not where the `train_step` has others of its own.

    One that scales the loss leaves out the updates that overflow, and takes a smaller scale then.
    """
    scale = getattr(model.optimizer, "dynamic_scale", None)
    has_overflown = scale is not None and float(tf.convert_to_tensor(scale)) != model.optimizer.initial_scale
    return has_overflown or int(tf.convert_to_tensor(getattr(own_optimizer(model), "iterations", 0))) > 0


def rate_now(optimizer: Any) -> float:
    """Return an optimizer's learning rate, of a schedule the present one."""
    return float(tf.convert_to_tensor(optimizer.learning_rate))  # Keras 3.3 has no float() of a variable


def learning_rate(model: Any) -> float | None:
    """Return the learning rate; `None` where a schedule changes it from step to step, or the optimizer keeps none."""
    optimizer = own_optimizer(model)
    if callable(getattr(optimizer, "_learning_rate", None)):
        return None
    try:
        return round_significant(rate_now(optimizer))
    except (AttributeError, TypeError, ValueError):
        return None
