"""Does `--batchguard-against` cry wolf, and does it see a step that takes 10 % longer? Real runs of the real thing.

    python benchmarks/against_alarms.py [ROUNDS]

Each run compares a tree with its last commit: unchanged, or with every step slowed down, on a quiet machine and beside
a process that burns one core at random intervals. Runs are appended to benchmarks/results/against_alarms.jsonl.gz as
soon as they are over, so that a benchmark that was ended, or one of another day, goes on where it was; 50 rounds of six
runs unless told otherwise. A line belongs to one device, and only this device's are counted. Then
benchmarks/results/against_alarms.md is written.
"""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from neighbour import CONDITIONS, surroundings
from record import RESULTS, record, table

from pytest_batchguard.measure.device import cpu_device

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
MEASURED = RESULTS / "against_alarms.jsonl.gz"
ROUNDS = 50
SLOWDOWNS = (0.0, 0.0, 0.1)
"""Of a round, each in both conditions: false alarms are to be rarer than slowdowns that are missed."""
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


def compare(condition: str, slowdown: float) -> dict[str, Any]:
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
        command = [sys.executable, "-m", "pytest", *arguments]
        with surroundings(condition):
            subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL)
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
    device = cpu_device().key
    return {"device": device, "condition": condition, "slowdown": slowdown, "seconds": seconds, "cases": said}


def measured() -> list[dict[str, Any]]:
    """Return the runs on this device so far."""
    if not MEASURED.exists():
        return []
    here = cpu_device().key
    with gzip.open(MEASURED, "rt", encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["device"] == here]


def rows(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each case, condition and slowdown."""
    found = []
    for slowdown, condition in itertools.product(sorted(set(SLOWDOWNS)), CONDITIONS):
        of_kind = [run for run in runs if (run["slowdown"], run["condition"]) == (slowdown, condition)]
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
            kind = [case, condition, f"{slowdown:.0%}", str(len(said))]
            found.append([*kind, f"{median(paces):.3f}", varies, attempts, *shares])
    return found


def main() -> None:
    """Run what is missing and record."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    MEASURED.parent.mkdir(exist_ok=True)
    kinds = list(itertools.product(CONDITIONS, SLOWDOWNS))
    while len(runs := measured()) < rounds * len(kinds):
        run = compare(*kinds[len(runs) % len(kinds)])
        with gzip.open(MEASURED, "at", encoding="utf-8") as file:
            file.write(json.dumps(run) + "\n")
    head = [
        "case",
        "machine",
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
