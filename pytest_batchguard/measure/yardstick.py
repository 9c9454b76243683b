"""The yardstick: a standard training timed beside the project's, so that the machine's drift cancels.

It trains one small fixed network at the batch and image size of the case. Training of another size does not slow down
as the case's does when caches, memory or cores are shared: see docs/noise.md for what was measured. What it computes
is in `training.yardstick_kernel`; its version, the network and the way of timing are here. Change any of them and the
version goes up, since a pace counted in one yardstick says nothing in another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pytest_batchguard.core.model import Case

VERSION = 2
SEED = 1
CHANNELS = 3
FILTERS = (16, 32, 32)
CLASSES = 10
WARMUP_RUNS = 3
MOST_PIXELS = 2**22
"""In a batch of the yardstick's; about 1 GiB of memory, which the machine must have beside the case."""
MOST_PIXELS_ON_GPU = 2**19
"""The same on a GPU, where the yardstick's memory lies in the case's budget."""


def case_beside(case: Case, *, on_gpu: bool) -> Case:
    """Return the sizes that the standard training has beside `case`: its own, the batch cut where it is very large."""
    most = MOST_PIXELS_ON_GPU if on_gpu else MOST_PIXELS
    images = most // (case.image_size.height * case.image_size.width)
    return replace(case, batch_size=max(1, min(case.batch_size, images)))


class Yardstick(Protocol):
    """Whatever times the standard training."""

    def seconds(self, at_least: float = 0.0) -> float:
        """Return the mean time of one step, in seconds.

        Args:
            at_least: Seconds to go on for.
        """


@dataclass(frozen=True)
class OwnYardstick:
    """The standard training in this process.

    Attributes:
        compute: Takes one step and returns when its result is there.
        clock: Seconds, monotonic.
    """

    compute: Callable[[], object]
    clock: Callable[[], float]

    def warm_up(self) -> None:
        """Run it until it is traced and its memory is there."""
        for _ in range(WARMUP_RUNS):
            self.compute()

    def seconds(self, at_least: float = 0.0) -> float:
        """Return the mean time of one step; see `Yardstick`.

        The mean and not the fastest: what slows the steps beside it, a neighbour's bursts included, should slow the
        yardstick alike. The first step after a pause finds cold caches and does not count.
        """
        self.compute()
        begin = self.clock()
        runs = 0
        while runs == 0 or self.clock() - begin < at_least:
            self.compute()
            runs += 1
        return (self.clock() - begin) / runs


@dataclass(frozen=True)
class YardstickBeside:
    """The standard training in a process of its own, which runs while the one that asks stands still.

    Attributes:
        ask: Puts the question and returns the answer.
    """

    ask: Callable[[dict[str, Any]], dict[str, Any]]

    def seconds(self, at_least: float = 0.0) -> float:
        """Return the mean time of one step; see `Yardstick`."""
        return float(self.ask({"kind": "yardstick", "at_least": at_least})["seconds"])
