"""Steady-state throughput: unbroken windows of steps, each bracketed by the yardstick.

A pause between two steps would let the input pipeline's prefetching catch up and an input-bound project look faster
than it is; so the yardstick runs before and after a window, never within one, and the first step after a pause,
which finds the prefetched batches, belongs to no window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from pytest_batchguard.core.model import ThroughputFigures
from pytest_batchguard.core.statistics import has_settled, median_interval
from pytest_batchguard.measure import yardstick
from pytest_batchguard.measure.yardstick import Yardstick

WINDOWS = 6
"""Windows measured; the median over them is the figure."""

SHORTEST_WINDOW_SECONDS = 0.12
"""Shorter windows measure the scheduler."""

PREFETCHED_STEPS = 1
"""Steps after a pause that belong to no window."""


@dataclass
class ThroughputMeter:
    """Told of the end of every step, it says when enough were seen.

    Attributes:
        batch_size: Images in a step.
        warmup: Steps before the first window; tracing and the allocator's growth fall into these.
        steps: Steps to measure at the least, spread over the windows.
        steps_at_once: Steps that the framework runs between two calls of `step_ended` (Keras's `steps_per_execution`).
        clock: Seconds, monotonic.
        build_yardstick: Builds the yardstick when the warm-up has ended; timed before, between and after the windows.
    """

    batch_size: int
    warmup: int
    steps: int
    clock: Callable[[], float]
    build_yardstick: Callable[[], Yardstick]
    steps_at_once: int = 1
    _seen: int = 0
    _last_end: float = math.nan
    _step_seconds: float = math.nan
    _window_steps: int = 0
    _in_window: int = 0
    _window_begin: float | None = None
    _windows: list[float] = field(default_factory=list)
    _yardsticks: list[float] = field(default_factory=list)
    _yardstick: Yardstick | None = None

    def step_ended(self, synchronise: Callable[[], object]) -> bool:
        """Take note of one step's end; return whether the last window is full.

        Args:
            synchronise: Returns when the step's result is there; called in the warm-up and at a window's edges only,
                so that a window's steps follow one another as in ordinary training.
        """
        self._seen += self.steps_at_once
        if not self._yardsticks:
            self._warm_up(synchronise)
            return False
        self._in_window += self.steps_at_once
        if self._window_begin is None:
            if self._in_window >= PREFETCHED_STEPS:
                synchronise()
                self._in_window, self._window_begin = 0, self.clock()
            return False
        if self._in_window >= self._window_steps:
            synchronise()
            self._windows.append((self.clock() - self._window_begin) / self._in_window)
            self._pause()
        return len(self._windows) == WINDOWS

    @property
    def images_per_second(self) -> float:
        """What the figures so far say, for showing progress; not a number before the second step."""
        seconds = self._windows[-1] if self._windows else self._step_seconds
        return self.batch_size / seconds

    def figures(self) -> ThroughputFigures:
        """Return what the windows yielded; call it when `step_ended` has returned true."""
        beside = [(before + after) / 2 for before, after in pairwise(self._yardsticks)]
        paces = [seconds / yard for seconds, yard in zip(self._windows, beside, strict=True)]
        low, high = median_interval(paces)
        return ThroughputFigures(
            images_per_second=self.batch_size / median(self._windows),
            pace=median(paces),
            yardstick=yardstick.VERSION,
            pace_low=low,
            pace_high=high,
            window_steps=self._window_steps,
            step_seconds=tuple(self._windows),
            yardstick_seconds=tuple(beside),
            settled=has_settled(paces),
        )

    def _warm_up(self, synchronise: Callable[[], object]) -> None:
        synchronise()
        now = self.clock()
        self._step_seconds = (now - self._last_end) / self.steps_at_once
        self._last_end = now
        if self._seen >= self.warmup:
            self._plan_windows()
            self._pause()

    def _plan_windows(self) -> None:
        fewest = math.ceil(self.steps / WINDOWS)
        if self._step_seconds > 0:
            fewest = max(fewest, math.ceil(SHORTEST_WINDOW_SECONDS / self._step_seconds))
        self._window_steps = fewest

    def _pause(self) -> None:
        if self._yardstick is None:
            self._yardstick = self.build_yardstick()
        self._yardsticks.append(self._yardstick.seconds())
        self._in_window, self._window_begin = 0, None
