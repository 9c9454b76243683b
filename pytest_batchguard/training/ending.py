"""A callback that ends `fit` after so many steps, and how many steps it is told of at once."""

from __future__ import annotations

from typing import Any

import keras

from pytest_batchguard.core.plan import Parent


def steps_at_once(model: Any) -> int:
    """Return how many steps `fit` runs between two calls of a callback: Keras's `steps_per_execution`."""
    return int(getattr(model, "steps_per_execution", 1))


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
