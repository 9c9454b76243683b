"""The other side of taking turns: a training that runs a window of steps whenever its parent asks for one.

So the base of a comparison serves as the yardstick of the head: its windows lie before and after each of the head's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from pytest_batchguard.measure.contention import CpuTimes
from pytest_batchguard.measure.throughput import FEWEST_STEPS_IN_WINDOW, PREFETCHED_STEPS
from pytest_batchguard.measure.warmup import WarmUp


@dataclass
class AnsweringMeter:
    """Told of the end of every step, it answers questions and says when the parent has had enough.

    Attributes:
        batch_size: Images in a step.
        warmup: Steps before the first question is awaited.
        steps: Steps after these that the loss is followed for.
        ask: Hands the parent a reading and returns its next question; `enough` in it ends the windows.
        clock: Seconds, monotonic.
        read_cpu: Reads what the processor was used for.
        steps_at_once: Steps that the framework runs between two calls of `step_ended`.
    """

    batch_size: int
    warmup: int
    steps: int
    ask: Callable[[dict[str, Any]], dict[str, Any]]
    clock: Callable[[], float]
    read_cpu: Callable[[], CpuTimes]
    steps_at_once: int = 1
    _seen: int = 0
    _windows: list[float] = field(default_factory=list)
    _is_warm: bool = False
    _has_enough: bool = False
    _at_least: float = 0.0
    _in_window: int = 0
    _window_begin: float | None = None
    _cpu_begin: CpuTimes | None = None

    def __post_init__(self) -> None:
        """Begin with the warm-up."""
        self._warmup = WarmUp(self.warmup, self.clock, self.steps_at_once)

    def step_ended(self, synchronise: Callable[[], object]) -> bool:
        """Take note of one step's end; return whether training may stop.

        Args:
            synchronise: Returns when the step's result is there; called in the warm-up and at a window's edges only.
        """
        self._seen += self.steps_at_once
        if self._has_enough:
            return self._seen >= self.warmup + self.steps
        if not self._is_warm:
            synchronise()
            if self._warmup.step_ended():
                self._is_warm = True
                self._await_question({"kind": "ready"})
            return False
        self._in_window += self.steps_at_once
        if self._window_begin is None:
            if self._in_window >= PREFETCHED_STEPS:
                synchronise()
                self._cpu_begin = self.read_cpu()
                self._in_window, self._window_begin = 0, self.clock()
        elif self._in_window >= self._window_steps:
            synchronise()
            self._windows.append((self.clock() - self._window_begin) / self._in_window)
            contention = self._cpu_begin.contention_until(self.read_cpu()) if self._cpu_begin else None
            disturbance = contention.share if contention else 0.0
            self._await_question({"kind": "reading", "seconds": self._windows[-1], "disturbance": disturbance})
        return self._has_enough and self._seen >= self.warmup + self.steps

    @property
    def images_per_second(self) -> float:
        """What the last window says, for showing progress; not a number before the second step."""
        return self.batch_size / (self._windows[-1] if self._windows else self._warmup.last_seconds)

    @property
    def step_seconds(self) -> float | None:
        """Mean seconds a step in the windows; `None` before there is one."""
        return fmean(self._windows) if self._windows else None

    @property
    def _window_steps(self) -> int:
        usual = self._windows[-1] if self._windows else self._warmup.usual_seconds
        return max(FEWEST_STEPS_IN_WINDOW, math.ceil(self._at_least / usual))

    def _await_question(self, reading: dict[str, Any]) -> None:
        question = self.ask(reading)
        self._at_least = float(question.get("at_least", 0.0))
        self._has_enough = bool(question.get("enough", False))
        self._in_window, self._window_begin = 0, None
