"""The other side of taking turns: a training that runs a window of steps whenever its parent asks for one.

So the base of a comparison serves as the yardstick of the head: its windows lie before and after each of the head's,
and have as many steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from pytest_batchguard.core.figures import ThroughputFigures
from pytest_batchguard.measure import yardstick
from pytest_batchguard.measure.contention import CpuTimes
from pytest_batchguard.measure.warmup import WarmUp
from pytest_batchguard.measure.window import Window


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
    _has_enough: bool = False
    _window: Window | None = None

    def __post_init__(self) -> None:
        """Begin with the warm-up."""
        self._warmup = WarmUp(self.warmup, self.clock, self.steps_at_once)

    def step_ended(self, synchronise: Callable[[], object]) -> bool:
        """Take note of one step's end; return whether training may stop.

        Args:
            synchronise: Returns when the step's result is there; called in the warm-up and at a window's edges only.
        """
        self._seen += self.steps_at_once
        if not self._has_enough:
            self._wait_or_answer(synchronise)
        return self._has_enough and self._seen >= self.warmup + self.steps

    @property
    def images_per_second(self) -> float:
        """What the last window says, for showing progress; not a number before the second step."""
        return self.batch_size / (self._windows[-1] if self._windows else self._warmup.last_seconds)

    @property
    def step_seconds(self) -> float | None:
        """Mean seconds a step in the windows; `None` before there is one."""
        return fmean(self._windows) if self._windows else None

    def figures(self) -> ThroughputFigures | None:
        """Return what the windows yielded, counted in this training's own steps; `None` before there is one."""
        if not self._windows:
            return None
        return ThroughputFigures(
            images_per_second=self.batch_size / median(self._windows),
            pace=1.0,
            yardstick=yardstick.VERSION,
            step_seconds=tuple(self._windows),
        )

    def _wait_or_answer(self, synchronise: Callable[[], object]) -> None:
        if self._window is None:
            synchronise()
            if self._warmup.step_ended():
                self._await_question({"kind": "ready"})
        elif self._window.step_ended(synchronise):
            seconds = self._window.step_seconds
            self._windows.append(seconds)
            reading = {"kind": "reading", "seconds": seconds, "disturbance": self._window.contention.share}
            self._await_question(reading)

    def _await_question(self, reading: dict[str, Any]) -> None:
        question = self.ask(reading)
        self._has_enough = bool(question.get("enough", False))
        if not self._has_enough:
            self._window = Window(question["steps"], self.clock, self.read_cpu, self.steps_at_once)
