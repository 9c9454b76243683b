"""Times laps in a few unbroken runs and takes the median, so that one disturbed moment does not decide.

A part of a step is timed seconds after the steps were, and a machine drifts in seconds. So the yardstick may be read
between the runs, as it is between windows of steps, and the laps be told as long as they would have been beside these.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

SKIPPED = 2
"""Laps before the clock starts: a new iterator's first batches are not its steady state."""

LAPS = 6
"""Laps timed in one unbroken run."""

RUNS = 5
"""Runs of which the median counts."""

LONGEST_SECONDS = 1.0
"""Time in runs after which no other is begun."""

READING_SHARE = 0.6
LONGEST_READING_SECONDS = 0.06
"""Time of the yardstick between two runs: a share of the last run's, but no more than this."""

SKIPPED_AFTER_PAUSE = 1
"""Laps after a reading that do not count: they find prefetched data or cold caches."""


Drift = Callable[[float], float]
"""Reads the yardstick for so many seconds; returns how long it takes now, relative to how long beside the steps."""


class Stopwatch:
    """Times runs of laps after a few laps that do not count.

    Args:
        clock: Seconds, monotonic.
        drift: `None` where no yardstick is at hand.
    """

    def __init__(self, clock: Callable[[], float], drift: Drift | None = None) -> None:
        self._clock = clock
        self._drift = drift
        self._drift_before = self._read_drift(LONGEST_READING_SECONDS)
        self._to_skip = SKIPPED
        self._spent = 0.0
        self._runs: list[float] = []

    def lap(self, synchronise: Callable[[], object]) -> float | None:
        """Take note of a lap's end; return the median run's seconds a lap when enough were seen, else `None`.

        Enough are `RUNS` runs, or what `LONGEST_SECONDS` have room for.

        Args:
            synchronise: Returns when the lap's result is there; called at the ends of runs only.
        """
        if self._to_skip:
            self._to_skip -= 1
            if not self._to_skip:
                synchronise()
                self._begin_run()
            return None
        self._laps_in_run += 1
        is_late = self._spent + self._clock() - self._begin > LONGEST_SECONDS
        if self._laps_in_run < LAPS and not is_late:
            return None
        synchronise()
        self._end_run()
        if len(self._runs) == RUNS or self._spent > LONGEST_SECONDS:
            return statistics.median(self._runs)
        return None

    def _begin_run(self) -> None:
        self._laps_in_run = 0
        self._begin = self._clock()

    def _end_run(self) -> None:
        seconds = self._clock() - self._begin
        self._spent += seconds
        drift_after = self._read_drift(min(LONGEST_READING_SECONDS, READING_SHARE * seconds))
        if self._laps_in_run == LAPS or not self._runs:
            drift = (self._drift_before + drift_after) / 2
            self._runs.append(seconds / self._laps_in_run / drift)
        self._drift_before = drift_after
        self._to_skip = SKIPPED_AFTER_PAUSE if self._drift is not None else 0
        self._begin_run()

    def _read_drift(self, at_least: float) -> float:
        return self._drift(at_least) if self._drift is not None else 1.0
