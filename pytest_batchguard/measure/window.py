"""A window: steps that follow one another as in ordinary training, timed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_batchguard.core.figures import Contention
from pytest_batchguard.measure.contention import CpuTimes

FEWEST_STEPS_IN_WINDOW = 2

PREFETCHED_STEPS = 1
"""Steps after a pause that belong to no window: they find the batches that were prefetched meanwhile."""

_NOBODY = Contention(0.0, 0.0)


@dataclass
class Window:
    """Told of the end of every step after a pause, it says when it is full.

    Attributes:
        steps: That fill it.
        clock: Seconds, monotonic.
        read_cpu: Reads what the processor was used for.
        steps_at_once: Steps that the framework runs between two calls of `step_ended`.
        step_seconds: Seconds a step, once it is full.
        contention: What others had of the processor meanwhile, once it is full.
    """

    steps: int
    clock: Callable[[], float]
    read_cpu: Callable[[], CpuTimes]
    steps_at_once: int = 1
    step_seconds: float = 0.0
    contention: Contention = _NOBODY
    _seen: int = 0
    _begin: tuple[float, CpuTimes] | None = None

    def step_ended(self, synchronise: Callable[[], object]) -> bool:
        """Take note of one step's end; return whether the window is full.

        Args:
            synchronise: Returns when the step's result is there; called at the window's two edges only.
        """
        self._seen += self.steps_at_once
        if self._begin is None:
            if self._seen >= PREFETCHED_STEPS:
                synchronise()
                cpu = self.read_cpu()
                self._seen, self._begin = 0, (self.clock(), cpu)
            return False
        if self._seen < self.steps:
            return False
        synchronise()
        begin, cpu = self._begin
        self.step_seconds = (self.clock() - begin) / self._seen
        self.contention = cpu.contention_until(self.read_cpu()) or self.contention
        return True
