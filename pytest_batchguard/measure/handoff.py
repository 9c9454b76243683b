"""How long one thread takes to wake another one on another core.

A training step hands work from thread to thread hundreds of times. Where a virtual machine's cores are put to sleep
and woken by the hypervisor, that takes longer in some seconds than in others, which no counter shows: a step of many
small operations then takes up to half as long again, one of few large ones hardly longer.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence

_ROUNDS = 100


class Handoff:
    """Two threads that wake one another in turn, each bound to a core of its own.

    Args:
        cores: Numbers of the two cores.
    """

    def __init__(self, cores: Sequence[int]) -> None:
        self._here, self._there = cores
        self._to_echo, self._from_echo = os.pipe(), os.pipe()
        threading.Thread(target=self._echo, daemon=True).start()

    def seconds(self) -> float:
        """Return the mean time of a wake-up."""
        usual = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self._here})
        try:
            begin = time.perf_counter()
            for _ in range(_ROUNDS):
                os.write(self._to_echo[1], b" ")
                os.read(self._from_echo[0], 1)
            return (time.perf_counter() - begin) / (2 * _ROUNDS)
        finally:
            os.sched_setaffinity(0, usual)

    def _echo(self) -> None:
        with contextlib.suppress(OSError):  # the core has been taken away meanwhile
            os.sched_setaffinity(0, {self._there})
        while True:
            os.write(self._from_echo[1], os.read(self._to_echo[0], 1))


def between_cores() -> Handoff | None:
    """Return what times the waking between two of this process's cores; `None` where it has one, or cannot choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    usual = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, usual)
    except OSError:
        return None
    cores = sorted(usual)[:2]
    return Handoff(cores) if len(cores) == 2 else None  # noqa: PLR2004 -- a pair
