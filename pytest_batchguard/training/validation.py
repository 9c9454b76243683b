"""Validate a model on whatever `fit` takes as `validation_data`."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from pytest_batchguard.training.source import batches_of

_STEPS_OF_ENDLESS_DATA = 20


def evaluate(
    model: Any,
    validation_data: Any,
    batch_size: int,
    most_steps: int | None = None,
    batch_ended: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Return loss and metrics by name, those that are one number.

    Args:
        model: A compiled Keras model.
        validation_data: A dataset, or arrays as `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Of the batches that arrays are cut into.
        most_steps: Batches to take at the most; all there are where it is `None`, and 20 where they have no end, or
            may have none, as a generator's.
        batch_ended: Called after every batch.
    """
    is_arrays = isinstance(validation_data, (tuple, list))
    x, y, sample_weight = (
        keras.utils.unpack_x_y_sample_weight(validation_data) if is_arrays else (validation_data, None, None)
    )
    sizes = {} if y is None else {"batch_size": batch_size}
    if most_steps is None and _is_endless(x):
        most_steps = _STEPS_OF_ENDLESS_DATA
    # Keras's own `steps` warns where there are fewer; of a PyDataset it also ends the workers, and the number is known.
    stops: dict[str, Any] = {"callbacks": [_Batches(most_steps, batch_ended)]}
    if most_steps is not None and isinstance(x, keras.utils.PyDataset):
        stops["steps"] = min(most_steps, batches_of(x) or most_steps)
    figures = model.evaluate(x, y, sample_weight=sample_weight, verbose=0, return_dict=True, **stops, **sizes)
    gc.collect()  # as after `fit`
    return {name: float(figure) for name, figure in figures.items() if not getattr(figure, "shape", ())}


def _is_endless(data: Any) -> bool:
    if isinstance(data, tf.data.Dataset):
        return bool(data.cardinality() == tf.data.INFINITE_CARDINALITY)
    if isinstance(data, keras.utils.PyDataset):
        return batches_of(data) is None
    return hasattr(data, "__next__")  # a generator says nothing


class _Batches(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Tells of every batch, and stops after so many."""

    def __init__(self, most: int | None, batch_ended: Callable[[], object]) -> None:
        super().__init__()
        self._most = most
        self._batch_ended = batch_ended

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 -- Keras's signature
        self._batch_ended()
        if self._most is not None and batch + 1 >= self._most:
            self.model.stop_evaluating = True
