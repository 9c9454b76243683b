"""Where the time of a step goes: the pipeline alone, the model alone, both together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pytest_batchguard.core.figures import Breakdown
from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Plan
from pytest_batchguard.measure.stopwatch import Drift, Stopwatch
from pytest_batchguard.training.recorder import Recorder
from pytest_batchguard.training.source import Source


def add(
    measurement: Measurement,
    plan: Plan,
    source: Source,
    recorder: Recorder,
    model_seconds: Callable[[Drift | None], float | None],
) -> Measurement:
    """Return `measurement` with the breakdown of its step time, where both steps and model can be timed.

    A probe goes without the pipeline alone: which of the two is the slower is told by the steps and the model.

    Args:
        measurement: Without one.
        plan: What to measure.
        source: The project's data.
        recorder: Has timed the steps as they train, or has not.
        model_seconds: Times the model alone, given what tells the machine's drift; returns seconds a step, or `None`
            where it cannot.
    """
    step_seconds = recorder.step_seconds
    if step_seconds is None:
        return measurement
    pipeline_seconds = None
    if not plan.is_probe:
        recorder.enter("timing the input pipeline alone")
        pipeline_seconds = _pipeline_seconds(source, recorder.drift(on_core=True))
    recorder.enter("timing the model alone")
    alone = model_seconds(recorder.drift())
    if alone is None:
        return measurement
    return replace(measurement, breakdown=Breakdown(alone, step_seconds, pipeline_seconds))


def _pipeline_seconds(source: Source, drift: Drift | None) -> float | None:
    """Return the seconds a batch of the project's input pipeline, consumed at once.

    `None` where the data is gone once it is read.

    Args:
        source: The project's data.
        drift: Of the yardstick's arithmetic on one core; see `Stopwatch`.
    """
    if source.is_single_use:
        return None
    stopwatch = Stopwatch(time.perf_counter, drift)
    for _ in source.batches():
        seconds = stopwatch.lap(lambda: None)
        if seconds is not None:
            return seconds
    return None
