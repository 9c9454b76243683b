"""Train on so many images, then validate: how one batch size learns, beside others at equal work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Parent, Plan
from pytest_batchguard.training.ending import Callbacks, StopAfter, fit, steps_at_once
from pytest_batchguard.training.fingerprint import own_optimizer, rate_now
from pytest_batchguard.training.keras_fit import check_model, described
from pytest_batchguard.training.source import open_source
from pytest_batchguard.training.validation import evaluate


def train(
    model: Any, data: Any, validation_data: Any, callbacks: Sequence[Any], plan: Plan, parent: Parent
) -> Measurement:
    """Train the plan's images with the scaled learning rate and send the figures of the validation.

    Args:
        model: A compiled Keras model.
        data: Anything that `model.fit` takes.
        validation_data: The same, or `None`.
        callbacks: The project's own.
        plan: What to do.
        parent: Takes the message `trial`, with steps, images and figures, or why there are none.

    Raises:
        GuardError: The model is not compiled, or the data has no batch of the size.
    """
    check_model(model)
    source, first_batch = open_source(data, plan.case.batch_size, steps_at_once(model))
    if validation_data is None:
        parent.send({"kind": "trial", "why_not": "the guard passes no validation_data to train()"})
    else:
        factor = plan.learning_rate_factor
        own = callbacks if factor == 1 else scale_learning_rate(own_optimizer(model), factor, callbacks)
        steps = max(1, round(plan.trial_images / plan.case.batch_size))
        stop = StopAfter(steps, parent)
        arguments = source.fit_arguments()
        fit(model, arguments, Callbacks(model, [*own, stop], arguments, lacks_validation=True))
        figures = evaluate(model, validation_data, plan.case.batch_size)
        ended_early = stop.steps_seen < steps
        parent.send(
            {
                "kind": "trial",
                "why_not": f"it ended after {stop.steps_seen} of {steps} steps" if ended_early else "",
                "steps": stop.steps_seen,
                "images": stop.steps_seen * plan.case.batch_size,
                "loss": figures.pop("loss", math.nan),
                "metrics": figures,
            }
        )
    return described(model, first_batch, plan)


def scale_learning_rate(optimizer: Any, factor: float, callbacks: Sequence[Any]) -> list[Any]:
    """Multiply an optimizer's learning rate, or what its schedule or function yields, by a factor.

    Args:
        optimizer: The project's own.
        factor: What to multiply by.
        callbacks: The project's own.

    Returns:
        The callbacks to train with: what one of the project's sets as learning rate is multiplied too.
    """
    rate = optimizer._learning_rate  # noqa: SLF001 -- the public property yields the schedule's current value
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        optimizer.learning_rate = _Scaled(rate, factor)
    elif callable(rate):
        optimizer.learning_rate = lambda: rate() * factor
    else:
        scaling = _Scaling(optimizer, factor)
        scaling.scale()
        if callbacks:
            return [_AtEveryHook(scaling.show), *callbacks, _AtEveryHook(scaling.scale)]
    return list(callbacks)


class _Scaling:
    """A learning rate times a factor, which shows the project's callbacks the rate as they know it."""

    def __init__(self, optimizer: Any, factor: float) -> None:
        self._optimizer = optimizer
        self._factor = factor
        self._shown = 0.0

    def show(self) -> None:
        """Take the factor out: before the project's callbacks read or set the rate."""
        self._optimizer.learning_rate = self._shown

    def scale(self) -> None:
        """Multiply what is there by the factor."""
        self._shown = rate_now(self._optimizer)
        self._optimizer.learning_rate = self._shown * self._factor


class _AtEveryHook(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Does the same wherever a callback may change the learning rate."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 -- Keras's signature, here and below
        self._act()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._act()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._act()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._act()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._act()


class _Scaled(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # keras has no types
    """A schedule times a factor."""

    def __init__(self, schedule: Any, factor: float) -> None:
        super().__init__()
        self._schedule = schedule
        self._factor = factor

    def __call__(self, step: Any) -> Any:
        return self._schedule(step) * self._factor
