"""Where the time of a step goes: the pipeline alone, the model alone, both together."""

from __future__ import annotations

import time
from dataclasses import replace

from pytest_batchguard.core.figures import Breakdown
from pytest_batchguard.core.model import Measurement
from pytest_batchguard.measure.stopwatch import Drift, Stopwatch
from pytest_batchguard.training.source import Source


def pipeline_seconds(source: Source, drift: Drift | None) -> float | None:
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


def add(measurement: Measurement, step: float | None, pipeline: float | None, model: float | None) -> Measurement:
    """Return `measurement` with the breakdown of its step time, where both steps and model were timed.

    Args:
        measurement: Without one.
        step: Seconds a step as it trains; `None` where the steps were not timed.
        pipeline: Seconds a batch of the pipeline alone; `None` where it was not measured.
        model: Seconds a step of the model alone; `None` where it was not measured.
    """
    if step is None or model is None:
        return measurement
    return replace(measurement, breakdown=Breakdown(pipeline, model, step))
