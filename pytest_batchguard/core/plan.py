"""What one process of a case has to do."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_batchguard.core.model import Case, Device, MemoryFigures


class Pass(enum.Enum):
    """Which figures a process takes.

    On the CPU memory wants a process of its own (see `measure.memory`); on a GPU one process takes all.
    """

    MEMORY = "memory"
    THROUGHPUT = "throughput"
    WHOLE = "whole"

    @property
    def takes_memory(self) -> bool:
        """Whether the peak is measured and the budget enforced."""
        return self is not Pass.THROUGHPUT

    @property
    def takes_throughput(self) -> bool:
        """Whether speed and loss are measured."""
        return self is not Pass.MEMORY


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
        budget_bytes: What the allocator may hand out; `None` for all there is.
        memory: What the memory pass found, so that the test sees one whole measurement.
        answers: Whether it trains beside another process, a window of steps whenever its parent asks.
    """

    case: Case
    kind: Pass
    device: Device
    steps: int
    warmup: int
    seed: int
    throughput_tolerance: float
    budget_bytes: int | None = None
    memory: MemoryFigures | None = None
    answers: bool = False


@dataclass(frozen=True)
class Parent:
    """Who gave out the plan, as seen from the process that trains. A message is a dict with the key `kind`.

    Attributes:
        send: Takes a message.
        ask: Takes a question and returns the answer; `None` where nobody takes turns with the training.
    """

    send: Callable[[dict[str, Any]], None]
    ask: Callable[[dict[str, Any]], dict[str, Any]] | None = None
