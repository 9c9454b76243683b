"""The spread of the peak of one program over fresh processes.

    python benchmarks/memory_spread.py

Runs the sample project's guards again and again, each time in fresh processes, then the memory pass of other models
and sizes, and writes benchmarks/results/memory_spread.md. About a quarter of an hour.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
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
OTHERS = {("digits", 64): 20, ("digits", 96): 32, ("digits", 128): 48, ("mobilenet", 96): 16, ("resnet", 32): 16}
"""Batch sizes of other cases, by model and image side."""


def peaks() -> dict[str, list[int]]:
    """Return the peak of every case of the sample project in every run, in bytes."""
    found: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        command = [sys.executable, "-m", "pytest", "-q", "--batchguard", "--batchguard-json", str(figures)]
        # Baselines are not the subject: none, so that nothing is measured a second time.
        command += ["--batchguard-baselines", folder, "-p", "no:cacheprovider", str(SAMPLE_PROJECT)]
        for _ in range(PROCESSES):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            for case in json.loads(figures.read_text(encoding="utf-8"))["cases"]:
                name = f"`{case['node_id'].rpartition('::')[2]}`"
                found.setdefault(name, []).append(case["measurement"]["memory"]["peak_bytes"])
    return found


def other_peaks() -> dict[str, list[int]]:
    """Return the peaks of the other cases."""
    found: dict[str, list[int]] = {}

    def measure(bench: Bench) -> None:
        kind, side = bench.parameters["kind"], bench.case.image_size.height
        batch_size = OTHERS.get((kind, side))
        if batch_size is None:
            return
        for _ in range(PROCESSES):
            measurement = bench.measure(Pass.MEMORY, batch_size, is_probe=False).measurement
            if measurement is None or measurement.memory is None:
                raise RuntimeError(f"{bench.name} did not train")
            found.setdefault(f"{kind} {side}x{side}, batch {batch_size}", []).append(measurement.memory.peak_bytes)

    kinds, sides = (sorted(set(names)) for names in zip(*OTHERS, strict=True))
    guards = GUARDS.replace("{kinds}", repr(kinds)).replace("{sizes}", repr(sides))
    work_on(guards, choose_device("cpu", os.environ), measure, [SAMPLE_PROJECT])
    return found


def row(name: str, values: list[int]) -> list[str]:
    """Return a case's row."""
    usual = median(values)
    tolerance = Limits().memory_tolerance
    beyond = sum(value > usual * (1 + tolerance) for value in values)
    spread = f"{relative_spread(values) * 100:.3f} %"
    return [name, format_bytes(min(values)), format_bytes(usual), format_bytes(max(values)), spread, str(beyond)]


def main() -> None:
    """Measure and record."""
    tolerance = format_percent(Limits().memory_tolerance)
    head = ["case", "smallest", "median", "largest", "spread", f"beyond {tolerance} of the median"]
    lines = [f"Peak memory of one program in {PROCESSES} fresh processes each."]
    parts = {"The sample project's cases (target: spread at most 3 %):": peaks, "Other models and sizes:": other_peaks}
    for title, measure in parts.items():
        lines += ["", title, "", *table(head, [row(name, values) for name, values in measure().items()])]
    record("memory_spread", "python benchmarks/memory_spread.py", lines)


if __name__ == "__main__":
    main()
