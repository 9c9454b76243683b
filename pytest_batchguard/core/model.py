"""The words of this package as frozen data: case, device, measurement, baseline, limits, verdict.

Everything that travels between processes or into a file is built of these, of plain numbers and of strings, and
is turned into plain data and back by `core.plain`. Sizes are in bytes, durations in seconds, rates in images per
second, shares and tolerances are fractions.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from pytest_batchguard.core.figures import Breakdown, LossFigures, MemoryFigures, ThroughputFigures


class Verdict(enum.Enum):
    """What a run of a case comes to."""

    PASSED = "passed"
    REGRESSED = "regressed"
    DOES_NOT_FIT = "does-not-fit"
    UNHEALTHY = "unhealthy"
    NO_BASELINE = "no-baseline"
    INCONCLUSIVE = "inconclusive"
    BROKEN = "broken"

    @property
    def fails(self) -> bool:
        """Whether the test fails whatever the options; the others fail in strict mode only, or never."""
        return self in {Verdict.REGRESSED, Verdict.DOES_NOT_FIT, Verdict.UNHEALTHY, Verdict.BROKEN}


class FailureKind(enum.Enum):
    """Why a training did not come to its end."""

    OOM = "oom"
    HOST_OOM = "host-oom"
    CRASH = "crash"
    TIMEOUT = "timeout"
    FEW_IMAGES = "few-images"
    ERROR = "error"


@dataclass(frozen=True)
class ImageSize:
    """Height and width of an image, in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


@dataclass(frozen=True)
class Case:
    """A guard at one batch size and one image size."""

    batch_size: int
    image_size: ImageSize

    @property
    def id(self) -> str:
        """The id from the declared sizes alone, as in `test_x[b32-180x180]`."""
        return f"b{self.batch_size}-{self.image_size}"


@dataclass(frozen=True)
class Device:
    """What the model trains on.

    Attributes:
        key: The stable name: made only of what decides speed and memory.
        name: The name as the maker writes it.
        memory_bytes: All of the device's memory.
        index: TensorFlow's index of the GPU; `None` for the CPU.
        uuid: NVML's name of the GPU or MIG slice; never part of the identity.
    """

    key: str
    name: str
    memory_bytes: int
    index: int | None = None
    uuid: str | None = None

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.index is not None


@dataclass(frozen=True)
class ModelFingerprint:
    """What was trained, as far as it decides memory, speed and learning.

    Attributes:
        steps_per_execution: Keras's: steps in one go, of which the loss is one mean.
    """

    parameters: int | None = None
    trainable: int | None = None
    dtype_policy: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    jit_compile: bool | None = None
    batch_shapes: tuple[str, ...] = ()
    steps_per_execution: int | None = None


@dataclass(frozen=True)
class Provenance:
    """What it was measured with. Recorded and explained, never part of identity.

    Attributes:
        host: The processor beside a GPU, which runs the input pipeline.
    """

    date: str | None = None
    commit: str | None = None
    tensorflow: str | None = None
    keras: str | None = None
    python: str | None = None
    driver: str | None = None
    cuda: str | None = None
    host: str | None = None
    deterministic: bool | None = None


@dataclass(frozen=True)
class Failure:
    """Why a training did not come to its end.

    Attributes:
        kind: What happened.
        message: One paragraph for people.
        certain: Whether the error by itself proves `kind`.
        phase: What the case was doing.
    """

    kind: FailureKind
    message: str
    certain: bool = True
    phase: str | None = None

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the device or the host had not enough of it."""
        return self.kind in {FailureKind.OOM, FailureKind.HOST_OOM}


@dataclass(frozen=True)
class Measurement:
    """What one run of one case yielded; a part that was not measured is `None`, never zero.

    Attributes:
        steps: How many training steps were taken.
        retraces: Tracings of the training function in steady state; `None` where they cannot be seen.
        notes: Remarks for people, such as a card shared with others.
        data_images: At most how many images an epoch has; `None` where the data does not say.
        activation_bytes: What the model's layers put out for one image; `None` where they do not say.
    """

    batch_size: int
    image_size: ImageSize
    steps: int = 0
    memory: MemoryFigures | None = None
    throughput: ThroughputFigures | None = None
    loss: LossFigures | None = None
    breakdown: Breakdown | None = None
    model: ModelFingerprint = field(default_factory=ModelFingerprint)
    provenance: Provenance = field(default_factory=Provenance)
    retraces: int | None = None
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    data_images: int | None = None
    activation_bytes: int | None = None

    def with_memory_of(self, other: Measurement) -> Measurement:
        """Return this measurement with the memory figures that another pass took."""
        return replace(self, memory=other.memory, notes=tuple(dict.fromkeys((*other.notes, *self.notes))))


@dataclass(frozen=True)
class Baseline:
    """The accepted values of a case on one device."""

    memory: MemoryFigures | None = None
    throughput: ThroughputFigures | None = None
    loss: LossFigures | None = None
    model: ModelFingerprint = field(default_factory=ModelFingerprint)
    recorded_with: Provenance = field(default_factory=Provenance)
    breakdown: Breakdown | None = None


@dataclass(frozen=True)
class Limits:
    """The policy a measurement is judged by; lives in markers and ini, never in the baselines.

    Attributes:
        memory_budget: Bytes the case may use, enforced by the allocator.
        max_memory: Bytes the peak may reach.
        min_throughput: Images per second.
        min_loss_decrease: Fraction the loss must fall by; zero that it must fall as far as its noise lets that be
            told.
        throughput_tolerance: Fraction by which the pace may be slower than the baseline.
        memory_tolerance: Fraction by which the peak may exceed the baseline.
        loss_tolerance: Fraction of the baseline's loss decrease that may be missing.
    """

    memory_budget: int | None = None
    max_memory: int | None = None
    min_throughput: float | None = None
    min_loss_decrease: float = 0.0
    throughput_tolerance: float = 0.1
    memory_tolerance: float = 0.05
    loss_tolerance: float = 0.3


@dataclass(frozen=True)
class Check:
    """One figure held against one limit.

    Attributes:
        quantity: Its name in `core.quantities`.
        measured: The figure.
        limit: What it was held against.
        verdict: What this check alone comes to.
        baseline: The accepted value, where the limit stems from one.
        allowance: The tolerance used, where the limit stems from a baseline.
        interval: The interval the measured figure is known to, where one was taken.
    """

    quantity: str
    measured: float
    limit: float
    verdict: Verdict
    baseline: float | None = None
    allowance: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def excludes_its_limit(self) -> bool:
        """Whether the figure breaches a limit that it just reaches, as a loss that stands still does."""
        return self.verdict is not Verdict.PASSED and self.measured == self.limit


@dataclass(frozen=True)
class Judgement:
    """The verdict over a measurement and all that led to it.

    Attributes:
        verdict: The worst of the checks.
        checks: Every check made, in the order of judging.
        reason: One sentence for people.
        notes: Remarks that fail nothing: improved, input-bound, retraced, not settled.
        changes: What changed since the baseline.
    """

    verdict: Verdict
    checks: tuple[Check, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def breaches(self) -> tuple[Check, ...]:
        """The checks that were not passed."""
        return tuple(check for check in self.checks if check.verdict is not Verdict.PASSED)


@dataclass(frozen=True)
class CaseResult:
    """All that one run of the session knows of a case; what the reports are made of.

    Attributes:
        node_id: pytest's id of the case, by which its baseline is found.
        judgement: The final one.
        measurement: Of the attempt that the judgement is about; `None` if nothing was measured.
        baseline: What it was judged against.
        limits: The policy it was judged by.
        attempts: The judgements of all attempts, in order.
        recorded: What an update accepts for this case.
        output: The end of what a process that died had written.
    """

    node_id: str
    judgement: Judgement
    limits: Limits
    measurement: Measurement | None = None
    baseline: Baseline | None = None
    attempts: tuple[Judgement, ...] = ()
    recorded: Baseline | None = None
    output: str = ""

    def fails(self, *, strict: bool) -> bool:
        """Return whether the test fails.

        Args:
            strict: Whether a missing baseline or an inconclusive figure is a failure too.
        """
        unsure = self.judgement.verdict in {Verdict.NO_BASELINE, Verdict.INCONCLUSIVE}
        return self.judgement.verdict.fails or (strict and unsure and self.recorded is None)
