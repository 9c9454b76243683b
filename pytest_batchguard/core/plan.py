"""What one process of a case has to do."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_batchguard.core.figures import MemoryFigures
from pytest_batchguard.core.model import Case, Device

ROUGH_TOLERANCE = 0.5
"""A throughput tolerance from which on few windows are enough."""


class Pass(enum.Enum):
    """Which figures a process takes.

    On the CPU memory wants a process of its own (see `measure.memory`); on a GPU one process takes all. The last two
    are for choosing a batch size: the gradient's noise, and a training that ends with a validation.
    """

    MEMORY = "memory"
    THROUGHPUT = "throughput"
    WHOLE = "whole"
    NOISE = "noise"
    TRIAL = "trial"

    @property
    def takes_memory(self) -> bool:
        """Whether the peak is measured and the budget enforced."""
        return self in {Pass.MEMORY, Pass.WHOLE}

    @property
    def takes_throughput(self) -> bool:
        """Whether speed and loss are measured."""
        return self in {Pass.THROUGHPUT, Pass.WHOLE}


@dataclass(frozen=True)
class Plan:
    """What one process of a case has to do.

    Attributes:
        case: The sizes.
        kind: Which figures to take.
        device: What to train on.
        steps: Training steps to measure, after the warm-up.
        warmup: Training steps before.
        seed: Set before the model is built.
        throughput_tolerance: How much slower than its baseline the case may be; the finer, the longer is measured.
        good_pace: Measuring may end as soon as the pace is known to be no worse. Zero where its figure is wanted, and
            infinite where nothing is held against it.
        mix: The standard training's share in the yardstick; see `ThroughputFigures`.
        budget_bytes: What the allocator may hand out; `None` for all there is.
        memory: What the memory pass found, so that the test sees one whole measurement.
        answers: Whether it trains beside another process, a window of steps whenever its parent asks.
        is_probe: Whether the sizes are not the test's own, so that it ends with its training.
        yardstick_case: The yardstick's sizes, where they are not the case's.
        trial_images: How many images a trial trains on.
        learning_rate_factor: What a trial multiplies the project's own learning rate by.
        steps_to_update: Steps from one change of the weights to the next, where gradients are accumulated; the process
            itself knows it once it has the model.
    """

    case: Case
    kind: Pass
    device: Device
    steps: int
    warmup: int
    seed: int
    throughput_tolerance: float
    good_pace: float = 0.0
    mix: float = 1.0
    budget_bytes: int | None = None
    memory: MemoryFigures | None = None
    answers: bool = False
    is_probe: bool = False
    yardstick_case: Case | None = None
    trial_images: int = 0
    learning_rate_factor: float = 1.0
    steps_to_update: int = 1

    @property
    def has_cpu_pool(self) -> bool:
        """Whether the process has the CPU's memory from one pool, as the memory pass wants it there."""
        return self.kind is Pass.MEMORY and not self.device.is_gpu


@dataclass(frozen=True)
class Parent:
    """Who gave out the plan, as seen from the process that trains. A message is a dict with the key `kind`.

    Attributes:
        send: Takes a message.
        ask: Takes a question and returns the answer; `None` where nobody takes turns with the training.
    """

    send: Callable[[dict[str, Any]], None]
    ask: Callable[[dict[str, Any]], dict[str, Any]] | None = None
