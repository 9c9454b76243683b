"""Does the throughput verdict cry wolf, and does it see what it should? Real trainings, judged by the real rules.

    python benchmarks/false_alarms.py [BLOCKS]

A block trains every case once, in fresh processes, on a quiet machine and then beside a process that burns one core
at random intervals; every third block trains it slowed down by known shares too. Blocks are appended to
benchmarks/results/false_alarms.jsonl as soon as they are measured, so that a run that was ended goes on where it was;
100 blocks unless told otherwise. Then every block is judged, as a run with up to five attempts, against baselines
made of five others, and benchmarks/results/false_alarms.md is written with a plot, for which matplotlib is needed.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import alarm_rules
from lab import Bench, work_on
from record import RESULTS, record, table

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plain import from_plain, to_plain
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.measure.device import choose_device

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
MEASURED = RESULTS / "false_alarms.jsonl"
BLOCKS = 100
CONDITIONS = ("quiet", "noisy")
SLOWDOWNS = (0.0, 0.15, 0.2)
CASES = 3
PLANTED_EVERY = 3

GUARDS = """
import pytest
from slow_training import slow_down

SLOWDOWNS = pytest.mark.parametrize("slowdown", {slowdowns})

@SLOWDOWNS
@pytest.mark.batchguard(cases=[(64, 32), (32, 96)])
def test_model(batchguard, slowdown):
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size).cache()
    model = build_classifier(batchguard.image_size)
    if slowdown:
        slow_down(model, batchguard.batch_size, slowdown)
    batchguard.train(model, digits)

@SLOWDOWNS
@pytest.mark.batchguard(8, 32)
def test_pipeline(batchguard, slowdown):
    import tensorflow as tf
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    def augment(images, labels):
        for _ in range(round(40 * (1 + slowdown))):
            images = tf.image.resize(tf.image.resize(images, (256, 256)), batchguard.image_size)
        return images, labels

    one_core = tf.data.Options()
    one_core.threading.max_intra_op_parallelism = 1
    one_core.threading.private_threadpool_size = 2  # or it would wait for the training's threads
    digits = load_digits(batchguard.image_size, batchguard.batch_size).cache().map(augment).prefetch(2)
    batchguard.train(build_classifier(batchguard.image_size), digits.with_options(one_core))
"""

NEIGHBOUR = """
import os, random, time
parent = os.getppid()
while os.getppid() == parent:
    end = time.monotonic() + random.uniform(0.2, 2)
    while time.monotonic() < end:
        pass
    time.sleep(random.uniform(0.2, 3))
"""


def _what_is_judged(measurement: Measurement) -> Measurement:
    case = Measurement(measurement.batch_size, measurement.image_size)
    return replace(case, throughput=measurement.throughput, breakdown=measurement.breakdown)


@contextmanager
def surroundings(condition: str) -> Iterator[None]:
    """Let a neighbour burn a core where the condition says so."""
    if condition == "quiet":
        yield
        return
    with subprocess.Popen([sys.executable, "-c", NEIGHBOUR]) as neighbour:
        try:
            yield
        finally:
            neighbour.kill()


def measured() -> list[dict[str, Any]]:
    """Return what was measured so far, line by line."""
    if not MEASURED.exists():
        return []
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def _slowdowns(block: int) -> tuple[float, ...]:
    return SLOWDOWNS if block % PLANTED_EVERY == 0 else SLOWDOWNS[:1]


def collect(blocks: int) -> None:
    """Measure the blocks that are missing; a block that was cut off is measured anew."""
    lines = measured()
    whole = {
        key
        for key, group in itertools.groupby(lines, lambda line: (line["condition"], line["block"]))
        if len(list(group)) == CASES * len(_slowdowns(key[1]))
    }
    kept = [line for line in lines if (line["condition"], line["block"]) in whole]
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    for block, condition in itertools.product(range(blocks), CONDITIONS):
        if (condition, block) not in whole:
            with surroundings(condition):
                command = [sys.executable, __file__, "--block", condition, str(block)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def collect_block(condition: str, block: int) -> None:
    """Measure one block: a throughput pass of each case, written down and not judged."""

    def measure(bench: Bench) -> None:
        attempt = bench.measure(Pass.THROUGHPUT, is_probe=False)
        if attempt.measurement is None or attempt.measurement.failure is not None:
            raise RuntimeError(f"{bench.name} did not train: {attempt}")
        line = {
            "condition": condition,
            "block": block,
            "case": f"{bench.name.partition('[')[0].removeprefix('test_')} {bench.case.id}",
            "slowdown": bench.parameters["slowdown"],
            "measurement": to_plain(_what_is_judged(attempt.measurement)),
        }
        with MEASURED.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    guards = GUARDS.replace("{slowdowns}", repr(_slowdowns(block)))
    work_on(guards, choose_device("cpu", os.environ), measure, [SAMPLE_PROJECT, Path(__file__).parent])


def _names(measured_so_far: dict[tuple[str, str, float], list[Measurement]]) -> list[str]:
    rows = [
        [condition, f"{slowdown:.0%}", *(f"{share:.1%}" for share in shares.values())]
        for (case, condition, slowdown), shares in (
            (key, alarm_rules.named(measured_so_far, key)) for key in sorted(measured_so_far)
        )
        if case.startswith("pipeline") and slowdown
    ]
    return table(["machine", "planted", "the pipeline", "pipeline and model", "neither, or the model"], rows)


def main() -> None:
    """Measure what is missing, judge and record."""
    if "--block" in sys.argv:
        collect_block(sys.argv[2], int(sys.argv[3]))
        return
    collect(int(sys.argv[1]) if len(sys.argv) > 1 else BLOCKS)
    report()


def _curves(measured_so_far: dict[tuple[str, str, float], list[Measurement]]) -> list[list[str]]:
    return [
        [name, f"{slowdown:.0%}", *(f"{share:.1%}" for share in alarm_rules.curve(measured_so_far, slowdown, rule))]
        for name, rule in alarm_rules.RULES.items()
        for slowdown in sorted({key[2] for key in measured_so_far})
    ]


def report() -> None:
    """Judge what was measured so far and record what comes of it."""
    measured_so_far: dict[tuple[str, str, float], list[Measurement]] = {}
    for line in measured():
        key = (line["case"], line["condition"], line["slowdown"])
        measured_so_far.setdefault(key, []).append(from_plain(Measurement, line["measurement"]))
    text = (
        f"Every attempt begins one judged run against each of {alarm_rules.BASELINES} baselines, of "
        f"{alarm_rules.REPEATS} quiet attempts each that it has no part in; runs that share attempts are not "
        f"independent. Tolerance {alarm_rules.DEFAULT_TOLERANCE:.0%}."
    )
    lines = [text, "", *table(alarm_rules.HEAD, list(alarm_rules.rows(measured_so_far)))]
    lines += ["", "What an attempt at the slowed pipeline is explained by:", "", *_names(measured_so_far)]
    alarm_rules.draw(measured_so_far, RESULTS / "false_alarms.svg")
    head = ["runs that fail, by", "planted", *(f"{tolerance:.1%}" for tolerance in alarm_rules.TOLERANCES)]
    lines += ["", "Over all cases and both conditions, by tolerance:", "", *table(head, _curves(measured_so_far))]
    slowdowns = sorted({key[2] for key in measured_so_far})
    lines += ["", "Where every attempt ends after so many windows, of the cases that wait for no data:", ""]
    head = ["windows", *(f"planted {slowdown:.0%}" for slowdown in slowdowns)]
    lines += table(head, list(alarm_rules.window_rows(measured_so_far, "model")))
    lines += ["", "![](false_alarms.svg)"]
    record("false_alarms", "python benchmarks/false_alarms.py", lines)


if __name__ == "__main__":
    main()
