"""Where the time of a step goes: the pipeline alone, the model alone, both together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from pytest_batchguard.core.figures import Breakdown
from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Plan
from pytest_batchguard.measure.stopwatch import Drift, Stopwatch
from pytest_batchguard.training.recorder import Recorder


def add(
    measurement: Measurement,
    plan: Plan,
    batches: Callable[[], Iterator[Any]] | None,
    recorder: Recorder,
    model_seconds: Callable[[Drift | None], float | None],
) -> Measurement:
    """Return `measurement` with the breakdown of its step time, where both steps and model can be timed.

    A probe goes without the pipeline alone: which of the two is the slower is told by the steps and the model.

    Args:
        measurement: Without one.
        plan: What to measure.
        batches: Returns the project's batches without end; `None` where what is read is gone.
        recorder: Has timed the steps as they train, or has not.
        model_seconds: Times the model alone, given what tells the machine's drift; returns seconds a step, or `None`
            where it cannot.
    """
    step_seconds = recorder.step_seconds
    if step_seconds is None:
        return measurement
    pipeline_seconds = None
    if batches is not None and not plan.is_probe:
        recorder.enter("timing the input pipeline alone")
        pipeline_seconds = _pipeline_seconds(batches(), recorder.drift(on_core=True))
    recorder.enter("timing the model alone")
    alone = model_seconds(recorder.drift())
    if alone is None:
        return measurement
    return replace(measurement, breakdown=Breakdown(alone, step_seconds, pipeline_seconds))


def _pipeline_seconds(batches: Iterator[Any], drift: Drift | None) -> float | None:
    """Return the seconds a batch of the project's input pipeline, consumed at once.

    Args:
        batches: The project's, without end.
        drift: Of the yardstick's arithmetic on one core; see `Stopwatch`.
    """
    stopwatch = Stopwatch(time.perf_counter, drift)
    laps = (stopwatch.lap(lambda: None) for _ in batches)
    return next((seconds for seconds in laps if seconds is not None), None)
