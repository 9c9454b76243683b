"""The steps before the first window: tracing, the allocator's growth, full caches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

SETTLED = 1.25
LONGEST_WARMUP = 4
"""The warm-up ends with a step that took at most 1.25 times the fastest, or with 4 times the steps asked for."""


@dataclass
class WarmUp:
    """Told of the end of every step, whose result must be there, it says when they have settled.

    Attributes:
        steps: To wait for at the least.
        clock: Seconds, monotonic.
        steps_at_once: Steps that the framework runs between two calls of `step_ended`.
        last_seconds: Of the last step; not a number before the second, since nobody saw the first begin.
    """

    steps: int
    clock: Callable[[], float]
    steps_at_once: int = 1
    last_seconds: float = math.nan
    _seen: int = 0
    _last_end: float = math.nan
    _seconds: list[float] = field(default_factory=list)

    def step_ended(self) -> bool:
        """Take note of one step's end; return whether the windows may begin."""
        now = self.clock()
        self._seen += self.steps_at_once
        self.last_seconds = (now - self._last_end) / self.steps_at_once
        self._last_end = now
        if math.isnan(self.last_seconds):
            return False
        self._seconds.append(self.last_seconds)
        is_fast = self.last_seconds <= SETTLED * min(self._seconds)
        return self._seen >= self.steps and (is_fast or self._seen >= LONGEST_WARMUP * self.steps)

    @property
    def usual_seconds(self) -> float:
        """The median of the last steps: of an input-bound training's some find prefetched data, the last maybe too."""
        return median(self._seconds[-self.steps :])
