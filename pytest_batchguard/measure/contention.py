"""Who else kept the processor busy while something was timed."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass

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
    """Reads the times of the cores that this process may run on."""

    _cores: tuple[int, ...] | None = None

    def read(self) -> CpuTimes:
        """Return the times so far."""
        import psutil

        if self._cores is None:
            self._cores = _bound_to()
        # The system counts in ticks of 10 ms; where there is a finer clock, it is the one read.
        if self._cores:
            every = psutil.cpu_times(percpu=True)
            mine = [every[core] for core in self._cores]
        else:
            mine = [psutil.cpu_times()]
        ended = os.times()
        own = time.process_time() + ended.children_user + ended.children_system + _spent_by_descendants()
        return CpuTimes(
            total=time.perf_counter() * (len(self._cores) or psutil.cpu_count() or 1),
            idle=math.fsum(core.idle + getattr(core, "iowait", 0.0) for core in mine),
            stolen=math.fsum(getattr(core, "steal", 0.0) for core in mine),
            own=own,
        )


def _spent_by_descendants() -> float:
    """Return the seconds of the descendants that live; workers come and go, so they are looked for every time."""
    import psutil

    if not _has_child():  # looking takes long
        return 0.0
    spent = 0.0
    for descendant in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            times = descendant.cpu_times()
            spent += times.user + times.system
    return spent


def _bound_to() -> tuple[int, ...]:
    """Return the cores that this process is bound to, of all that the system tells of; none where it may run on any.

    Nor are there any where cores that are offline, or a container's own list, leave it open which of them is which.
    """
    import psutil

    if not hasattr(os, "sched_getaffinity"):
        return ()
    known = psutil.cpu_count() or 0
    cores = os.sched_getaffinity(0)
    is_numbered = known == os.sysconf("SC_NPROCESSORS_CONF")
    return tuple(cores) if is_numbered and len(cores) < known else ()


def _has_child() -> bool:
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
