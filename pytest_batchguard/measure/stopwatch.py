"""Times laps in a few unbroken runs and takes the median, so that one disturbed moment does not decide."""

from __future__ import annotations

import statistics
from collections.abc import Callable

SKIPPED = 2
"""Laps before the clock starts: a new iterator's first batches are not its steady state."""

LAPS = 6
"""Laps timed in one unbroken run."""

RUNS = 5
"""Runs of which the median counts."""

LONGEST_SECONDS = 2.0


class Stopwatch:
    """Times runs of laps after a few laps that do not count.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._laps = 0
        self._spent = 0.0
        self._runs: list[float] = []

    def lap(self, synchronise: Callable[[], object]) -> float | None:
        """Take note of a lap's end; return the median run's seconds a lap when enough were seen, else `None`.

        Enough are `RUNS` runs, or what `LONGEST_SECONDS` have room for.

        Args:
            synchronise: Returns when the lap's result is there; called at the ends of runs only.
        """
        self._laps += 1
        if self._laps == SKIPPED:
            synchronise()
            self._begin_run()
        if self._laps <= SKIPPED:
            return None
        self._laps_in_run += 1
        is_late = self._spent + self._clock() - self._begin > LONGEST_SECONDS
        if self._laps_in_run < LAPS and not is_late:
            return None
        synchronise()
        seconds = self._clock() - self._begin
        self._spent += seconds
        if self._laps_in_run == LAPS or not self._runs:
            self._runs.append(seconds / self._laps_in_run)
        if len(self._runs) == RUNS or self._spent > LONGEST_SECONDS:
            return statistics.median(self._runs)
        self._begin_run()
        return None

    def _begin_run(self) -> None:
        self._laps_in_run = 0
        self._begin = self._clock()
