"""Measurements, baselines and results to judge and to show, each with figures easy to reckon with."""

from pytest_batchguard.core.figures import Breakdown, LossFigures, MemoryFigures, ThroughputFigures
from pytest_batchguard.core.model import (
    Baseline,
    CaseResult,
    Check,
    Device,
    ImageSize,
    Judgement,
    Limits,
    Measurement,
    ModelFingerprint,
    Provenance,
    Verdict,
)

MIB = 2**20
NODE_ID = "tests/test_training_guard.py::test_classifier_trains[b32-180x180]"
GPU = Device("nvidia-h200", "NVIDIA H200", 150_754_820_096, index=0, uuid="GPU-1")
CPU = Device("cpu-intel-xeon-2c", "Intel Xeon, 2 cores", 16 * 2**30)
FALLING = (4.0, 3.0, 2.0, 1.0)


def memory(peak_bytes=100 * MIB, **others):
    return MemoryFigures(peak_bytes, **others)


def throughput(pace=2.0, images_per_second=800.0, yardstick=1, **others):
    return ThroughputFigures(images_per_second, pace, yardstick, **others)


def loss(curve=FALLING):
    first, last = curve[0], curve[-1]
    return LossFigures(first, last, (first - last) / abs(first), tuple(curve))


def measurement(**parts):
    figures = {"memory": memory(), "throughput": throughput(), "loss": loss()}
    return Measurement(32, ImageSize(180, 180), steps=4, **{**figures, **parts})


def baseline(**parts):
    figures = {"memory": memory(), "throughput": throughput(), "loss": loss()}
    return Baseline(**{**figures, **parts})


def full_baseline():
    return Baseline(
        memory=memory(331_661_312, spread=0.004, reserved_bytes=400 * MIB),
        throughput=throughput(2.787, 812.4, spread=0.031),
        breakdown=Breakdown(0.03, 0.039, 0.001),
        loss=LossFigures(2.31, 1.42, 0.385, (2.31, 2.2, 1.9)),
        model=ModelFingerprint(3_989_285, 3_989_000, "float32", "Adam", 0.001, False, ("float32[32, 180, 180, 3]",)),
        recorded_with=Provenance("2026-11-22", "1234567", "2.21.0", "3.15.1", "3.10"),
    )


def breakdown(model_seconds=0.05, step_seconds=0.1, pipeline_seconds=0.08):
    return Breakdown(model_seconds, step_seconds, pipeline_seconds)


def pace_check(verdict=Verdict.REGRESSED, measured=3.0, accepted=2.0):
    return Check("pace", measured, accepted * 1.1, verdict, accepted, 0.1, (measured, measured))


def judgement(verdict=Verdict.PASSED, **parts):
    return Judgement(verdict, **parts)


def result(verdict=Verdict.PASSED, node_id=NODE_ID, *, checks=(), reason="", notes=(), changes=(), **parts):
    given = {"limits": Limits(), "measurement": measurement(), "baseline": baseline(), **parts}
    return CaseResult(node_id, Judgement(verdict, checks, reason, notes, changes), **given)
