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
from pathlib import Path

from record import record, table

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
RUNS = 20


def run(folder: str, *arguments: str) -> tuple[int, list[dict[str, object]], float]:
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
    with tempfile.TemporaryDirectory() as folder:
        code, _, seconds = run(folder, "--batchguard-update")
        rows.append(["update", str(code), f"{seconds:.0f} s", "", ""])
        for number in range(1, runs + 1):
            code, cases, seconds = run(folder, "--batchguard")
            passed += code == 0
            attempts = sum(len(case["attempts"]) for case in cases)
            unsure = [case["node_id"] for case in cases if case["judgement"]["verdict"] != "passed"]
            rows.append([str(number), str(code), f"{seconds:.0f} s", str(attempts), ", ".join(unsure)])
    text = f"{passed} of {runs} runs of the unchanged project exited with 0."
    head = ["run", "exit code", "time", "measurings of the 4 cases", "not passed"]
    record("unchanged", "python benchmarks/unchanged.py", [text, "", *table(head, rows)])


if __name__ == "__main__":
    main()
