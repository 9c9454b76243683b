"""Train a compiled Keras model through its own `fit` and take the figures.

`fit` is the project's: a custom `train_step`, mixed precision, `jit_compile`, the input pipeline and the callbacks
all count. The callback list is Keras's public `CallbackList`, told of each step's end without waiting for its
result, so that steps follow one another as in ordinary training.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Parent, Plan
from pytest_batchguard.errors import GuardError
from pytest_batchguard.measure.loss import undo_running_mean
from pytest_batchguard.measure.stopwatch import Drift, Stopwatch
from pytest_batchguard.training import breakdown, fingerprint, runtime
from pytest_batchguard.training.activations import activation_bytes
from pytest_batchguard.training.ending import Callbacks, fit, steps_at_once
from pytest_batchguard.training.pipeline_pool import KeptByPipeline
from pytest_batchguard.training.recorder import Recorder
from pytest_batchguard.training.source import Source, check_validation, first_batch_again, open_source
from pytest_batchguard.training.validation import evaluate

VALIDATION_STEPS = 2
"""Validation batches run after the training, so that their memory counts."""

_ROUNDING = 1e-6
_NO_LOSS = "the model's train_step returns no `loss` that is one number: whether it learns was not judged"


def train(
    model: Any, data: Any, validation_data: Any, callbacks: Sequence[Any], plan: Plan, parent: Parent
) -> Measurement:
    """Train `model` as `plan` says and return what was measured.

    Args:
        model: A compiled Keras model.
        data: Anything that `model.fit` takes.
        validation_data: The same, or `None`.
        callbacks: The project's own Keras callbacks, which count as they do in training.
        plan: What to measure.
        parent: Is told of the progress, and may have the yardstick.

    Raises:
        GuardError: The model is not compiled, the data has no batch of the declared size, or what was given for
            validation is the data's targets.
    """
    __tracebackhide__ = True
    check_model(model)
    check_validation(data, validation_data)
    at_once = steps_at_once(model)
    plan = _with_updates(plan, model)
    reading = KeptByPipeline(plan)
    source, first_batch = open_source(data, plan.case.batch_size, at_once, reading)
    if plan.has_cpu_pool:
        validation_data = first_batch_again(validation_data, reading)
    recorder = Recorder(plan, parent, at_once, reading.bytes_beside(first_batch))
    arguments = _fit_arguments(source, plan)
    steps = _Steps(model, callbacks, arguments, recorder, lacks_validation=validation_data is not None)
    learning_rate = fingerprint.learning_rate(model)
    recorder.start()
    fit(model, arguments, steps)
    recorder.training_ended(complete=steps.complete)
    curve = steps.loss_curve()  # before the validation uses the same metrics
    steps.forget_model()
    if validation_data is not None:
        batch_size = plan.case.batch_size
        recorder.validation(lambda ended: evaluate(model, validation_data, batch_size, VALIDATION_STEPS, ended))
    measurement = recorder.fill(
        replace(
            described(model, first_batch, plan, learning_rate),
            retraces=None if model.run_eagerly else steps.retraces(plan.warmup),
            data_images=source.most_images,
            notes=steps.notes(),
        ),
        curve,
    )
    batches = None if source.is_single_use else source.fit_batches
    return breakdown.add(measurement, plan, batches, recorder, lambda drift: _model_seconds(model, source, drift))


def _with_updates(plan: Plan, model: Any) -> Plan:
    """Return the plan for a model whose weights change only every so many steps: with a few changes in every part."""
    every = fingerprint.steps_to_update(model)
    if every == 1:
        return plan
    return replace(plan, warmup=max(plan.warmup, every + 1), steps=max(plan.steps, 2 * every), steps_to_update=every)


def check_model(model: Any) -> None:
    """Make sure that a model can be trained.

    Raises:
        GuardError: It is no Keras model, or not compiled.
    """
    if not isinstance(model, keras.Model):
        found = f"{type(model).__name__} of tf_keras" if _is_of_keras_2(model) else type(model).__name__
        raise GuardError(f"train() was given a {found}; allowed is a compiled Keras model, of Keras 3")
    if not getattr(model, "compiled", False):
        raise GuardError("the model is not compiled: call `model.compile(...)` before `batchguard.train(...)`")


def _is_of_keras_2(model: Any) -> bool:
    return type(model).__module__.startswith("tf_keras")  # also what `tf.keras` is with TF_USE_LEGACY_KERAS=1


def described(model: Any, first_batch: Any, plan: Plan, learning_rate: float | None = None) -> Measurement:
    """Return a measurement that says what is trained and with what, and has no figures; see `fingerprint.of_model`."""
    return Measurement(
        batch_size=plan.case.batch_size,
        image_size=plan.case.image_size,
        model=fingerprint.of_model(model, first_batch, learning_rate),
        provenance=runtime.provenance(),
        activation_bytes=activation_bytes(model),
    )


class _Steps(Callbacks):
    """The project's callbacks, and the recorder, which is told of every step.

    The recorder alone ends the training: early stopping, or an end at a loss that is not a number, would leave nothing
    to judge.
    """

    def __init__(
        self,
        model: Any,
        callbacks: Sequence[Any],
        arguments: Mapping[str, Any],
        recorder: Recorder,
        *,
        lacks_validation: bool,
    ) -> None:
        super().__init__(model, callbacks, arguments, lacks_validation=lacks_validation)
        self.complete = False
        self._lacks_loss = False
        self._not_finite: list[str] = []
        self._reports_running_mean = False
        self._recorder = recorder
        self._means_begin = [0]
        self._tracings = 0
        self._tracings_at: list[int] = []
        self._reset_metrics = model.reset_metrics
        self._watch(model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_end(epoch, logs)
        self.model.stop_training = self.complete

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._tracings_at.append(self._tracings)
        reported = _reported(logs)
        self._lacks_loss = not _is_number(logs.get("loss"))
        if self._recorder.step_ended(reported):
            self.complete = True
            self._not_finite = _losses_not_finite(logs)
            self._reports_running_mean = _is_running_mean(self.model, float(reported))
        super().on_train_batch_end(batch, logs)
        if self._means_begin[-1] == len(self._recorder.losses):
            self._reset_metrics()  # a callback evaluated the model, and what that left is none of the training's
        self.model.stop_training = self.complete

    def retraces(self, warmup: int) -> int:
        """Return how often the training step was traced after the warm-up."""
        return self._tracings_at[-1] - self._tracings_at[min(warmup, len(self._tracings_at)) - 1]

    def loss_curve(self) -> list[float]:
        """Return the loss of every step, out of Keras's running mean where that is what it reports; or none.

        Of losses by other names nothing is known but whether they came to be infinite or no numbers: that is one step.
        """
        if self._lacks_loss:
            return [math.nan] if self._not_finite else []
        reported = [float(loss) for loss in self._recorder.losses]
        if not self._reports_running_mean:
            return reported
        bounds = [*self._means_begin, len(reported)]
        return [loss for begin, end in itertools.pairwise(bounds) for loss in undo_running_mean(reported[begin:end])]

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of a training that reports no `loss`."""
        if not self._lacks_loss:
            return ()
        return (f"not finite at the end: {', '.join(self._not_finite)}" if self._not_finite else _NO_LOSS,)

    def forget_model(self) -> None:
        """Leave the model as it was found."""
        del self.model.train_step, self.model.reset_metrics

    def _watch(self, model: Any) -> None:
        train_step = model.train_step

        def traced(*arguments: Any, **keywords: Any) -> Any:
            self._tracings += 1  # Python runs a tf.function's body when it is traced, and only then
            return train_step(*arguments, **keywords)

        def reset() -> None:
            self._means_begin.append(len(self._recorder.losses))
            self._reset_metrics()

        model.train_step = traced
        model.reset_metrics = reset
        model.make_train_function(force=True)


def _fit_arguments(source: Source, plan: Plan) -> dict[str, Any]:
    """Return the project's data, or its first batch alone in the CPU's memory pass.

    There the pipeline's buffers would lie in the measured pool, as many as prefetching happened to fill; on a GPU
    they lie in the host's memory.
    """
    cached = source.cached() if plan.has_cpu_pool else None
    return cached or source.fit_arguments()


def _reported(logs: Any) -> Any:
    """Return the loss or, where the step reports none that is one number, something else of it to wait for."""
    return logs["loss"] if _is_number(logs.get("loss")) else keras.ops.sum(tf.nest.flatten(logs)[0])


def _losses_not_finite(logs: Mapping[str, Any]) -> list[str]:
    """Return the names of what is called a loss, such as `d_loss`, and is infinite or no number."""
    losses = {name: value for name, value in logs.items() if "loss" in name.lower()}
    return [name for name, loss in losses.items() if not all(map(_is_finite, tf.nest.flatten(loss)))]


def _is_finite(loss: Any) -> bool:
    return bool(keras.ops.all(keras.ops.isfinite(loss)))


def _is_number(loss: Any) -> bool:
    return loss is not None and len(getattr(loss, "shape", ())) == 0


def _is_running_mean(model: Any, last_reported: float) -> bool:
    """Return whether the loss that was reported last is what one of the model's means holds, whatever its name."""
    means = [metric for metric in model.metrics if isinstance(metric, keras.metrics.Mean)]
    # Compiled by XLA the division that gave what was reported may be rounded otherwise.
    return any(math.isclose(float(metric.result()), last_reported, rel_tol=_ROUNDING) for metric in means)


def _model_seconds(model: Any, source: Source, drift: Drift | None) -> float | None:
    arguments = source.cached()
    if arguments is None:
        return None
    timer = _Timer(model, Stopwatch(time.perf_counter, drift))
    fit(model, arguments, timer)
    return timer.step_seconds / steps_at_once(model)


class _Timer(keras.callbacks.CallbackList):  # type: ignore[misc]  # keras has no types
    """Times unbroken steps on one cached batch."""

    def __init__(self, model: Any, stopwatch: Stopwatch) -> None:
        super().__init__([], add_history=True, model=model)
        self.step_seconds = 0.0
        self._stopwatch = stopwatch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, logs)
        seconds = self._stopwatch.lap(lambda: float(_reported(logs)))
        if seconds is not None:
            self.step_seconds = seconds
            self.model.stop_training = True
