"""The spread of the peak of one program over fresh processes.

    python benchmarks/memory_spread.py

Runs the sample project's guards again and again, each time in fresh processes, and writes
benchmarks/results/memory_spread.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from record import record, table

from pytest_batchguard.core.statistics import relative_spread
from pytest_batchguard.core.units import format_bytes

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
PROCESSES = 20


def peaks() -> dict[str, list[int]]:
    """Return the peak of every case in every run, in bytes."""
    found: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        command = [sys.executable, "-m", "pytest", "-q", "--batchguard", "--batchguard-json", str(figures)]
        # Baselines are not the subject: none, so that nothing is measured a second time.
        command += ["--batchguard-baselines", folder, "-p", "no:cacheprovider", str(SAMPLE_PROJECT)]
        for _ in range(PROCESSES):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            for case in json.loads(figures.read_text(encoding="utf-8"))["cases"]:
                found.setdefault(case["node_id"], []).append(case["measurement"]["memory"]["peak_bytes"])
    return found


def main() -> None:
    """Measure and record."""
    rows = [
        [
            f"`{node_id.rpartition('::')[2]}`",
            format_bytes(min(values)),
            format_bytes(max(values)),
            f"{relative_spread(values) * 100:.3f} %",
        ]
        for node_id, values in peaks().items()
    ]
    text = (
        f"Peak memory of the sample project's cases in {PROCESSES} fresh processes each (target: spread at most 3 %):"
    )
    record(
        "memory_spread",
        "python benchmarks/memory_spread.py",
        [text, "", *table(["case", "smallest", "largest", "spread"], rows)],
    )


if __name__ == "__main__":
    main()
