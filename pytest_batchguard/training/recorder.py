"""One training watched step by step, whichever way its steps are driven.

Keras's `fit` and a hand-written loop drive the same recorder. It owns the order of the instruments: the peak from
the first step (on a GPU from the second, see `_first_step_ended`) to the end of the warm-up and again over the
validation, the windows after the warm-up, the loss of every step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pytest_batchguard.core.figures import ThroughputFigures
from pytest_batchguard.core.learning import loss_figures
from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plan import Parent, Plan
from pytest_batchguard.errors import GuardError
from pytest_batchguard.measure.answering import AnsweringMeter
from pytest_batchguard.measure.contention import CpuClock
from pytest_batchguard.measure.memory import MEMORY_PASS_STEPS, PROBE_STEPS, MemoryMeter
from pytest_batchguard.measure.nvml import GpuUse
from pytest_batchguard.measure.stopwatch import Drift
from pytest_batchguard.measure.throughput import ThroughputMeter
from pytest_batchguard.measure.yardstick import Reading, Yardstick, YardstickBeside
from pytest_batchguard.training import oom, runtime, yardstick_kernel

_PROGRESS_SECONDS = 0.1

_FEWEST_LOSSES = 8
"""That are judged: where the framework runs many steps at once, few losses are reported for the steps asked for."""


class Recorder:
    """Takes the figures of one training.

    Args:
        plan: What to measure.
        parent: Is told of the progress, and may have the yardstick.
        steps_at_once: Steps between two calls of `step_ended`.
        beside_bytes: What lies in the measured pool all the time and is none of the training.
    """

    def __init__(self, plan: Plan, parent: Parent, steps_at_once: int = 1, beside_bytes: int = 0) -> None:
        self.losses: list[Any] = []
        self._plan = plan
        self._parent = parent
        self._steps_at_once = steps_at_once
        self._beside_bytes = beside_bytes
        self._steps_seen = 0
        self._last_progress = 0.0
        self._memory: MemoryMeter | None = None
        self._peaks: list[int] = []
        self._held_bytes: int | None = None
        self._use_before: GpuUse | None = None
        self._throughput: ThroughputMeter | AnsweringMeter | None = None
        self._thermally_limited: bool | None = None
        self._yardstick: Yardstick | None = None

    def start(self) -> None:
        """Begin, right before the first step."""
        self.enter(f"in the {self._plan.kind.value} pass, before the end of its first step")
        if self._plan.kind.takes_memory:
            self._memory = runtime.memory_meter(self._plan, self._beside_bytes)
            self._memory.start()
        if self._plan.kind.takes_throughput:
            self._throughput = self._meter()

    def enter(self, phase: str) -> None:
        """Tell the parent what is done from now on, for its words about a process that does not come to its end."""
        self._parent.send({"kind": "phase", "phase": phase})

    def step_ended(self, loss: Any) -> bool:
        """Take note of one step's end; return whether training may stop.

        Args:
            loss: The step's loss where it lies, a tensor or a number; fetched only where waiting does no harm.
        """
        self._steps_seen += self._steps_at_once
        self.losses.append(loss)
        if self._throughput is None:
            float(loss)
            is_enough = self._steps_seen >= self._steps_wanted
        else:
            is_enough = self._throughput.step_ended(lambda: float(loss))
        self._show_progress()
        if len(self.losses) == 1 and not is_enough:
            self._first_step_ended()
        return is_enough

    def training_ended(self, *, complete: bool) -> None:
        """Take note of the end of the steps.

        Raises:
            GuardError: The data ended first.
        """
        if not complete:
            few = self._steps_seen < self._steps_wanted
            wanted = f"{self._steps_wanted} are needed" if few else "the throughput needs more to be judged"
            raise GuardError(
                f"the data ended after {self._steps_seen} steps, {wanted}; a generator cannot be repeated: pass a "
                "tf.data.Dataset, a PyDataset or arrays"
            )
        if not self._peaks:  # or it was read before the yardstick was there
            self._read_peak()
        if self._yardstick is not None and self._plan.device.is_gpu:
            self._yardstick = None
            self._parent.send({"kind": "yardstick", "enough": True})  # the validation may need its place on the card
        self._held_bytes = self._memory.held() if self._memory is not None else None
        self._thermally_limited = runtime.thermally_limited(self._plan)

    def validation(self, validate: Callable[[Callable[[], None]], object]) -> None:
        """Run the validation and let its memory count; on a GPU without its first batch, where there is a second.

        Args:
            validate: Runs it, and calls what it is given after every batch.
        """
        self.enter("validating")
        if self._memory is not None:
            self._memory.start()
        batches = 0
        first_peak = 0

        def batch_ended() -> None:
            nonlocal batches, first_peak
            batches += 1
            if batches == 1 and self._memory is not None and self._tries_convolutions:
                first_peak = self._memory.stop()
                self._memory.start()

        validate(batch_ended)
        if batches == 1 and first_peak:
            self._peaks.append(first_peak)
        self._read_peak()

    def fill(self, measurement: Measurement, curve: Sequence[float]) -> Measurement:
        """Return `measurement` with the figures taken here.

        Args:
            measurement: What is known from elsewhere.
            curve: The loss of every step; empty where it is not known.
        """
        wanted = self._plan.warmup + self._plan.steps
        count = max(min(_FEWEST_LOSSES, wanted), wanted // self._steps_at_once)
        lost = next((place for place, loss in enumerate(curve) if not math.isfinite(loss)), 0)
        judged = curve[: max(count, lost + 1)]
        return replace(
            measurement,
            steps=self._steps_seen,
            memory=runtime.memory_figures(self._plan, max(self._peaks), self._held_bytes, self._use_before)
            if any(self._peaks)  # else all was computed without TensorFlow's memory
            else self._plan.memory,
            throughput=self._throughput_figures(),
            loss=loss_figures(judged) if self._throughput and judged else None,
        )

    @property
    def step_seconds(self) -> float | None:
        """Seconds a step in the windows; `None` where there were none."""
        return self._throughput.step_seconds if self._throughput else None

    def drift(self, *, on_core: bool = False) -> Drift | None:
        """Return what tells how the machine has drifted since the windows; `None` where no yardstick is at hand.

        Args:
            on_core: By the yardstick's arithmetic on one core, in place of its training.
        """
        usual = self._throughput.usual_reading if isinstance(self._throughput, ThroughputMeter) else None
        if self._yardstick is None or usual is None or usual.core_seconds is None:
            return None
        yardstick = self._yardstick

        def relative(at_least: float) -> float:
            now = yardstick.read(at_least)
            return _part(now, on_core=on_core) / _part(usual, on_core=on_core)

        return relative

    def _throughput_figures(self) -> ThroughputFigures | None:
        figures = self._throughput.figures() if self._throughput is not None else None
        return figures and replace(figures, thermally_limited=self._thermally_limited)

    def _meter(self) -> ThroughputMeter | AnsweringMeter:
        case = self._plan.case
        if self._plan.answers and self._parent.ask is not None:
            return AnsweringMeter(
                case.batch_size,
                self._plan.warmup,
                self._plan.steps,
                self._parent.ask,
                time.perf_counter,
                CpuClock().read,
                self._steps_at_once,
            )
        return ThroughputMeter(
            batch_size=case.batch_size,
            warmup=self._plan.warmup,
            steps=self._plan.steps,
            tolerance=self._plan.throughput_tolerance,
            clock=time.perf_counter,
            read_cpu=CpuClock().read,
            build_yardstick=self._build_yardstick,
            steps_at_once=self._steps_at_once,
            steps_to_update=self._plan.steps_to_update,
            good_pace=self._plan.good_pace,
            mix=self._plan.mix,
        )

    def _build_yardstick(self) -> Yardstick:
        self._read_peak()  # the yardstick's memory is none of the training's, also where it lies in the same pool
        if self._parent.ask is None:
            return yardstick_kernel.build(self._plan)
        self._yardstick = YardstickBeside(self._parent.ask, self._yardstick_here)
        return self._yardstick

    def _yardstick_here(self) -> Yardstick:
        try:
            return yardstick_kernel.build(self._plan)
        except Exception as error:
            if oom.classify(error) is None:
                raise
            raise GuardError(
                "the training fits, but the card has no room for the yardstick beside it, and without one the "
                "throughput cannot be judged; a smaller batch leaves some"
            ) from error

    @property
    def _tries_convolutions(self) -> bool:
        """Whether the first run of a graph takes memory that later ones do not need.

        On a GPU TensorFlow times several ways to compute a convolution when it first meets one, each with a workspace
        of up to 4 GiB, and leaves out those that there is no room for (`AutotuneConvImpl` in its `conv_ops_gpu.cc`). Of
        small images that would be most of the peak, and hide what the model itself takes.
        """
        return self._plan.device.is_gpu

    def _first_step_ended(self) -> None:
        if self._memory is not None and self._tries_convolutions:
            self._memory.start()

    def _read_peak(self) -> None:
        if self._memory is not None:
            self._peaks.append(self._memory.stop())
            self._use_before = self._use_before or runtime.card_use(self._plan)

    @property
    def _steps_wanted(self) -> int:
        if self._plan.kind.takes_throughput:
            return self._plan.warmup + self._plan.steps
        usual = PROBE_STEPS if self._plan.is_probe else MEMORY_PASS_STEPS
        steps = max(usual, self._plan.steps_to_update + 1)
        return max(steps, 2 * self._steps_at_once) if self._tries_convolutions else steps

    def _show_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_SECONDS:
            return
        self._last_progress = now
        message: dict[str, Any] = {
            "kind": "progress",
            "phase": self._plan.kind.value,
            "step": self._steps_seen,
            "steps": max(self._steps_wanted, self._steps_seen),
        }
        if self._throughput is not None and math.isfinite(self._throughput.images_per_second):
            message["images_per_second"] = self._throughput.images_per_second
        self._parent.send(message)


def _part(reading: Reading, *, on_core: bool) -> float:
    return reading.core_seconds if on_core and reading.core_seconds is not None else reading.seconds
