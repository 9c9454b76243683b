"""Where the time of a step goes: the pipeline alone, the model alone, both together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from pytest_batchguard.core.model import Breakdown, Measurement
from pytest_batchguard.training.source import Source

SKIPPED = 2
"""Laps before the clock starts: a new iterator's first batches are not its steady state."""

LAPS = 6
"""Laps timed, in one unbroken run."""

_LONGEST_SECONDS = 2.0


class Stopwatch:
    """Times an unbroken run of laps after a few that do not count.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._laps = 0
        self._begin = math.nan

    def lap(self, synchronise: Callable[[], object]) -> float | None:
        """Take note of a lap's end; return the mean seconds a lap when enough were seen, else `None`.

        Args:
            synchronise: Returns when the lap's result is there; called at both ends of the run only.
        """
        self._laps += 1
        if self._laps == SKIPPED:
            synchronise()
            self._begin = self._clock()
        timed = self._laps - SKIPPED
        if timed == LAPS or (timed > 0 and self._clock() - self._begin > _LONGEST_SECONDS):
            synchronise()
            return (self._clock() - self._begin) / timed
        return None


def pipeline_seconds(source: Source) -> float | None:
    """Return the seconds a batch of the project's input pipeline, consumed at once.

    `None` where the data is gone once it is read.
    """
    if source.is_single_use:
        return None
    stopwatch = Stopwatch(time.perf_counter)
    for _ in source.batches():
        seconds = stopwatch.lap(lambda: None)
        if seconds is not None:
            return seconds
    return None


def add(measurement: Measurement, step: float | None, pipeline: float | None, model: float | None) -> Measurement:
    """Return `measurement` with the breakdown of its step time, where both steps and model were timed.

    Args:
        measurement: Without one.
        step: Mean seconds a step as it trains; `None` where the steps were not timed.
        pipeline: Seconds a batch of the pipeline alone; `None` where it was not measured.
        model: Seconds a step of the model alone; `None` where it was not measured.
    """
    if step is None or model is None:
        return measurement
    return replace(measurement, breakdown=Breakdown(pipeline, model, step))
