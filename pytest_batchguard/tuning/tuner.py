"""Tune one guard at one image size: what to measure next, and what it comes to.

Every figure comes from a process that `measure` starts; nothing here knows how. What has been found so far can be
read at any time, so that an interrupted run keeps it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_batchguard.core.model import Case, FailureKind, Measurement
from pytest_batchguard.core.plan import ROUGH_TOLERANCE, Pass, Plan
from pytest_batchguard.core.tuning import Largest, NoiseScale, SpeedPoint, Trial, Tuning
from pytest_batchguard.core.units import format_bytes, format_percent
from pytest_batchguard.tuning import curve, recommend
from pytest_batchguard.tuning.found import Found
from pytest_batchguard.tuning.gradient_noise import NoiseSample, noise_scale
from pytest_batchguard.tuning.memory_line import Probe
from pytest_batchguard.tuning.scaling import ScalingRule, rule_for
from pytest_batchguard.tuning.search import SizeSearch

_MOST_EPOCHS = 5
"""Of a trial: more would tell the sizes no further apart than their seeds do."""

_FEWEST_STEPS = 8
"""Of a trial of the largest candidate."""

_PROBE_STEPS = 4
_LONG_STEP_SECONDS = 0.3
"""Steps longer than that are timed roughly, in half as many windows."""

_NOISE_BATCH = 64


@dataclass(frozen=True)
class Settings:
    """What the user may choose.

    Attributes:
        multiple: Every size tried is a multiple of it.
        trial_seconds: The longest time for the trainings that are validated, all sizes together.
    """

    multiple: int
    trial_seconds: float


class Tuner:
    """Finds everything out, part by part.

    Args:
        tuning: Guard, image size and declared sizes; nothing measured.
        plan: Of the declared case; its sizes are replaced.
        settings: What the user may choose.
        measure: Runs a plan in a process of its own.
        tell: Takes what is being done, for showing.

    Attributes:
        tuning: All that was found so far.
        failure: Why nothing can be said at all, or an empty text.
    """

    def __init__(
        self,
        tuning: Tuning,
        plan: Plan,
        settings: Settings,
        measure: Callable[[Plan], Found],
        tell: Callable[[str], None],
    ) -> None:
        self.tuning = tuning
        self.failure = ""
        self._plan = replace(plan, is_probe=True)
        self._settings = settings
        self._measure = measure
        self._tell = tell
        self._model: Measurement | None = None
        self._data_grows = False

    def run(self) -> None:
        """Measure all parts; a part that cannot be had is named in the tuning's `missing`."""
        self._find_largest()
        if self.tuning.largest is None:
            return
        self._time_sizes()
        self._sample_noise()
        self._measure_favourite()
        self._try_candidates()
        self._recommend()

    def _find_largest(self) -> None:
        limit = self._plan.budget_bytes or self._plan.device.memory_bytes
        multiple = self._settings.multiple
        start = max(multiple, self.tuning.declared[0] // multiple * multiple)
        search = SizeSearch(start, limit, multiple=multiple)
        reason = ""
        while not reason and (size := search.next_size()) is not None:
            self._tell(f"the largest batch: {size}")
            reason = self._probe(search, size)
        largest = search.largest
        if largest is None:
            smallest = search.smallest_failing
            self.failure = reason or (f"not even a batch of {smallest} fits" if smallest else "the data has no batch")
            return
        by_data = search.smallest_failing is None and not reason
        found = Largest(
            largest.batch_size,
            largest.peak_bytes or 0,
            limit,
            search.smallest_failing,
            search.trainings,
            "the data has no more images" if by_data else reason,
        )
        self.tuning = replace(self.tuning, largest=found)

    def _probe(self, search: SizeSearch, size: int) -> str:
        """Train at one size and tell the search; return what ends it, or an empty text."""
        found = self._measure(self._plan_for(Pass.MEMORY, size))
        measurement = found.measurement
        failure = measurement.failure if measurement else None
        if measurement is not None and failure is None and measurement.memory is not None:
            memory = measurement.memory
            search.add(Probe(size, True, memory.peak_bytes, memory.held_bytes, measurement.activation_bytes))
            self._note(measurement)
            self._bound(search, measurement)
            return ""
        if failure is not None and failure.kind is FailureKind.OOM:
            search.add(Probe(size, fits=False))
            if found.others_bytes:
                held = format_bytes(found.others_bytes)
                self._miss(f"a card of its own: other processes held {held} of it when a batch of {size} did not fit")
            return ""
        if failure is not None and failure.kind is FailureKind.FEW_IMAGES and measurement is not None:
            if measurement.data_images is None:
                search.beyond_data = size
                return ""
            search.most = measurement.data_images
            self.tuning = replace(self.tuning, data_images=measurement.data_images)
            return ""
        return f"a batch of {size} ended the search: {failure.message if failure else found.problem}"

    def _bound(self, search: SizeSearch, measurement: Measurement) -> None:
        """Let the data bound the search, unless there is more of it at every larger size, as of data made up."""
        most, known = measurement.data_images, self.tuning.data_images
        if most is None or self._data_grows:
            return
        self._data_grows = known is not None and most - measurement.batch_size >= known
        search.most = None if self._data_grows else min(most, known or most)
        self.tuning = replace(self.tuning, data_images=search.most)

    def _note(self, measurement: Measurement) -> None:
        """Take note of a peak and of what the model is."""
        assert measurement.memory is not None  # noqa: S101 -- the caller has looked
        self._model = self._model or measurement
        peaks = {**self.tuning.peaks, measurement.batch_size: measurement.memory.peak_bytes}
        self.tuning = replace(self.tuning, peaks=dict(sorted(peaks.items())))

    def _time_sizes(self) -> None:
        assert self.tuning.largest is not None  # noqa: S101 -- run() has looked
        declared = {size for size in self.tuning.declared if size <= self.tuning.largest.batch_size}
        points: list[SpeedPoint] = []
        for size in curve.sizes(self.tuning.largest.batch_size, declared, self._settings.multiple):
            if curve.is_enough(points) and size not in declared:
                continue
            self._tell(f"throughput at {size}")
            found = self._measure(self._timing_plan(size, points))
            measurement = found.measurement
            if measurement is None or measurement.failure is not None or measurement.throughput is None:
                self._miss(f"throughput at {size}: {_why(found)}")
                continue
            if measurement.memory is not None:
                self._note(measurement)
            points.append(_speed_point(measurement))
            self.tuning = replace(self.tuning, curve=tuple(points), plateau=curve.plateau(points))

    def _timing_plan(self, size: int, points: list[SpeedPoint]) -> Plan:
        plan = self._plan_for(Pass.WHOLE if self._plan.device.is_gpu else Pass.THROUGHPUT, size)
        expected = size / points[-1].images_per_second if points else 0.0
        reference = Case(self.tuning.declared[0], self.tuning.image_size)
        return replace(
            plan,
            steps=_PROBE_STEPS,
            throughput_tolerance=ROUGH_TOLERANCE if expected > _LONG_STEP_SECONDS else plan.throughput_tolerance,
            good_pace=math.inf,  # more windows would not make two processes differ less
            yardstick_case=reference,
        )

    def _sample_noise(self) -> None:
        assert self.tuning.largest is not None  # noqa: S101 -- run() has looked
        if not self._has_keras_model:
            self._miss("gradient noise scale: not available for a hand-written step")
            return
        size = min(self.tuning.largest.batch_size, max(self.tuning.declared[0], _NOISE_BATCH))
        self._tell("the gradient's noise")
        found = self._measure(self._plan_for(Pass.NOISE, size))
        noise = found.findings.get("noise")
        if noise is None or noise["why_not"]:
            self._miss(f"gradient noise scale: {noise['why_not'] if noise else _why(found)}")
            return
        self.tuning = replace(self.tuning, noise=tuple(_noise_scale(noise, when) for when in ("before", "after")))

    def _measure_favourite(self) -> None:
        """Measure the peak of the size that will be recommended, and go down while it leaves too little room."""
        while (size := recommend.favourite(self.tuning)) is not None and size not in self.tuning.peaks:
            self._measure_peak(size)

    def _measure_peak(self, size: int) -> None:
        """Measure the memory of a size, or take note that it does not train."""
        self._tell(f"memory at {size}")
        found = self._measure(self._plan_for(Pass.MEMORY, size))
        measurement = found.measurement
        if measurement is None or measurement.memory is None or measurement.failure is not None:
            self._miss(f"memory at {size}: {_why(found)}")
            self.tuning = replace(self.tuning, failed=(*self.tuning.failed, size))
            return
        self._note(measurement)

    def _recommend(self) -> None:
        """Recommend a size; its memory is measured where the validation has led to another one."""
        rate, rule = self._learning_rate()
        while (recommended := recommend.recommend(self.tuning, rate, rule)) is not None:
            if recommended.batch_size in self.tuning.peaks:
                break
            self._measure_peak(recommended.batch_size)
        if recommended is None:
            self._miss(f"recommendation: no size that was timed leaves {format_percent(recommend.LEAST_HEADROOM)} free")
        self.tuning = replace(self.tuning, recommended=recommended)

    def _try_candidates(self) -> None:
        if not self._has_keras_model:
            self._miss("validation: not available for a hand-written step")
            return
        sizes = recommend.candidates(self.tuning)
        images = self._trial_images(sizes)
        too_large = []
        while sizes and images < _FEWEST_STEPS * sizes[-1]:
            too_large.append(sizes.pop())
            images = self._trial_images(sizes)
        trials: list[Trial] = []
        for size in sizes:
            self._tell(f"validation at {size}")
            found = self._measure(self._trial_plan(size, images))
            trial = found.findings.get("trial")
            if trial is None or trial["why_not"]:
                self._miss(f"validation: {trial['why_not'] if trial else _why(found)}")
                return
            rate, rule = self._learning_rate()
            trials.append(_trial(size, rule.scaled(rate, size, self.tuning.declared[0]), trial))
            self.tuning = replace(self.tuning, trials=tuple(trials))
        bound = f"the time limit and {_MOST_EPOCHS} epochs leave it fewer than {_FEWEST_STEPS} steps"
        for size in too_large:
            self._miss(f"validation at {size}: {bound}")

    def _trial_images(self, sizes: list[int]) -> int:
        """Return how many images every candidate can train on within the time limit."""
        rates = {point.batch_size: point.images_per_second for point in self.tuning.curve}
        seconds_an_image = sum(1 / rates[size] for size in sizes if size in rates)
        images = self._settings.trial_seconds / seconds_an_image if seconds_an_image else 0.0
        if self.tuning.data_images is not None:
            images = min(images, float(_MOST_EPOCHS * self.tuning.data_images))
        return int(images)

    def _trial_plan(self, size: int, images: int) -> Plan:
        _, rule = self._learning_rate()
        factor = rule.factor(size, self.tuning.declared[0])
        return replace(self._plan_for(Pass.TRIAL, size), trial_images=images, learning_rate_factor=factor)

    def _learning_rate(self) -> tuple[float | None, ScalingRule]:
        """Return the project's own learning rate and how it goes with the batch size."""
        if self._model is None:
            return None, ScalingRule.NONE
        return self._model.model.learning_rate, rule_for(self._model.model.optimizer)

    @property
    def _has_keras_model(self) -> bool:
        return self._model is not None and self._model.model.parameters is not None

    def _plan_for(self, kind: Pass, size: int) -> Plan:
        return replace(self._plan, kind=kind, case=Case(size, self.tuning.image_size))

    def _miss(self, what: str) -> None:
        self.tuning = replace(self.tuning, missing=(*self.tuning.missing, what))


def not_measured(tuning: Tuning) -> Iterator[str]:
    """Yield the parts that an interrupted run has not come to."""
    parts = {
        "largest batch that fits": tuning.largest,
        "throughput curve": tuning.curve,
        "gradient noise scale": tuning.noise,
        "validation": tuning.trials,
        "recommendation": tuning.recommended,
    }
    for part, found in parts.items():
        if not found and not any(why.startswith(part) for why in tuning.missing):
            yield f"the {part}"


def _speed_point(measurement: Measurement) -> SpeedPoint:
    throughput = measurement.throughput
    assert throughput is not None  # noqa: S101 -- the caller has looked
    return SpeedPoint(
        measurement.batch_size,
        throughput.images_per_second,
        throughput.pace,
        throughput.pace_low if throughput.pace_low is not None else throughput.pace,
        throughput.pace_high if throughput.pace_high is not None else throughput.pace,
        measurement.breakdown.waiting_share if measurement.breakdown else None,
    )


def _noise_scale(noise: Mapping[str, Any], when: str) -> NoiseScale:
    samples = [
        NoiseSample(int(noise["small_batch"]), tuple(each["small_squares"]), float(each["large_square"]))
        for each in noise[when]
    ]
    return noise_scale(samples)


def _trial(size: int, learning_rate: float | None, trial: Mapping[str, Any]) -> Trial:
    loss = float(trial["loss"]) if trial["loss"] is not None else math.nan
    return Trial(size, int(trial["images"]), int(trial["steps"]), learning_rate, loss, dict(trial["metrics"]))


def _why(found: Found) -> str:
    failure = found.measurement.failure if found.measurement else None
    return failure.message if failure else found.problem or "its process told nothing"
