"""Validate a model on whatever `fit` takes as `validation_data`."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_STEPS_OF_ENDLESS_DATA = 20


def evaluate(model: Any, validation_data: Any, batch_size: int, steps: int | None = None) -> dict[str, float]:
    """Return loss and metrics by name.

    Args:
        model: A compiled Keras model.
        validation_data: A dataset, or arrays as `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Of the batches that arrays are cut into.
        steps: Batches to take; all there are where it is `None`, and 20 where they have no end.
    """
    is_tuple = isinstance(validation_data, tuple)
    x, y, sample_weight = (
        keras.utils.unpack_x_y_sample_weight(validation_data) if is_tuple else (validation_data, None, None)
    )
    sizes = {} if y is None else {"batch_size": batch_size}
    if steps is None and isinstance(x, tf.data.Dataset) and int(x.cardinality()) == tf.data.INFINITE_CARDINALITY:
        steps = _STEPS_OF_ENDLESS_DATA
    figures = model.evaluate(x, y, sample_weight=sample_weight, steps=steps, verbose=0, return_dict=True, **sizes)
    return {name: float(figure) for name, figure in figures.items()}
