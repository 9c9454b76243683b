"""Drive a hand-written training step and take the figures."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Parent, Plan
from pytest_batchguard.errors import GuardError
from pytest_batchguard.measure.stopwatch import Stopwatch
from pytest_batchguard.training import breakdown, fingerprint, runtime
from pytest_batchguard.training.pipeline_pool import KeptByPipeline
from pytest_batchguard.training.recorder import Recorder
from pytest_batchguard.training.source import open_source


def train(step: Callable[[Any], Any], data: Any, plan: Plan, parent: Parent) -> Measurement:
    """Call `step` with batch after batch as `plan` says and return what was measured.

    Args:
        step: `step(batch)` trains once and returns the loss, a scalar tensor or a number.
        data: A `tf.data.Dataset`, a `PyDataset`, arrays or any iterable of batches.
        plan: What to measure.
        parent: Is told of the progress, and may have the yardstick.

    Raises:
        GuardError: The step returns no loss, or the data has no batch of the declared size.
    """
    __tracebackhide__ = True
    if not callable(step):
        raise GuardError(f"train_step() was given a {type(step).__name__}; allowed is a function `step(batch)`")
    reading = KeptByPipeline(plan)
    source, first_batch = open_source(data, plan.case.batch_size, reading=reading)
    recorder = Recorder(plan, parent, beside_bytes=reading.bytes_beside(first_batch))
    tracings: list[int] = []
    complete = False
    recorder.start()
    batches = itertools.repeat(first_batch) if plan.has_cpu_pool else source.batches()
    for batch in batches:
        loss = _checked(step(batch))
        tracings.append(_tracing_count(step))
        complete = recorder.step_ended(loss)
        if complete:
            break
    recorder.training_ended(complete=complete)

    measurement = recorder.fill(
        Measurement(
            batch_size=plan.case.batch_size,
            image_size=plan.case.image_size,
            model=fingerprint.of_step(step, first_batch),
            provenance=runtime.provenance(),
            retraces=_retraces(step, tracings, plan.warmup),
            data_images=source.most_images,
        ),
        [float(loss) for loss in recorder.losses],
    )
    return breakdown.add(
        measurement,
        plan,
        None if source.is_single_use else source.batches,
        recorder,
        lambda drift: _step_seconds(step, first_batch, Stopwatch(time.perf_counter, drift)),
    )


def _checked(loss: Any) -> Any:
    shape = getattr(loss, "shape", ())
    if loss is None or isinstance(loss, (dict, tuple, list, str)) or len(shape) > 0:
        found = f"a {type(loss).__name__} of shape {tuple(shape)}" if len(shape) else f"a {type(loss).__name__}"
        raise GuardError(f"`step(batch)` returned {found}; it must return the loss, one number")
    return loss


def _tracing_count(step: Any) -> int:
    return int(step.experimental_get_tracing_count()) if hasattr(step, "experimental_get_tracing_count") else 0


def _retraces(step: Any, tracings: list[int], warmup: int) -> int | None:
    if not hasattr(step, "experimental_get_tracing_count"):
        return None
    return tracings[-1] - tracings[min(warmup, len(tracings)) - 1]


def _step_seconds(step: Callable[[Any], Any], batch: Any, stopwatch: Stopwatch) -> float:
    seconds = None
    while seconds is None:
        loss = step(batch)
        seconds = stopwatch.lap(lambda loss=loss: float(loss))  # type: ignore[misc]
    return seconds
