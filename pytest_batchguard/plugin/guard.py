"""The object behind the fixture `batchguard`: what a guard asks, and the one door to training."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_batchguard.core.model import Device, Failure, FailureKind, Measurement
from pytest_batchguard.core.plain import to_plain
from pytest_batchguard.core.plan import Parent, Pass, Plan
from pytest_batchguard.errors import DataTooSmallError, GuardError

_PACKAGE = Path(__file__).resolve().parents[1]
TAKEN = "batchguard: this process has measured what it was started for"


class BatchGuard:
    """One case of a guard: its sizes, and the training to measure.

    Attributes:
        batch_size: Images in a batch.
        image_size: Height and width in pixels.
        steps: Training steps to measure, after the warm-up.
        seed: What Python, NumPy and TensorFlow are seeded with.
        device: What the model trains on.
    """

    def __init__(self, plan: Plan, parent: Parent, rootdir: Path) -> None:
        self.batch_size: int = plan.case.batch_size
        self.image_size: tuple[int, int] = (plan.case.image_size.height, plan.case.image_size.width)
        self.steps: int = plan.steps
        self.seed: int = plan.seed
        self.device: Device = plan.device
        self._plan = plan
        self._parent = parent
        self._rootdir = rootdir
        self._has_trained = False

    def train(
        self, model: Any, data: Any, validation_data: Any = None, *, callbacks: Sequence[Any] = ()
    ) -> Measurement:
        """Train a compiled Keras model for the case's steps through its own `fit`, and measure it.

        Args:
            model: A compiled Keras model.
            data: Anything that `model.fit` takes: a `tf.data.Dataset` or `PyDataset` of batches of `batch_size`
                images, or arrays as `(x, y)`. Repeated where it is shorter than the steps.
            validation_data: The same; a few steps of it run after the training, so that their memory counts.
            callbacks: The project's own Keras callbacks.

        Returns:
            What was measured, for assertions of the test's own.

        Raises:
            GuardError: The model is not compiled, or the data does not yield batches of `batch_size`.
        """
        __tracebackhide__ = True

        def run() -> Measurement:
            __tracebackhide__ = True
            from pytest_batchguard.training import gradients, keras_fit, trial

            if self._plan.kind is Pass.NOISE:
                return gradients.sample(model, data, callbacks, self._plan, self._parent)
            if self._plan.kind is Pass.TRIAL:
                return trial.train(model, data, validation_data, callbacks, self._plan, self._parent)
            return keras_fit.train(model, data, validation_data, callbacks, self._plan, self._parent)

        return self._measure(run)

    def train_step(self, step: Callable[[Any], Any], data: Any) -> Measurement:
        """Call a hand-written training step for the case's steps, and measure it.

        Args:
            step: `step(batch)` trains once and returns the loss.
            data: A `tf.data.Dataset`, a `PyDataset`, arrays or any iterable of batches of `batch_size` images.

        Returns:
            What was measured, for assertions of the test's own.

        Raises:
            GuardError: The step returns no loss, or the data does not yield batches of `batch_size`.
        """
        __tracebackhide__ = True

        def run() -> Measurement:
            __tracebackhide__ = True
            from pytest_batchguard.training import custom_step

            return custom_step.train(step, data, self._plan, self._parent)

        return self._measure(run)

    def _measure(self, run: Callable[[], Measurement]) -> Measurement:
        __tracebackhide__ = True
        if self._has_trained:
            raise GuardError("the guard trains twice; one guard measures one training: write a second test")
        self._has_trained = True
        try:
            measurement = run()
        except DataTooSmallError as error:
            failed = self._failed(Failure(FailureKind.FEW_IMAGES, str(error)))
            self._report(replace(failed, data_images=error.images))
            raise GuardError(str(error)) from None
        except GuardError as error:
            self._report(self._failed(Failure(FailureKind.ERROR, str(error))))
            raise GuardError(str(error)) from None
        except Exception as error:
            self._raise_for(error)
        self._report(measurement)
        if self._plan.is_probe or not self._plan.kind.takes_throughput:
            pytest.skip(TAKEN)
        return measurement

    def _raise_for(self, error: Exception) -> None:
        """Report why training failed; hide the framework's frames where none of the project's lies among them."""
        __tracebackhide__ = True
        from pytest_batchguard.training import oom

        failure = oom.classify(error) or Failure(FailureKind.ERROR, f"training failed: {oom.condense(error)}")
        self._report(self._failed(failure))
        if self._passes_through_project(error):
            raise error
        raise GuardError(failure.message) from None

    def _passes_through_project(self, error: Exception) -> bool:
        files = (Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__))
        return any(
            file.is_relative_to(self._rootdir) and "site-packages" not in file.parts and _PACKAGE not in file.parents
            for file in files
        )

    def _failed(self, failure: Failure) -> Measurement:
        return Measurement(self._plan.case.batch_size, self._plan.case.image_size, failure=failure)

    def _report(self, measurement: Measurement) -> None:
        self._parent.send({"kind": "measurement", "measurement": to_plain(measurement)})
