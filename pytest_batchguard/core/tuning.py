"""What tuning one guard at one image size yields, as frozen data; sizes are images in a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_batchguard.core.model import ImageSize
from pytest_batchguard.core.units import format_number


@dataclass(frozen=True)
class Largest:
    """The boundary of what fits.

    Attributes:
        batch_size: The largest size that trained.
        peak_bytes: Its peak memory.
        limit_bytes: The budget, or the device's memory.
        smallest_failing: The smallest size that ran out of memory; `None` where none did.
        trainings: How many it took to find.
        reason: What ended the search where memory did not: the data's size, or a probe that went wrong.
    """

    batch_size: int
    peak_bytes: int
    limit_bytes: int
    smallest_failing: int | None
    trainings: int
    reason: str = ""

    @property
    def headroom(self) -> float:
        """The share of the limit that its peak leaves free."""
        return 1 - self.peak_bytes / self.limit_bytes

    @property
    def usable_bytes(self) -> int:
        """What a peak may reach: the limit, or what the smallest size that failed would have taken if that is less.

        A framework's pool is smaller than the device: context and libraries take their part of it.
        """
        if self.smallest_failing is None:
            return self.limit_bytes
        return min(self.limit_bytes, round(self.peak_bytes * self.smallest_failing / self.batch_size))


@dataclass(frozen=True)
class SpeedPoint:
    """How fast one size trains.

    Attributes:
        batch_size: The size.
        images_per_second: As measured.
        pace: Its step time in yardsticks; the yardstick is the same for all sizes.
        pace_low: The lower end of the interval of the pace.
        pace_high: The upper end.
        waiting_share: The share of a step that would be saved if the data were free; `None` where it is not known.
    """

    batch_size: int
    images_per_second: float
    pace: float
    pace_low: float
    pace_high: float
    waiting_share: float | None = None

    @property
    def images_per_yardstick(self) -> float:
        """Throughput with the machine's drift cancelled; what sizes are compared by."""
        return self.batch_size / self.pace


@dataclass(frozen=True)
class NoiseScale:
    """The gradient noise scale, in images.

    Attributes:
        images: B_simple = tr Σ ÷ |G|²; `None` where it is undetermined, as the signal drowns in the noise.
        low: The lower end of its 95 % interval; `None` where that end is undetermined.
        high: The upper end; `None` where even an infinite one is within the noise.
        samples: Large batches that it was estimated from.
    """

    images: float | None
    low: float | None
    high: float | None
    samples: int

    @property
    def bounds_for_people(self) -> tuple[str, str]:
        """Both ends of the interval as text; a scale is not negative, and an end that is not known has no bound."""
        low = format_number(self.low) if self.low is not None and self.low > 0 else "0"
        return low, format_number(self.high) if self.high is not None else "∞"


@dataclass(frozen=True)
class Trial:
    """One size trained on as many images as the others and validated.

    Attributes:
        batch_size: The size.
        images: What it was trained on.
        steps: In how many steps.
        learning_rate: What it was trained with; `None` where the optimizer does not say.
        loss: On the validation data.
        metrics: Other figures on the validation data, by the names the project gave them.
    """

    batch_size: int
    images: int
    steps: int
    learning_rate: float | None
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """Which size to use, and why.

    Attributes:
        batch_size: The size; it was trained.
        learning_rate: What goes with it; `None` where the optimizer does not say.
        rule: How the learning rate was scaled from the declared size.
        reasons: One sentence each.
        would_change: What would lead to another answer.
    """

    batch_size: int
    learning_rate: float | None
    rule: str
    reasons: tuple[str, ...]
    would_change: tuple[str, ...]


@dataclass(frozen=True)
class Tuning:
    """All of it, for one guard at one image size; a part that is not there was not measured.

    Attributes:
        guard: The node id without sizes.
        image_size: Height and width.
        declared: The sizes that the marker declares.
        data_images: At most how many images an epoch has.
        peaks: Peak bytes by batch size, of every probe that trained.
        failed: Sizes below the largest that did not train when their memory was to be measured.
        noise: The gradient noise scale at initialisation and after some training.
        missing: What was not measured, and why.
    """

    guard: str
    image_size: ImageSize
    declared: tuple[int, ...]
    data_images: int | None = None
    largest: Largest | None = None
    peaks: Mapping[int, int] = field(default_factory=dict)
    failed: tuple[int, ...] = ()
    curve: tuple[SpeedPoint, ...] = ()
    plateau: int | None = None
    noise: tuple[NoiseScale, ...] = ()
    trials: tuple[Trial, ...] = ()
    recommended: Recommendation | None = None
    missing: tuple[str, ...] = ()
