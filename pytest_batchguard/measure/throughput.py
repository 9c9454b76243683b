"""Steady-state throughput: unbroken windows of steps, each bracketed by the yardstick.

A pause between two steps would let the input pipeline's prefetching catch up and an input-bound project look faster
than it is; so the yardstick runs before and after a window, never within one, and the first step after a pause,
which finds the prefetched batches, belongs to no window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median

from pytest_batchguard.core.figures import Contention, ThroughputFigures
from pytest_batchguard.core.plan import ROUGH_TOLERANCE
from pytest_batchguard.core.statistics import has_settled, median_interval
from pytest_batchguard.measure import yardstick
from pytest_batchguard.measure.contention import CpuTimes
from pytest_batchguard.measure.warmup import WarmUp
from pytest_batchguard.measure.window import FEWEST_STEPS_IN_WINDOW, Window
from pytest_batchguard.measure.yardstick import Reading, Yardstick

FEWEST_WINDOWS = 8
FEWEST_ROUGHLY = 4
MOST_WINDOWS = 24
FINE_TOLERANCE = 0.1
MOST_SECONDS = 60.0
"""Windows are added until the interval of the median pace is narrow, within these bounds. A tolerance of half and more
needs fewer, and after `MOST_SECONDS` there are no more than those; below a tenth there may be more of them, up to four
times as many, which halves the interval."""

NARROW_INTERVAL = 0.8
"""Width of that interval, in tolerances, at which measuring may end: what is judged finely is measured for longer."""

QUIET = 0.1
"""Share of the processor that others may have in a window or beside it: training and yardstick do not suffer alike."""

SLOW_HANDOFF = 0.15
"""By how much longer than usual a thread may take to wake another beside a window; the same of a whole process is known
better, see `core.noise`."""

SHORTEST_WINDOW_SECONDS = 0.12
"""Shorter windows measure the scheduler."""

YARDSTICK_SHARE = 0.6
"""Time of a pause relative to a window's: shorter, the yardstick would miss the drift that the window saw."""


@dataclass
class ThroughputMeter:
    """Told of the end of every step, it says when enough were seen.

    Attributes:
        batch_size: Images in a step.
        warmup: Steps before the first window at the least; tracing and the allocator's growth fall into these.
        steps: Steps to measure at the least, spread over the windows.
        tolerance: How much slower than its baseline the training may be.
        clock: Seconds, monotonic.
        read_cpu: Reads what the processor was used for.
        build_yardstick: Builds the yardstick when the warm-up has ended; timed before, between and after the windows.
        steps_at_once: Steps that the framework runs between two calls of `step_ended` (Keras's `steps_per_execution`).
        good_pace: Measuring may end as soon as the pace is known to be no worse; see `Plan`.
        mix: The standard training's share in the yardstick that the pace is counted in.
        steps_to_update: Steps from one change of the weights to the next; a window is of whole rounds of these.
    """

    batch_size: int
    warmup: int
    steps: int
    tolerance: float
    clock: Callable[[], float]
    read_cpu: Callable[[], CpuTimes]
    build_yardstick: Callable[[], Yardstick]
    steps_at_once: int = 1
    good_pace: float = 0.0
    mix: float = 1.0
    steps_to_update: int = 1
    _window_steps: int = 0
    _window: Window | None = None
    _measuring_since: float = math.nan
    _windows: list[float] = field(default_factory=list)
    _contentions: list[Contention] = field(default_factory=list)
    _readings: list[Reading] = field(default_factory=list)
    _yardstick: Yardstick | None = None

    def __post_init__(self) -> None:
        """Begin with the warm-up."""
        self._warmup = WarmUp(self.warmup, self.clock, self.steps_at_once)

    def step_ended(self, synchronise: Callable[[], object]) -> bool:
        """Take note of one step's end; return whether the last window is full.

        Args:
            synchronise: Returns when the step's result is there; called in the warm-up and at a window's edges only,
                so that a window's steps follow one another as in ordinary training.
        """
        if self._window is None:
            synchronise()
            if self._warmup.step_ended():
                self._begin_windows()
            return False
        if not self._window.step_ended(synchronise):
            return False
        self._windows.append(self._window.step_seconds)
        self._contentions.append(self._window.contention)
        self._pause()
        if not self._has_enough():
            return False
        self._yardstick = None  # its memory is none of what follows
        return True

    @property
    def images_per_second(self) -> float:
        """What the figures so far say, for showing progress; not a number before the second step."""
        return self.batch_size / (self._windows[-1] if self._windows else self._warmup.last_seconds)

    @property
    def step_seconds(self) -> float | None:
        """Seconds a step in the windows that count, their median; `None` before there is one."""
        return median(self._windows[place] for place in self._judged()) if self._windows else None

    @property
    def usual_reading(self) -> Reading | None:
        """The yardstick beside the windows that count, the median of each part; `None` before there is one."""
        if not self._windows:
            return None
        judged = self._judged()
        trainings = _means(reading.seconds for reading in self._readings)
        cores = self._cores_beside()
        return Reading(
            seconds=median(trainings[place] for place in judged),
            disturbance=median(self._disturbances()[place] for place in judged),
            core_seconds=median(cores[place] for place in judged) if cores else None,
        )

    def figures(self) -> ThroughputFigures:
        """Return what the windows yielded; call it when `step_ended` has returned true."""
        judged = self._judged()
        pace, low, high = self._pace(judged)
        handoffs = self._handoffs_beside()
        return ThroughputFigures(
            images_per_second=self.batch_size / median(self._windows[place] for place in judged),
            pace=pace,
            yardstick=yardstick.VERSION,
            mix=self.mix,
            core_pace=self._core_pace(judged),
            pace_low=low,
            pace_high=high,
            window_steps=self._window_steps,
            step_seconds=tuple(self._windows),
            yardstick_seconds=tuple(self._yardsticks_beside()),
            settled=has_settled(self._paces(range(len(self._windows)))),
            disturbances=tuple(self._disturbances()),
            handoff_seconds=median(handoffs[place] for place in judged) if handoffs else None,
            contention=Contention(
                fmean(each.others_share for each in self._contentions),
                fmean(each.stolen_share for each in self._contentions),
            ),
        )

    def _begin_windows(self) -> None:
        usual = self._warmup.usual_seconds
        fewest = math.ceil(SHORTEST_WINDOW_SECONDS / usual) if usual > 0 else 0
        round_of_steps = math.lcm(self.steps_to_update, self.steps_at_once)
        self._window_steps = round_of_steps * math.ceil(max(fewest, FEWEST_STEPS_IN_WINDOW) / round_of_steps)
        self._pause()
        self._measuring_since = self.clock()

    def _has_enough(self) -> bool:
        count = len(self._windows)
        is_late = self.clock() - self._measuring_since > MOST_SECONDS
        if count < (FEWEST_ROUGHLY if is_late else self._fewest) or count * self._window_steps < self.steps:
            return False
        if count >= self._most or is_late:
            return True
        if math.isinf(self.good_pace):
            return True
        if len(_quiet(self._disturbances())) < self._fewest:
            return False
        pace, low, high = self._pace(self._judged())
        return high <= self.good_pace or (high - low) / pace <= NARROW_INTERVAL * self.tolerance

    @property
    def _fewest(self) -> int:
        return FEWEST_ROUGHLY if self.tolerance >= ROUGH_TOLERANCE else FEWEST_WINDOWS

    @property
    def _most(self) -> int:
        return round(MOST_WINDOWS * min(4.0, max(1.0, FINE_TOLERANCE / max(self.tolerance, 1e-9)) ** 2))

    def _judged(self) -> list[int]:
        return windows_that_count(self._disturbances(), self._fewest)

    def _disturbances(self) -> list[float]:
        """Return how disturbed each window is, as a share of the processor.

        A wake-up that takes `SLOW_HANDOFF` longer than in the quickest quarter of the windows is as much as `QUIET`.
        """
        beside = pairwise(reading.disturbance for reading in self._readings)
        shares = [max(own.share, *both) for own, both in zip(self._contentions, beside, strict=True)]
        handoffs = self._handoffs_beside()
        if not handoffs:
            return shares
        usual = sorted(handoffs)[len(handoffs) // 4]
        as_shares = (QUIET * (handoff / usual - 1) / SLOW_HANDOFF for handoff in handoffs)
        return [max(both) for both in zip(shares, as_shares, strict=True)]

    def _handoffs_beside(self) -> list[float]:
        handoffs = [reading.handoff_seconds for reading in self._readings if reading.handoff_seconds is not None]
        return _means(handoffs)

    def _yardsticks_beside(self) -> list[float]:
        """Return the yardstick beside each window: its two parts' geometric mean, weighed by the mix."""
        trainings = _means(reading.seconds for reading in self._readings)
        cores = self._cores_beside()
        if not cores:
            return trainings
        return [training**self.mix * core ** (1 - self.mix) for training, core in zip(trainings, cores, strict=True)]

    def _cores_beside(self) -> list[float]:
        cores = [reading.core_seconds for reading in self._readings if reading.core_seconds is not None]
        return _means(cores)

    def _pace(self, places: Sequence[int]) -> tuple[float, float, float]:
        """Return the median pace of windows and its interval."""
        paces = self._paces(places)
        return median(paces), *median_interval(paces, together=len(paces) // len(places))

    def _paces(self, places: Iterable[int]) -> list[float]:
        """Return the paces of windows: one of each, or two in a row where another training is the yardstick.

        That one's windows are like the windows here, and what slows one of them now and then would come twice as often
        to the mean of two: the other training would look the slower one. So each window is held against both.
        """
        if self._is_beside_another_training:
            trainings = [reading.seconds for reading in self._readings]
            return [self._windows[place] / trainings[beside] for place in places for beside in (place, place + 1)]
        yardsticks = self._yardsticks_beside()
        return [self._windows[place] / yardsticks[place] for place in places]

    @property
    def _is_beside_another_training(self) -> bool:
        return self._readings[0].core_seconds is None

    def _core_pace(self, judged: Sequence[int]) -> float | None:
        cores = self._cores_beside()
        return median(self._windows[place] / cores[place] for place in judged) if cores else None

    def _pause(self) -> None:
        if self._yardstick is None:
            self._yardstick = self.build_yardstick()
        usual = self._windows[-1] if self._windows else self._warmup.usual_seconds
        at_least = YARDSTICK_SHARE * self._window_steps * usual
        self._readings.append(self._yardstick.read(at_least, self._window_steps))
        self._window = Window(self._window_steps, self.clock, self.read_cpu, self.steps_at_once)


def windows_that_count(disturbances: Sequence[float], fewest: int) -> list[int]:
    """Return the places of the quiet windows or, where these are too few, of the less disturbed half.

    Args:
        disturbances: The share of the processor that others had in or beside each window.
        fewest: How many have to count at the least.
    """
    quiet = _quiet(disturbances)
    if len(quiet) >= fewest:
        return quiet
    calmest = sorted(range(len(disturbances)), key=disturbances.__getitem__)
    return sorted(calmest[: max(fewest, len(calmest) // 2)])


def _quiet(disturbances: Sequence[float]) -> list[int]:
    return [place for place, share in enumerate(disturbances) if share <= QUIET]


def _means(readings: Iterable[float]) -> list[float]:
    """Return what was read beside each window: the mean of before and after."""
    return [(before + after) / 2 for before, after in pairwise(readings)]
