"""The yardstick: a standard training timed beside the project's, so that the machine's drift cancels.

It trains one small fixed network at the batch and image size of the case. Training of another size does not slow down
as the case's does when caches, memory or cores are shared: see docs/noise.md for what was measured. A step that waits
for its input pipeline does not slow down so either; it feels what arithmetic on one core feels, the yardstick's second
part. What both compute is in `training.yardstick_kernel`; version, sizes and the way of timing are here. Change any of
them and the version goes up, since a pace counted in one yardstick says nothing in another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pytest_batchguard.core.model import Case
from pytest_batchguard.measure.contention import CpuTimes

VERSION = 3
SEED = 1
CHANNELS = 3
FILTERS = (16, 32, 32)
CLASSES = 10
WARMUP_RUNS = 3
CORE_MATRIX = 192
CORE_PRODUCTS = 8
"""The arithmetic on one core: so many products of square matrices of this size, which fit into its own cache."""
CORE_SHARE = 0.3
"""Time of the arithmetic relative to the training's."""
MOST_PIXELS = 2**22
"""In a batch of the yardstick's; about 1 GiB of memory, which the machine must have beside the case."""
MOST_PIXELS_ON_GPU = 2**19
"""The same on a GPU, where the yardstick needs its place on the card beside the case, or in the case's budget."""


def case_beside(case: Case, *, on_gpu: bool) -> Case:
    """Return the sizes that the standard training has beside `case`: its own, the batch cut where it is very large."""
    most = MOST_PIXELS_ON_GPU if on_gpu else MOST_PIXELS
    images = most // (case.image_size.height * case.image_size.width)
    return replace(case, batch_size=max(1, min(case.batch_size, images)))


@dataclass(frozen=True)
class Reading:
    """One timing of the standard training.

    Attributes:
        seconds: The mean time of one step.
        disturbance: The share of the processor that others had meanwhile.
        core_seconds: The mean time of the arithmetic on one core; `None` where another training is the yardstick.
        handoff_seconds: The mean time that a thread took to wake one on another core; `None` where it was not timed.
    """

    seconds: float
    disturbance: float
    core_seconds: float | None = None
    handoff_seconds: float | None = None


class Yardstick(Protocol):
    """Whatever times the standard training."""

    def read(self, at_least: float = 0.0, steps: int = 0) -> Reading:
        """Time it.

        Args:
            at_least: Seconds to go on for.
            steps: Of the window beside it. Another training that is the yardstick takes as many, whatever time that
                takes: the first steps after a pause are slower, and a shorter window would have a larger share of them.
        """


@dataclass(frozen=True)
class OwnYardstick:
    """The standard training in this process.

    Attributes:
        compute: Takes one step and returns when its result is there.
        compute_on_core: Does the arithmetic once and returns when its result is there.
        clock: Seconds, monotonic.
        read_cpu: Reads what the processor was used for.
        hand_over: Returns the seconds that a thread takes to wake another; `None` where that is not timed.
    """

    compute: Callable[[], object]
    compute_on_core: Callable[[], object]
    clock: Callable[[], float]
    read_cpu: Callable[[], CpuTimes]
    hand_over: Callable[[], float] | None = None

    def warm_up(self) -> None:
        """Run it until it is traced and its memory is there."""
        for _ in range(WARMUP_RUNS):
            self.compute()
            self.compute_on_core()

    def read(self, at_least: float = 0.0, steps: int = 0) -> Reading:  # noqa: ARG002 -- it is no other training
        """Time it; see `Yardstick`.

        The mean and not the fastest: what slows the steps beside it, a neighbour's bursts included, should slow the
        yardstick alike. The first step after a pause finds cold caches and does not count.
        """
        self.compute()
        cpu = self.read_cpu()
        seconds = self._mean_seconds(self.compute, at_least)
        contention = cpu.contention_until(self.read_cpu())
        core_seconds = self._mean_seconds(self.compute_on_core, CORE_SHARE * at_least)
        handoff_seconds = self.hand_over() if self.hand_over is not None else None
        return Reading(seconds, contention.share if contention else 0.0, core_seconds, handoff_seconds)

    def _mean_seconds(self, compute: Callable[[], object], at_least: float) -> float:
        begin = self.clock()
        runs = 0
        while runs == 0 or self.clock() - begin < at_least:
            compute()
            runs += 1
        return (self.clock() - begin) / runs


@dataclass
class YardstickBeside:
    """The standard training in a process of its own, which runs while the one that asks stands still.

    Attributes:
        ask: Puts the question and returns the answer.
        build_here: Builds one in this process, for where the answer to the first question is that there is no room for
            another process.
    """

    ask: Callable[[dict[str, Any]], dict[str, Any]]
    build_here: Callable[[], Yardstick]
    _here: Yardstick | None = None

    def read(self, at_least: float = 0.0, steps: int = 0) -> Reading:
        """Time it; see `Yardstick`."""
        if self._here is not None:
            return self._here.read(at_least, steps)
        answer = self.ask({"kind": "yardstick", "at_least": at_least, "steps": steps})
        if answer["kind"] == "no-yardstick":
            self._here = self.build_here()
            return self._here.read(at_least, steps)
        return Reading(
            float(answer["seconds"]),
            float(answer["disturbance"]),
            _float_or_none(answer.get("core_seconds")),
            _float_or_none(answer.get("handoff_seconds")),
        )


def _float_or_none(value: Any) -> float | None:
    return None if value is None else float(value)
