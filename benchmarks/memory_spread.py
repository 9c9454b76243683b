"""The spread of the peak of one program over fresh processes.

    python benchmarks/memory_spread.py

Runs the memory pass of the sample project's guards, and of other sizes and models, again and again in fresh processes,
and writes benchmarks/results/memory_spread.md. About ten minutes.
"""

from __future__ import annotations

import os
from statistics import median

from lab import Bench, work_on
from record import record, table
from search import GUARDS, SAMPLE_PROJECT

from pytest_batchguard.core.model import Limits
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.core.statistics import relative_spread
from pytest_batchguard.core.units import format_bytes, format_percent
from pytest_batchguard.measure.device import choose_device

PROCESSES = 20
OTHERS = {"mobilenet": [(16, 96)], "resnet": [(16, 32)]}
"""Cases of other models, on one batch of made-up images: batch and image size."""

OTHER_SIZES = """
import pytest

@pytest.mark.batchguard(cases=[(20, 64), (32, 96), (48, 128)])
def test_digits(batchguard):
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size).cache()
    batchguard.train(build_classifier(batchguard.image_size), digits)
"""


def peaks(*modules: str) -> dict[str, list[int]]:
    """Return the peaks of every case of test modules over fresh processes, in bytes."""
    found: dict[str, list[int]] = {}

    def measure(bench: Bench) -> None:
        for _ in range(PROCESSES):
            measurement = bench.measure(Pass.MEMORY, is_probe=False).measurement
            if measurement is None or measurement.memory is None:
                raise RuntimeError(f"{bench.name} did not train")
            found.setdefault(bench.name, []).append(measurement.memory.peak_bytes)

    for module in modules:
        work_on(module, choose_device("cpu", os.environ), measure, [SAMPLE_PROJECT])
    return found


def row(name: str, values: list[int]) -> list[str]:
    """Return a case's row."""
    usual = median(values)
    tolerance = Limits().memory_tolerance
    beyond = sum(value > usual * (1 + tolerance) for value in values)
    spread = f"{relative_spread(values) * 100:.3f} %"
    return [f"`{name}`", format_bytes(min(values)), format_bytes(usual), format_bytes(max(values)), spread, str(beyond)]


def main() -> None:
    """Measure and record."""
    tolerance = format_percent(Limits().memory_tolerance)
    head = ["case", "smallest", "median", "largest", "spread", f"beyond {tolerance} of the median"]
    lines = [f"Peak memory of one program in {PROCESSES} fresh processes each."]
    sample = (SAMPLE_PROJECT / "tests" / "test_training_guard.py").read_text(encoding="utf-8")
    others = [
        GUARDS.replace("{kinds}", repr([kind])).replace("(1, {sizes})", f"(cases={cases})")
        for kind, cases in OTHERS.items()
    ]
    for title, found in (
        ("The sample project's cases (target: spread at most 3 %):", peaks(sample)),
        ("Its model at other sizes, and other models:", peaks(OTHER_SIZES, *others)),
    ):
        lines += ["", title, "", *table(head, [row(name, values) for name, values in found.items()])]
    record("memory_spread", "python benchmarks/memory_spread.py", lines)


if __name__ == "__main__":
    main()
