"""The figures of a training as frozen data: memory, throughput, loss, and where the time of a step goes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryFigures:
    """What a case held of the device.

    Attributes:
        peak_bytes: The framework allocator's peak bytes in use; on a GPU without the first step's trials.
        held_bytes: In use between two steps at the end of the training: weights, optimizer slots, a batch.
        host_peak_bytes: The process's peak resident size on the host.
        reserved_bytes: What the process held of the device by NVML; `None` where NVML does not say.
        device_used_bytes: What everybody held of the device by NVML when the peak was read first.
        other_processes: How many other processes NVML saw on the device; `None` where it does not know this one.
        spread: (largest − smallest) ÷ median of the peak over the repeats, of a baseline.
    """

    peak_bytes: int
    host_peak_bytes: int | None = None
    reserved_bytes: int | None = None
    device_used_bytes: int | None = None
    other_processes: int | None = None
    spread: float | None = None
    held_bytes: int | None = None


@dataclass(frozen=True)
class Contention:
    """What else kept the processor busy while throughput was measured, as shares of all its cores' time.

    Attributes:
        others_share: Used by other programs.
        stolen_share: Taken by the hypervisor for other guests.
    """

    others_share: float
    stolen_share: float

    @property
    def share(self) -> float:
        """Both together."""
        return self.others_share + self.stolen_share


@dataclass(frozen=True)
class ThroughputFigures:
    """How fast a case trained in steady state.

    Attributes:
        images_per_second: Batch size over the median step time of the windows.
        pace: The median over the windows of step time ÷ yardstick time.
        mix: The standard training's share in that yardstick; the rest is arithmetic on one core.
        core_pace: The pace counted in the arithmetic on one core alone; `None` where it was not timed.
        yardstick: The version of the yardstick that `pace` is counted in.
        pace_low: The lower end of the interval of the median pace.
        pace_high: The upper end of that interval.
        window_steps: Steps in each window.
        step_seconds: Mean step time in each window.
        yardstick_seconds: Yardstick time beside each window.
        settled: Whether the warm-up had ended before the first window.
        disturbances: The share of the processor that others had in each window or beside it, whichever was more; more
            yet where waking another thread took longer than usual, see `measure.throughput`.
        handoff_seconds: What a thread took to wake one on another core, beside the windows that count; `None` where
            that was not timed.
        contention: What else kept the processor busy in all the windows; `None` where it was not seen.
        thermally_limited: Whether the card slowed itself down for its temperature; `None` where it does not say.
        spread: (largest − smallest) ÷ median of the pace over the repeats, of a baseline.
        runs: The pace of each process, where the figures are of several.
    """

    images_per_second: float
    pace: float
    yardstick: int
    mix: float = 1.0
    core_pace: float | None = None
    pace_low: float | None = None
    pace_high: float | None = None
    window_steps: int | None = None
    step_seconds: tuple[float, ...] = ()
    yardstick_seconds: tuple[float, ...] = ()
    settled: bool = True
    disturbances: tuple[float, ...] = ()
    handoff_seconds: float | None = None
    contention: Contention | None = None
    thermally_limited: bool | None = None
    spread: float | None = None
    runs: tuple[float, ...] = ()

    def pace_in(self, mix: float) -> float:
        """Return the pace counted in another mix; it must have been counted in the standard training alone."""
        return self.pace if self.core_pace is None else self.pace**mix * self.core_pace ** (1 - mix)


@dataclass(frozen=True)
class LossFigures:
    """How the loss went.

    Attributes:
        first: Mean over the first quarter of the steps.
        last: Mean over the last quarter.
        decrease: (first − last) ÷ |first|.
        curve: The loss of every step.
        spread: Largest − smallest decrease over the repeats, of a baseline; zero where every process learns alike.
    """

    first: float
    last: float
    decrease: float
    curve: tuple[float, ...]
    spread: float | None = None


INPUT_BOUND = 0.2
"""The share of a step spent waiting for data above which the input pipeline limits the training."""


@dataclass(frozen=True)
class Breakdown:
    """Where the time of a step goes, each measured by itself, in seconds a step.

    Attributes:
        model_seconds: The model alone, on one cached batch.
        step_seconds: Both together, as they train.
        pipeline_seconds: The input pipeline alone; `None` where it was not timed.
    """

    model_seconds: float
    step_seconds: float
    pipeline_seconds: float | None = None

    @property
    def waiting_share(self) -> float:
        """The share of a step that would be saved if the data were free: no more than the pipeline takes.

        What callbacks take is in the step alone.
        """
        saved = max(0.0, self.step_seconds - self.model_seconds)
        if self.pipeline_seconds is not None:
            saved = min(saved, self.pipeline_seconds)
        return saved / self.step_seconds

    @property
    def model_share(self) -> float:
        """The model's share of a step."""
        return min(1.0, self.model_seconds / self.step_seconds)
