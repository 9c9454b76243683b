"""What tuning found, for the terminal: one table, then the reasons of each recommendation."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pytest_batchguard.core.tuning import NoiseScale, SpeedPoint, Trial, Tuning
from pytest_batchguard.core.units import (
    format_bytes,
    format_change,
    format_loss,
    format_number,
    format_percent,
    format_rate,
)
from pytest_batchguard.report.layout import columns
from pytest_batchguard.report.rows import NOTHING, case_names

HEAD = ("guard", "largest", "plateau", "noise scale", "use", "learning rate", "declared")
_WIDEST_SIZES = 17
"""Characters that the declared sizes may take, so that a line of the table has 80."""


def summary_lines(tunings: Sequence[Tuning], width: int) -> list[str]:
    """Return the table of all guards and image sizes, and what each recommendation rests on."""
    named = list(zip(titles(tunings), tunings, strict=True))
    lines = columns(HEAD, [_row(title, tuning) for title, tuning in named], width)
    for title, tuning in named:
        lines += ["", f"{title}:"]
        for remark in _remarks(tuning):
            lines += textwrap.wrap(remark, width, initial_indent="  ", subsequent_indent="    ")
    return lines


def titles(tunings: Sequence[Tuning]) -> list[str]:
    """Return guard and image size of each, as in `test_classifier_trains at 180x180`."""
    names = case_names([tuning.guard for tuning in tunings])
    return [f"{names[tuning.guard]} at {tuning.image_size}" for tuning in tunings]


def noise_text(noise: NoiseScale) -> str:
    """Return a noise scale with its interval, in images."""
    if noise.images is None:
        return "undetermined"
    low, high = noise.bounds_for_people
    return f"{format_number(noise.images)} ({low}–{high})"


def _speed(point: SpeedPoint) -> str:
    half = (point.pace_high - point.pace_low) / 2 / point.pace
    return f"{point.batch_size}: {format_rate(point.images_per_second)} ± {format_percent(half)}"


def _validation(trial: Trial) -> str:
    metrics = (f", {name} {figure:.3g}" for name, figure in trial.metrics.items())
    return f"{trial.batch_size}: loss {format_loss(trial.loss)}{''.join(metrics)}"


def _compared(tuning: Tuning) -> Iterator[str]:
    """Say how the declared sizes compare with the recommended one."""
    points = {point.batch_size: point for point in tuning.curve}
    used = points.get(tuning.recommended.batch_size) if tuning.recommended else None
    for size in tuning.declared:
        if tuning.largest is not None and size > tuning.largest.batch_size:
            yield f"declared {size} does not fit"
        elif used is not None and size in points and size != used.batch_size:
            change = format_change(points[size].images_per_yardstick / used.images_per_yardstick)
            yield f"declared {size} trains {change} images/s by pace, compared with {used.batch_size}"


def _row(title: str, tuning: Tuning) -> tuple[str, ...]:
    recommended = tuning.recommended
    rate = recommended.learning_rate if recommended else None
    return (
        title,
        str(tuning.largest.batch_size) if tuning.largest else NOTHING,
        str(tuning.plateau) if tuning.plateau is not None else NOTHING,
        noise_text(tuning.noise[-1]) if tuning.noise else NOTHING,
        str(recommended.batch_size) if recommended else NOTHING,
        f"{rate:.3g}" if rate is not None else NOTHING,
        _sizes(tuning.declared),
    )


def _sizes(sizes: Sequence[int]) -> str:
    """Return the sizes, or how many there are of which range, where the table would become too wide."""
    each = ", ".join(map(str, sizes))
    return each if len(each) <= _WIDEST_SIZES else f"{min(sizes)} to {max(sizes)}, {len(sizes)} sizes"


def _remarks(tuning: Tuning) -> Iterator[str]:
    largest = tuning.largest
    if largest is not None:
        failing = f"{largest.smallest_failing} runs out of memory" if largest.smallest_failing else ""
        boundary = "; ".join(filter(None, (failing, largest.reason)))
        trainings = f"{largest.trainings} training{'s' if largest.trainings > 1 else ''}"
        yield (
            f"the largest batch that fits {format_bytes(largest.limit_bytes)} is {largest.batch_size}, with "
            f"{format_percent(largest.headroom)} headroom; {boundary} ({trainings})"
        )
    if tuning.curve:
        yield "throughput: " + ", ".join(map(_speed, tuning.curve))
    if tuning.trials:
        yield f"validated after {tuning.trials[0].images:,} images: " + "; ".join(map(_validation, tuning.trials))
    yield from _compared(tuning)
    if tuning.recommended is not None:
        yield f"use {tuning.recommended.batch_size}:"
        yield from (f"- {reason}" for reason in tuning.recommended.reasons)
        if tuning.recommended.learning_rate is not None:
            yield f"- learning rate {tuning.recommended.learning_rate:.3g}: {tuning.recommended.rule}"
        yield from (f"- it would change: {change}" for change in tuning.recommended.would_change)
    yield from (f"not measured: {missing}" for missing in tuning.missing)
