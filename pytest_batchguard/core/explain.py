"""What changed between a baseline and a measurement, in words."""

from __future__ import annotations

import dataclasses

from pytest_batchguard.core.model import Baseline, Measurement, ModelFingerprint, Provenance

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


def explain_changes(baseline: Baseline, measurement: Measurement) -> tuple[str, ...]:
    """Return one phrase for each thing known to differ, the model first; unknown on either side is no change."""
    return (
        *_differences(baseline.model, measurement.model),
        *_differences(baseline.recorded_with, measurement.provenance),
    )


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
