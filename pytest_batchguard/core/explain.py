"""What changed between a baseline and a measurement, in words."""

from __future__ import annotations

import dataclasses

from pytest_batchguard.core.model import Baseline, Measurement, ModelFingerprint, Provenance
from pytest_batchguard.core.units import format_change

_LABELS = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "python": "Python",
    "cuda": "CUDA",
    "jit_compile": "XLA (jit_compile)",
    "batch_shapes": "batch",
    "dtype_policy": "dtype policy",
    "learning_rate": "learning rate",
    "deterministic": "op determinism",
    "trainable": "trainable parameters",
}
_NOT_A_CHANGE = {"date"}
_COMPUTES = ("tensorflow", "keras", "driver", "cuda")
_SHARE_IN_SLOWDOWN = 0.5


def explain_changes(baseline: Baseline, measurement: Measurement) -> tuple[str, ...]:
    """Return one phrase for each thing known to differ, the model first; unknown on either side is no change."""
    return (
        *_differences(baseline.model, measurement.model),
        *_differences(baseline.recorded_with, measurement.provenance),
    )


def changes_of_the_yardstick(baseline: Baseline, measurement: Measurement) -> tuple[str, ...]:
    """Return one phrase for each change that may alter the yardstick's own speed: it is a training like any other."""
    then, now = baseline.recorded_with, measurement.provenance
    computes = (Provenance(**{name: getattr(each, name) for name in _COMPUTES}) for each in (then, now))
    return tuple(_differences(*computes))


def explain_slowdown(baseline: Baseline, measurement: Measurement) -> str:
    """Return which part of a slower step became slower, or an empty text where that is not known.

    Input pipeline and model were timed alone, then and now. Their times are counted in the yardsticks of their own
    measurement, (part ÷ step) × pace, so that a slower machine is no slower part. A part is named where it grew by at
    least half as much as the step.
    """
    then, now = baseline.breakdown, measurement.breakdown
    if not (then and now and baseline.throughput and measurement.throughput):
        return ""
    slowdown = measurement.throughput.pace / baseline.throughput.pace
    parts = {"model": (then.model_seconds, now.model_seconds)}
    if then.pipeline_seconds is not None and now.pipeline_seconds is not None:
        parts = {"input pipeline": (then.pipeline_seconds, now.pipeline_seconds), **parts}
    ratios = {
        f"the {name}": (after / now.step_seconds) / (before / then.step_seconds) * slowdown
        for name, (before, after) in parts.items()
    }
    least = 1 + _SHARE_IN_SLOWDOWN * (slowdown - 1)
    slower = " and ".join(f"{name} ({format_change(ratio)})" for name, ratio in ratios.items() if ratio >= least)
    others = " and ".join(f"{name} ({format_change(ratio)})" for name, ratio in ratios.items() if ratio < least)
    if not slower:
        return f"timed alone, {others} did not become as much slower"
    return f"timed alone, {slower} became slower" + (f", {others} did not" if others else "")


def _differences(before: ModelFingerprint | Provenance, after: ModelFingerprint | Provenance) -> list[str]:
    phrases = []
    for field in dataclasses.fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        known = old not in (None, ()) and new not in (None, ())
        if known and old != new and field.name not in _NOT_A_CHANGE:
            phrases.append(f"{_LABELS.get(field.name, field.name)} {_show(old)} → {_show(new)}")
    return phrases


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
