"""Squared gradient norms of small batches and of the large ones that they make up, at the same weights.

What is made of them is in `tuning.gradient_noise`.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Parent, Plan
from pytest_batchguard.training.ending import Callbacks, StopAfter, fit, steps_at_once
from pytest_batchguard.training.keras_fit import check_model, described
from pytest_batchguard.training.source import Source, open_source

SMALL_BATCHES = 8
"""Small batches in a large one."""

_MOST_LARGE_BATCHES = 100
_FEWEST_LARGE_BATCHES = 8
_SECONDS = 5.0


def sample(model: Any, data: Any, callbacks: Sequence[Any], plan: Plan, parent: Parent) -> Measurement:
    """Send gradient norms at the weights as they are and again after the plan's steps of training.

    Args:
        model: A compiled Keras model.
        data: Anything that `model.fit` takes; its batches are the large ones.
        callbacks: The project's own.
        plan: What to do.
        parent: Takes the message `noise`, with the norms before and after, or why there are none.

    Raises:
        GuardError: The model is not compiled, or the data has no batch of the size.
    """
    check_model(model)
    source, first_batch = open_source(data, plan.case.batch_size, steps_at_once(model))
    measurement = described(model, first_batch, plan)
    why_not = _why_not(model, source, plan)
    if why_not:
        parent.send({"kind": "noise", "why_not": why_not})
        return measurement
    norms = _Norms(model, plan.case.batch_size // SMALL_BATCHES)
    before = norms.of(source, parent, "before training")
    stop = StopAfter(plan.warmup + plan.steps, parent)
    arguments = source.fit_arguments()
    fit(model, arguments, Callbacks(model, [*callbacks, stop], arguments, lacks_validation=True))
    after = norms.of(source, parent, "after training")
    if not before or not after:
        parent.send({"kind": "noise", "why_not": "its gradients are not finite, as float16's may be"})
        return measurement
    parent.send({"kind": "noise", "why_not": "", "small_batch": norms.small_batch, "before": before, "after": after})
    return measurement


def _why_not(model: Any, source: Source, plan: Plan) -> str:
    if type(model).train_step is not keras.Model.train_step:
        return "the model trains by a train_step of its own, whose gradient is not to be had"
    if source.is_single_use:
        return "the data can be read but once"
    if plan.case.batch_size < SMALL_BATCHES:
        return f"a batch of {plan.case.batch_size} does not split into {SMALL_BATCHES}"
    return ""


class _Norms:
    """Computes gradients; the weights stay as they are.

    Args:
        model: Compiled, of Keras's own training step.
        small_batch: Images in a small batch.
    """

    def __init__(self, model: Any, small_batch: int) -> None:
        self.small_batch = small_batch
        self._model = model
        self._gradient = tf.function(self._small_gradient, reduce_retracing=True)
        # Unknown to Keras before 3.3, and to a project's own that was written then.
        takes_training = "training" in inspect.signature(model.compute_loss).parameters
        self._training = {"training": True} if takes_training else {}
        # Small gradients vanish in float16 unless the loss is scaled, as training does it; the noise scale is a ratio.
        self._scaled = getattr(model.optimizer, "scale_loss", lambda loss: loss)

    def of(self, source: Source, parent: Parent, when: str) -> list[dict[str, Any]]:
        """Return the norms of the large batches of one epoch, or of as many as there is time for."""
        most = self._most(source)
        frozen = [(weight, tf.identity(weight.value)) for weight in self._model.non_trainable_weights]
        found: list[dict[str, Any]] = []
        begin = None
        for batch in source.batches():
            found.append(self._of_batch(batch))
            begin = begin or time.monotonic()  # the first one is traced
            parent.send({"kind": "progress", "phase": f"gradients {when}", "step": len(found), "steps": most})
            late = time.monotonic() - begin > _SECONDS and len(found) >= _FEWEST_LARGE_BATCHES
            if late or len(found) == most:
                break
        for weight, was in frozen:
            weight.assign(was)
        return [each for each in found if math.isfinite(each["large_square"])]

    def _most(self, source: Source) -> int:
        """Return how many large batches to take: images that come again tell nothing new, and narrow the interval."""
        if source.most_images is None:
            return _MOST_LARGE_BATCHES
        an_epoch = source.most_images // (SMALL_BATCHES * self.small_batch)
        return min(_MOST_LARGE_BATCHES, max(_FEWEST_LARGE_BATCHES, an_epoch))

    def _of_batch(self, batch: Any) -> dict[str, Any]:
        squares, total = [], None
        for place in range(SMALL_BATCHES):
            small = tf.nest.map_structure(lambda leaf, begin=place * self.small_batch: self._slice(leaf, begin), batch)
            gradient = self._gradient(small)
            squares.append(_square(gradient))
            total = gradient if total is None else [a + b for a, b in zip(total, gradient, strict=True)]
        large = _square([part / SMALL_BATCHES for part in total or []])
        return {"small_squares": [float(square) for square in squares], "large_square": float(large)}

    def _slice(self, leaf: Any, begin: int) -> Any:
        return tf.convert_to_tensor(leaf)[begin : begin + self.small_batch]

    def _small_gradient(self, batch: Any) -> list[Any]:
        model = self._model
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **self._training)
            loss = self._scaled(loss)
        gradient = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
        return [tf.cast(tf.convert_to_tensor(part), tf.float32) for part in gradient if part is not None]


def _square(gradient: Sequence[Any]) -> Any:
    return sum(tf.reduce_sum(tf.square(part)) for part in gradient)
