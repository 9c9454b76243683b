"""Which batch size to use: the one that reaches a loss soonest, of those that were trained and leave some memory free.

To reach a loss at batch size B takes S = S_min · (1 + B_noise ÷ B) steps, if the learning rate is chosen well
(McCandlish et al. 2018, arXiv 1812.06162, section 2.3). At r(B) images a second a step takes B ÷ r(B), so the time
goes with (B + B_noise) ÷ r(B): small sizes waste time where r still grows, large ones where the gradient is already
clear. Where the noise scale is not known the plateau of r decides alone. A declared size that is as good is kept, and
what was seen to learn worse gives way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytest_batchguard.core.figures import INPUT_BOUND
from pytest_batchguard.core.tuning import NoiseScale, Recommendation, SpeedPoint, Trial, Tuning
from pytest_batchguard.core.units import format_bytes, format_loss, format_number, format_percent, format_rate
from pytest_batchguard.tuning.curve import PLATEAU_GAIN
from pytest_batchguard.tuning.scaling import ScalingRule

LEAST_HEADROOM = 0.05
"""Of what a peak may reach: peaks of one program differ by up to 1.5 % between processes, and a full pool by more."""

WORSE = 0.1
"""A size whose validation loss is worse than the best one's by more than this share is not recommended."""

CLOSE = 0.1
"""A declared size that is reckoned to take no more than this share longer is kept: no figure here is known better."""


def favourite(tuning: Tuning) -> int | None:
    """Return the size that trains soonest by speed and noise, of those that may be recommended; `None` without any.

    Args:
        tuning: With largest, curve, plateau and noise as far as they were measured.
    """
    points = [point for point in tuning.curve if _leaves_room(tuning, point.batch_size)]
    if not points:
        return tuning.largest.batch_size if tuning.largest and not tuning.curve else None
    noise = _known_noise(tuning.noise)
    if noise is not None:
        times = {point.batch_size: _relative_time(point, noise) for point in points}
        soonest = min(times, key=times.__getitem__)
        kept = [size for size in tuning.declared if times.get(size, math.inf) <= (1 + CLOSE) * times[soonest]]
        return min(kept or [soonest], key=times.__getitem__)
    wanted = tuning.plateau or math.inf
    return max((point.batch_size for point in points if point.batch_size <= wanted), default=points[0].batch_size)


def candidates(tuning: Tuning) -> list[int]:
    """Return the sizes worth training at equal work, by size: declared, favourite, plateau and largest timed."""
    timed = [point.batch_size for point in tuning.curve]
    wanted = {
        favourite(tuning),
        tuning.plateau,
        *(timed[-1:]),
        *(size for size in tuning.declared if _fits(tuning, size)),
    }
    return sorted(size for size in wanted if size is not None)


def recommend(tuning: Tuning, learning_rate: float | None, rule: ScalingRule) -> Recommendation | None:
    """Return the size to use with its reasons; `None` where nothing was trained.

    Args:
        tuning: All that was measured.
        learning_rate: The project's own, at its first declared size; `None` where a schedule changes it, or the
            optimizer keeps none.
        rule: How it goes with the batch size.
    """
    size = favourite(tuning)
    if size is None:
        return None
    chosen = _learned_best(tuning, size)
    scaled = rule.scaled(learning_rate, chosen, tuning.declared[0])
    reasons = [
        *_memory_reasons(tuning, chosen),
        *_speed_reasons(tuning, chosen),
        *_noise_reasons(tuning.noise),
        *_time_reasons(tuning),
        *_trial_reasons(tuning.trials, size, chosen),
        *_epoch_reasons(tuning, chosen),
        *_schedule_reasons(learning_rate, rule, rule.factor(chosen, tuning.declared[0])),
    ]
    return Recommendation(chosen, scaled, rule.value, tuple(reasons), tuple(_what_would_change(tuning, chosen)))


def _fits(tuning: Tuning, size: int) -> bool:
    return tuning.largest is not None and size <= tuning.largest.batch_size


def _leaves_room(tuning: Tuning, size: int) -> bool:
    if tuning.largest is None or size > tuning.largest.batch_size or size in tuning.failed:
        return False
    peak = tuning.peaks.get(size)
    return peak is None or peak <= (1 - LEAST_HEADROOM) * tuning.largest.usable_bytes


def _known_noise(noise: Sequence[NoiseScale]) -> float | None:
    return noise[-1].images if noise else None


def _relative_time(point: SpeedPoint, noise: float) -> float:
    return (point.batch_size + noise) / point.images_per_yardstick


def _learned_best(tuning: Tuning, size: int) -> int:
    """Return `size` or, where it learned clearly worse than the best or nobody knows, the nearest that did not."""
    trials = {trial.batch_size: trial.loss for trial in tuning.trials}
    finite = {each: loss for each, loss in trials.items() if math.isfinite(loss) and _leaves_room(tuning, each)}
    if not finite or (size not in trials and len(finite) == 1):
        return size
    best = min(finite.values())
    good = [each for each, loss in finite.items() if loss <= best + WORSE * abs(best)]
    return min(good, key=lambda each: (abs(math.log(each / size)), each))


def _memory_reasons(tuning: Tuning, size: int) -> list[str]:
    largest = tuning.largest
    if largest is None:
        return []
    peak = tuning.peaks.get(size)
    limit = format_bytes(largest.limit_bytes)
    room = ""
    if peak is not None:
        of = "" if largest.smallest_failing is None else f" to what {largest.smallest_failing} would take"
        room = f" with {format_percent(1 - peak / largest.usable_bytes)} headroom{of}"
    return [f"it fits {limit}{room}; the largest that does is {largest.batch_size}"]


def _speed_reasons(tuning: Tuning, size: int) -> list[str]:
    point = next((point for point in tuning.curve if point.batch_size == size), None)
    if point is None:
        return []
    where = ""
    if tuning.plateau is not None:
        where = f"; from {tuning.plateau} on doubling gains less than {format_percent(PLATEAU_GAIN)}"
    elif len(tuning.curve) > 1:
        where = "; throughput still grows at the largest size timed"
    return [f"it trains {format_rate(point.images_per_second)}{where}{_what_limits(point.waiting_share)}"]


def _what_limits(waiting_share: float | None) -> str:
    if waiting_share is None:
        return ""
    if waiting_share > INPUT_BOUND:
        return f"; the input pipeline limits it: {format_percent(waiting_share)} of a step waits for data"
    return "; the model limits it, not the input pipeline"


def _noise_reasons(noise: Sequence[NoiseScale]) -> list[str]:
    if not noise:
        return []
    last = noise[-1]
    if last.images is None:
        return ["the gradient noise scale is undetermined, so speed decides"]
    low, high = last.bounds_for_people
    text = f"the gradient noise scale is {format_number(last.images)} images ({low} to {high})"
    if len(noise) > 1:
        first = "undetermined" if noise[0].images is None else format_number(noise[0].images)
        text += f" after some training, {first} at initialisation"
    return [text]


def _time_reasons(tuning: Tuning) -> list[str]:
    """Return how long the sizes take to reach a loss, as reckoned, the soonest being 1."""
    noise = _known_noise(tuning.noise)
    points = {point.batch_size: point for point in tuning.curve}
    shown = [points[size] for size in candidates(tuning) if size in points]
    if noise is None or len(shown) < 2:  # noqa: PLR2004 -- one is compared with nothing
        return []
    times = {point.batch_size: _relative_time(point, noise) for point in points.values()}
    soonest = min(times.values())
    listed = ", ".join(f"{times[point.batch_size] / soonest:.2f} at {point.batch_size}" for point in shown)
    return [f"by speed and noise, a loss takes as many times as long as at the soonest size: {listed}"]


def _trial_reasons(trials: Sequence[Trial], size: int, chosen: int) -> list[str]:
    mine = next((trial for trial in trials if trial.batch_size == chosen), None)
    if mine is None:
        return []
    others = ", ".join(f"{format_loss(trial.loss)} at {trial.batch_size}" for trial in trials if trial is not mine)
    text = f"after {mine.images:,} images its validation loss is {format_loss(mine.loss)}"
    text += f", against {others}" if others else ""
    if chosen == size:
        return [text]
    how = "learned worse" if any(trial.batch_size == size for trial in trials) else "could not be validated"
    return [f"{text}; {size} was reckoned to be faster, and {how}"]


def _epoch_reasons(tuning: Tuning, size: int) -> list[str]:
    if tuning.data_images is None:
        return []
    steps = -(-tuning.data_images // size)
    return [f"an epoch of {tuning.data_images:,} images takes {steps:,} {'step' if steps == 1 else 'steps'}"]


def _schedule_reasons(learning_rate: float | None, rule: ScalingRule, factor: float) -> list[str]:
    if learning_rate is not None or rule is ScalingRule.NONE:
        return []
    return [f"what its schedule yields as learning rate wants to be multiplied by {factor:.3g}: {rule.value}"]


def _what_would_change(tuning: Tuning, size: int) -> list[str]:
    changes = []
    is_largest = tuning.largest is not None and size == tuning.largest.batch_size
    if is_largest and tuning.largest is not None and tuning.largest.smallest_failing is not None:
        changes.append("more memory would allow a larger batch")
    elif is_largest:
        changes.append("more images would allow a larger batch")
    point = next((point for point in tuning.curve if point.batch_size == size), None)
    if point is not None and point.waiting_share is not None and point.waiting_share > INPUT_BOUND:
        changes.append("a faster input pipeline moves the plateau")
    if _known_noise(tuning.noise) is not None:
        changes.append("further into training the noise scale grows as a rule, and a larger batch costs less")
    return changes
