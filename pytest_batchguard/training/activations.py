"""What a Keras model's layers put out for one image: the part of its memory that grows with the batch size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


def activation_bytes(model: Any) -> int | None:
    """Return the size of all outputs of a model's layers; `None` where they are not known before it runs.

    Args:
        model: A Keras model.
    """
    try:
        return sum(_output_bytes(model)) or None
    except (AttributeError, TypeError, ValueError):
        return None  # a subclassed model's layers have no output, and a free image size has no number


def _output_bytes(model: Any) -> Iterator[int]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _output_bytes(layer)
            continue
        for output in tf.nest.flatten(layer.output):
            yield math.prod(output.shape[1:]) * int(tf.as_dtype(keras.backend.standardize_dtype(output.dtype)).size)
