"""Does `--batchguard-against` cry wolf, and does it see a step that takes 10 % longer? Real runs of the real thing.

    python benchmarks/against_alarms.py [RUNS]

Each run compares a tree with its last commit: unchanged, or with every step slowed down. Runs are appended to
benchmarks/results/against_alarms.jsonl as soon as they are over, so that a benchmark that was ended goes on where it
was; 100 of each kind unless told otherwise. Then benchmarks/results/against_alarms.md is written.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from record import RESULTS, record, table

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
MEASURED = RESULTS / "against_alarms.jsonl"
RUNS = 100
SLOWDOWNS = (0.0, 0.1)
GIT = ("git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org")

GUARDS = """
import pytest
from slow_training import slow_down
from slowdown import SLOWDOWN

@pytest.mark.batchguard(cases=[(64, 32), (32, 96)])
def test_model(batchguard):
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size).cache()
    model = build_classifier(batchguard.image_size)
    if SLOWDOWN:
        slow_down(model, batchguard.batch_size, SLOWDOWN)
    batchguard.train(model, digits)
"""


def compare(slowdown: float) -> dict[str, Any]:
    """Return what one run said."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "pytest.ini": f"[pytest]\npythonpath = . {SAMPLE_PROJECT} {Path(__file__).parent}\n",
            "test_guards.py": GUARDS,
            "slowdown.py": "SLOWDOWN = 0.0\n",
        }
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "base")):
            subprocess.run([*GIT, *arguments], cwd=folder, check=True)
        Path(folder, "slowdown.py").write_text(f"SLOWDOWN = {slowdown}\n", encoding="utf-8")
        arguments = ("-q", "--batchguard-against", "HEAD", "--batchguard-json", "run.json")
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=folder, check=False, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
        cases = json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))["cases"]
    said = {}
    for case in cases:
        checks = (check for attempt in case["attempts"] for check in attempt["checks"])
        paces = [check["measured"] for check in checks if check["quantity"] == "pace"]
        judgement = case["judgement"]
        said[case["node_id"].rpartition("::")[2]] = {
            "verdict": judgement["verdict"],
            "breached": [check["quantity"] for check in judgement["checks"] if check["verdict"] == "regressed"],
            "paces": paces,
        }
    return {"slowdown": slowdown, "seconds": seconds, "cases": said}


def measured() -> list[dict[str, Any]]:
    """Return the runs so far."""
    if not MEASURED.exists():
        return []
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def rows(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each case and slowdown."""
    found = []
    for slowdown in SLOWDOWNS:
        of_kind = [run for run in runs if run["slowdown"] == slowdown]
        for case in sorted({name for run in of_kind for name in run["cases"]}):
            said = [run["cases"][case] for run in of_kind]
            paces = [pace for each in said for pace in each["paces"]]
            marks = (
                [each["verdict"] == "regressed" for each in said],
                ["pace" in each["breached"] for each in said],
                [each["verdict"] == "inconclusive" for each in said],
            )
            shares = [f"{fmean(marked):.1%}" for marked in marks]
            varies = f"{stdev(paces) / fmean(paces):.1%}"
            attempts = f"{len(paces) / len(said):.1f}"
            found.append([case, f"{slowdown:.0%}", str(len(said)), f"{median(paces):.3f}", varies, attempts, *shares])
    return found


def main() -> None:
    """Run what is missing and record."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    MEASURED.parent.mkdir(exist_ok=True)
    while len(runs := measured()) < wanted * len(SLOWDOWNS):
        run = compare(SLOWDOWNS[len(runs) % len(SLOWDOWNS)])
        with MEASURED.open("a", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
    head = [
        "case",
        "planted",
        "runs",
        "median pace",
        "pace varies by",
        "attempts a run",
        "failed",
        "by pace",
        "inconclusive",
    ]
    seconds = median(run["seconds"] for run in runs)
    text = f"Tolerance 5 %, the default of a comparison. A run of the two cases took {seconds:.0f} s (median)."
    record("against_alarms", "python benchmarks/against_alarms.py", [text, "", *table(head, rows(runs))])


if __name__ == "__main__":
    main()
