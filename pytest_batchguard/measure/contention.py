"""Who else kept the processor busy while something was timed."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass, field
from typing import Any

from pytest_batchguard.core.figures import Contention


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of all cores together.

    Attributes:
        total: However they were spent.
        idle: By nobody.
        stolen: Taken by the hypervisor for other guests.
        own: By this process and its descendants.
    """

    total: float
    idle: float
    stolen: float
    own: float

    def contention_until(self, end: CpuTimes) -> Contention | None:
        """Return what others had of the processor from here to `end`; `None` where no time has passed."""
        total = end.total - self.total
        if total <= 0:
            return None
        stolen = (end.stolen - self.stolen) / total
        others = 1 - stolen - (end.idle - self.idle + end.own - self.own) / total
        return Contention(min(1.0, max(0.0, others)), max(0.0, stolen))


@dataclass
class CpuClock:
    """Reads the system's times; descendants are looked for anew where one has gone, since looking takes long."""

    _cores: int = 0
    _descendants: list[Any] = field(default_factory=list)

    def read(self) -> CpuTimes:
        """Return the times so far."""
        import psutil

        if not self._cores:
            self._cores = psutil.cpu_count() or 1
            self._look_for_descendants()
        # The system counts in ticks of 10 ms; where there is a finer clock, it is the one read.
        times = psutil.cpu_times()
        ended = os.times()
        own = time.process_time() + ended.children_user + ended.children_system
        try:
            own += self._spent_by_descendants()
        except psutil.NoSuchProcess:
            self._look_for_descendants()
            with contextlib.suppress(psutil.NoSuchProcess):
                own += self._spent_by_descendants()
        return CpuTimes(
            total=time.perf_counter() * self._cores,
            idle=times.idle + getattr(times, "iowait", 0.0),
            stolen=getattr(times, "steal", 0.0),
            own=own,
        )

    def _spent_by_descendants(self) -> float:
        spent = (descendant.cpu_times() for descendant in self._descendants)
        return math.fsum(times.user + times.system for times in spent)

    def _look_for_descendants(self) -> None:
        import psutil

        self._descendants = psutil.Process().children(recursive=True)
