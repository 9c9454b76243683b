"""The yardstick: a small fixed computation timed beside the training, so that the machine's drift cancels.

What it computes is in `training.yardstick_kernel`; its version, the shapes and the way of timing are here. Change
any of them and the version goes up, since a pace counted in one yardstick says nothing in another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

VERSION = 1
SEED = 1
IMAGES_SHAPE = (8, 48, 48, 16)
KERNEL_SHAPE = (3, 3, 16, 32)
MATRIX_SIZE = 384
STREAM_LENGTH = 2**20
WARMUP_RUNS = 5


@dataclass(frozen=True)
class Yardstick:
    """Times the fixed computation.

    Attributes:
        compute: Runs it once and returns when its result is there.
        clock: Seconds, monotonic.
        runs: How often it is run for one figure.
    """

    compute: Callable[[], object]
    clock: Callable[[], float]
    runs: int = 6

    def warm_up(self) -> None:
        """Run it until it is traced and its memory is there."""
        for _ in range(WARMUP_RUNS):
            self.compute()

    def seconds(self) -> float:
        """Return the mean time of one run, in seconds.

        The mean and not the fastest: what slows the steps beside it, a neighbour's bursts included, should slow
        the yardstick alike.
        """
        return fmean(self._one_run() for _ in range(self.runs))

    def _one_run(self) -> float:
        begin = self.clock()
        self.compute()
        return self.clock() - begin
