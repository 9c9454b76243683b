"""The unchanged sample project, recorded once and judged again and again: does the guard ever cry wolf?

    python benchmarks/unchanged.py [RUNS]

Records baselines into a folder of its own, then runs `pytest sample_project --batchguard` 20 times, or as often as
asked, and writes benchmarks/results/unchanged.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from record import record, table

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
RUNS = 20


def run(folder: str, *arguments: str) -> tuple[int, list[dict[str, Any]], float]:
    """Return exit code, cases and seconds of one guarded run."""
    figures = Path(folder, "figures.json")
    figures.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    command += ["--batchguard-json", str(figures), "--batchguard-baselines", folder, str(SAMPLE_PROJECT)]
    begin = time.perf_counter()
    code = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
    seconds = time.perf_counter() - begin
    return code, json.loads(figures.read_text(encoding="utf-8"))["cases"], seconds


def main() -> None:
    """Measure and record."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    rows, passed = [], 0
    figures: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        code, _, seconds = run(folder, "--batchguard-update")
        rows.append(["update", str(code), f"{seconds:.0f} s", "", ""])
        for number in range(1, runs + 1):
            code, cases, seconds = run(folder, "--batchguard")
            passed += code == 0
            attempts = sum(len(case["attempts"]) for case in cases)
            unsure = [case["node_id"] for case in cases if case["judgement"]["verdict"] != "passed"]
            rows.append([str(number), str(code), f"{seconds:.0f} s", str(attempts), ", ".join(unsure)])
            for case in cases:
                throughput = case["measurement"]["throughput"]
                name = case["node_id"].rpartition("::")[2]
                figures.setdefault(name, []).append((throughput["images_per_second"], throughput["pace"]))
    text = f"{passed} of {runs} runs of the unchanged project exited with 0."
    head = ["run", "exit code", "time", "measurings of the 4 cases", "not passed"]
    lines = [text, "", *table(head, rows), "", f"Variation over the {runs} runs (standard deviation ÷ mean):", ""]
    spread = [[f"`{name}`", *map(_variation, zip(*values, strict=True))] for name, values in figures.items()]
    lines += table(["case", "images per second", "pace"], spread)
    record("unchanged", "python benchmarks/unchanged.py", lines)


def _variation(values: Sequence[float]) -> str:
    return f"{100 * stdev(values) / fmean(values):.1f} %"


if __name__ == "__main__":
    main()
