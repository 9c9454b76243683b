"""Several measurements of one case → the baseline to record, or why they cannot be recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from pytest_batchguard.core.attempts import median_loss
from pytest_batchguard.core.figures import INPUT_BOUND, Breakdown, LossFigures, ThroughputFigures
from pytest_batchguard.core.model import Baseline, Limits, Measurement
from pytest_batchguard.core.noise import middle, of_usual_state, usual_of
from pytest_batchguard.core.statistics import relative_spread
from pytest_batchguard.core.units import format_bytes, format_percent, round_significant

LARGEST_SPREAD = 0.25
LARGEST_LOSS_DIFFERENCE = 0.1
"""Of peaks and paces, and of loss decreases, that are recorded whatever the tolerances; a wider one allows its own."""

LARGEST_LOSS_SPREAD = 0.5
"""The same of loss decreases as a share of their median: what is left is enough to be held to."""


def disagreement(measurements: Sequence[Measurement], limits: Limits) -> str:
    """Return why these measurements of one case are too far apart to record, or an empty text.

    Args:
        measurements: Each from a fresh process, all healthy.
        limits: Whose tolerances may allow more than is recorded otherwise.
    """
    reasons = []
    memory_spread = max(LARGEST_SPREAD, limits.memory_tolerance)
    pace_spread = max(LARGEST_SPREAD, limits.throughput_tolerance)
    peaks = [measurement.memory.peak_bytes for measurement in measurements if measurement.memory]
    if peaks and relative_spread(peaks) > memory_spread:
        reasons.append(_apart("peak memory", map(format_bytes, peaks), relative_spread(peaks), memory_spread))
    paces = _paces(measurements, _mix(_usual_breakdown(measurements)))
    if paces and relative_spread(paces) > pace_spread:
        shown = [f"{pace:.3g}" for pace in paces]
        reasons.append(_apart("pace", shown, relative_spread(paces), pace_spread))
    decreases = _decreases(measurements)
    if decreases:
        share = max(LARGEST_LOSS_SPREAD, limits.loss_tolerance)
        largest = max(LARGEST_LOSS_DIFFERENCE, share * abs(median(decreases)))
        if max(decreases) - min(decreases) > largest:
            listed = ", ".join(map(format_percent, decreases))
            reasons.append(
                f"loss decrease {listed} in runs with one seed: seed what else is drawn at random, or raise `steps`"
            )
    return "; ".join(reasons)


def combine(measurements: Sequence[Measurement]) -> Baseline:
    """Return the baseline of measurements that agree: their middle, with the spread over the processes."""
    last = measurements[-1]
    memory, throughput = last.memory, last.throughput
    breakdown = _usual_breakdown(measurements)
    if memory:
        peaks = [measurement.memory.peak_bytes for measurement in measurements if measurement.memory]
        memory = replace(memory, peak_bytes=int(median(peaks)), spread=relative_spread(peaks))
    if throughput:
        mix = _mix(breakdown)
        paces = _paces(measurements, mix)
        figures = _throughputs(measurements)
        throughput = replace(
            throughput,
            mix=mix,
            pace=middle(paces),
            images_per_second=median(each.images_per_second for each in figures),
            handoff_seconds=usual_of(each.handoff_seconds for each in figures),
            spread=relative_spread(paces),
            runs=tuple(paces),
        )
    return Baseline(memory, throughput, _loss(measurements), last.model, last.provenance, breakdown)


def _loss(measurements: Sequence[Measurement]) -> LossFigures | None:
    typical = median_loss(measurement.loss for measurement in measurements)
    decreases = _decreases(measurements)
    return replace(typical, spread=max(decreases) - min(decreases)) if typical and len(decreases) > 1 else typical


def _decreases(measurements: Sequence[Measurement]) -> list[float]:
    """Return every loss decrease as it is stored; the order in which threads add up decides its last digits."""
    return [round_significant(measurement.loss.decrease) for measurement in measurements if measurement.loss]


def _paces(measurements: Sequence[Measurement], mix: float) -> list[float]:
    return [figures.pace_in(mix) for figures in _throughputs(measurements)]


def _throughputs(measurements: Sequence[Measurement]) -> list[ThroughputFigures]:
    """Return what was taken in the machine's usual state, if that is most of it."""
    figures = [measurement.throughput for measurement in measurements if measurement.throughput]
    return of_usual_state(figures)


def _mix(breakdown: Breakdown | None) -> float:
    """Return the standard training's share in the yardstick: an input-bound step is timed by its pipeline's core."""
    if breakdown is None or breakdown.model_share >= 1 - INPUT_BOUND:
        return 1.0
    return breakdown.model_share


def _usual_breakdown(measurements: Sequence[Measurement]) -> Breakdown | None:
    breakdowns = [measurement.breakdown for measurement in measurements if measurement.breakdown]
    if not breakdowns:
        return None
    pipelines = [each.pipeline_seconds for each in breakdowns if each.pipeline_seconds is not None]
    return Breakdown(
        pipeline_seconds=median(pipelines) if pipelines else None,
        model_seconds=median(each.model_seconds for each in breakdowns),
        step_seconds=median(each.step_seconds for each in breakdowns),
    )


def _apart(label: str, shown: Iterable[str], spread: float, largest: float) -> str:
    listed = ", ".join(shown)
    return f"{label} {listed} spread by {format_percent(spread)}, at most {format_percent(largest)} is recorded"
