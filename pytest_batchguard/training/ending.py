"""How a training of `fit` ends: after so many steps, without an epoch's end, and with its input pipeline freed."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from pytest_batchguard.core.plan import Parent
from pytest_batchguard.training.source import batches_of


def steps_at_once(model: Any) -> int:
    """Return how many steps `fit` runs between two calls of a callback: Keras's `steps_per_execution`."""
    return int(getattr(model, "steps_per_execution", 1))


def fit(model: Any, arguments: Mapping[str, Any], callbacks: keras.callbacks.CallbackList) -> None:
    """Train, and free the iterator over the data, which `fit` leaves in a reference cycle.

    While it lives, nobody else can read data that is cached in a file; in a process that ends without the
    interpreter's shutdown it would live on as that file's lock.
    """
    __tracebackhide__ = True
    model.fit(**arguments, verbose=0, callbacks=callbacks)
    gc.collect()


class Callbacks(keras.callbacks.CallbackList):  # type: ignore[misc]  # keras has no types
    """Keras's callback list, which tells the project's callbacks of no epoch's end that lacks the validation's figures.

    Args:
        model: A compiled Keras model.
        callbacks: The project's own, and others.
        arguments: What `fit` is called with.
        lacks_validation: Whether the project validates at an epoch's end, and this training does not.
    """

    def __init__(
        self, model: Any, callbacks: Sequence[Any], arguments: Mapping[str, Any], *, lacks_validation: bool
    ) -> None:
        epochs, steps = arguments.get("epochs", 1), arguments.get("steps_per_epoch") or batches_of(arguments["x"])
        super().__init__(list(callbacks), add_history=True, model=model, verbose=0, epochs=epochs, steps=steps)
        self._lacks_validation = lacks_validation

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Pass on the end of a whole epoch."""
        if not self._lacks_validation and not self.model.stop_training:
            super().on_epoch_end(epoch, logs)


class StopAfter(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Ends the training.

    Args:
        steps: After how many.
        parent: Is told of every step.
    """

    def __init__(self, steps: int, parent: Parent) -> None:
        super().__init__()
        self.steps_seen = 0
        self._steps = steps
        self._parent = parent

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count; a batch here may be several steps, where the model is compiled so."""
        super().on_train_batch_end(batch, logs)
        self.steps_seen += steps_at_once(self.model)
        self._parent.send({"kind": "progress", "phase": "training", "step": self.steps_seen, "steps": self._steps})
        if self.steps_seen >= self._steps:
            self.model.stop_training = True
