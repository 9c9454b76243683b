"""The yardstick: a small fixed computation timed beside the training, so that the machine's drift cancels.

What it computes is in `training.yardstick_kernel`; its version, the shapes and the way of timing are here. Change
any of them and the version goes up, since a pace counted in one yardstick says nothing in another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        fewest_runs: How often it is run at least for one figure.
    """

    compute: Callable[[], object]
    clock: Callable[[], float]
    fewest_runs: int = 6

    def warm_up(self) -> None:
        """Run it until it is traced and its memory is there."""
        for _ in range(WARMUP_RUNS):
            self.compute()

    def seconds(self, at_least: float = 0.0) -> float:
        """Return the mean time of one run, in seconds.

        Args:
            at_least: Seconds to go on for.

        The mean and not the fastest: what slows the steps beside it, a neighbour's bursts included, should slow
        the yardstick alike.
        """
        begin = self.clock()
        runs = 0
        while runs < self.fewest_runs or self.clock() - begin < at_least:
            self.compute()
            runs += 1
        return (self.clock() - begin) / runs
