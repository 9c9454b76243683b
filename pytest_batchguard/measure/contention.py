"""Who else kept the processor busy while something was timed."""

from __future__ import annotations

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
        return Contention(max(0.0, others), max(0.0, stolen))


@dataclass
class CpuClock:
    """Reads the system's times; the descendants are those of the first reading, since looking for them takes long."""

    _cores: int = 0
    _descendants: list[Any] = field(default_factory=list)

    def read(self) -> CpuTimes:
        """Return the times so far."""
        import psutil

        if not self._cores:
            self._cores = psutil.cpu_count() or 1
            self._descendants = psutil.Process().children(recursive=True)
        # The system counts in ticks of 10 ms; where there is a finer clock, it is the one read.
        times = psutil.cpu_times()
        own = time.process_time()
        for descendant in self._descendants:
            try:
                spent = descendant.cpu_times()
            except psutil.NoSuchProcess:
                continue
            own += spent.user + spent.system
        return CpuTimes(
            total=time.perf_counter() * self._cores,
            idle=times.idle + getattr(times, "iowait", 0.0),
            stolen=getattr(times, "steal", 0.0),
            own=own,
        )
