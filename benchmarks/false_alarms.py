"""Does the throughput verdict cry wolf, and does it see what it should? Real trainings, judged by the real rules.

    python benchmarks/false_alarms.py [BLOCKS]

A block visits every case, on a quiet machine and then beside a process that burns one core at random intervals; every
fifth block visits it slowed down by known shares too. A visit is what the guard does: it measures the case in fresh
processes one after the other, until none of up to twenty baselines asks for another attempt. A baseline is made as an
update makes it, of five rounds: the first attempts of five quiet blocks in a row, all of them before the visit.

Blocks are appended to benchmarks/results/false_alarms.jsonl.gz as soon as they are measured, so that a run that was
ended, or one of another day, goes on where it was; 100 blocks unless told otherwise. A line belongs to one device, and
only this device's are judged. Then benchmarks/results/false_alarms-<device key>.md is written with a plot, for which
matplotlib is needed.
"""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import alarm_rules
from alarm_rules import Key, Visit, Visits
from lab import Bench, work_on
from neighbour import CONDITIONS, surroundings
from record import RESULTS, record, table

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plain import from_plain, to_plain
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.measure.device import cpu_device

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
MEASURED = RESULTS / "false_alarms.jsonl.gz"
BLOCKS = 100
SLOWDOWNS = (0.0, 0.15, 0.2)
PLANTED_EVERY = 5

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

@pytest.mark.batchguard(32, 180)
def test_project(batchguard):
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    digits = load_digits(batchguard.image_size, batchguard.batch_size)
    batchguard.train(build_classifier(batchguard.image_size), digits)

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


def _what_is_judged(measurement: Measurement) -> Measurement:
    case = Measurement(measurement.batch_size, measurement.image_size)
    return replace(case, throughput=measurement.throughput, breakdown=measurement.breakdown)


def measured() -> list[dict[str, Any]]:
    """Return what was measured on this device so far, a line for each visit."""
    if not MEASURED.exists():
        return []
    here = cpu_device().key
    with gzip.open(MEASURED, "rt", encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["device"] == here]


def visits(lines: Iterable[Mapping[str, Any]]) -> Visits:
    """Return the visits of these lines, by case, condition and slowdown."""
    found: dict[Key, list[Visit]] = {}
    for line in lines:
        attempts = tuple(from_plain(Measurement, each) for each in line["attempts"])
        key = (line["case"], line["condition"], line["slowdown"])
        found.setdefault(key, []).append(Visit(line["block"], attempts))
    return found


def collect(blocks: int) -> None:
    """Measure the blocks that are missing."""
    MEASURED.parent.mkdir(exist_ok=True)
    known = {(line["condition"], line["block"]) for line in measured()}
    for block, condition in itertools.product(range(blocks), CONDITIONS):
        if (condition, block) not in known:
            with surroundings(condition):
                command = [sys.executable, __file__, "--block", condition, str(block)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def collect_block(condition: str, block: int) -> None:
    """Measure one block and write it down, all of it or nothing."""
    device = cpu_device()
    known = visits(measured())
    lines: list[dict[str, Any]] = []

    def measure(bench: Bench) -> None:
        case = f"{bench.name.partition('[')[0].removeprefix('test_')} {bench.case.id}"
        slowdown = bench.parameters.get("slowdown", 0.0)
        baselines = alarm_rules.baselines_before(known, case, block)
        attempts: list[Measurement] = []
        while alarm_rules.wants_another(attempts, baselines):
            attempt = bench.measure(Pass.THROUGHPUT, is_probe=False)
            if attempt.measurement is None or attempt.measurement.failure is not None:
                raise RuntimeError(f"{bench.name} did not train: {attempt}")
            attempts.append(_what_is_judged(attempt.measurement))
        key = {"device": device.key, "condition": condition, "block": block, "case": case, "slowdown": slowdown}
        lines.append({**key, "attempts": [to_plain(each) for each in attempts]})

    is_planted = block % PLANTED_EVERY == 0 and block > alarm_rules.REPEATS  # or there is nothing to judge it by
    slowdowns = SLOWDOWNS if is_planted else SLOWDOWNS[:1]
    guards = GUARDS.replace("{slowdowns}", repr(slowdowns))
    work_on(guards, device, measure, [SAMPLE_PROJECT, Path(__file__).parent])
    with gzip.open(MEASURED, "at", encoding="utf-8") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))


def _names(known: Visits) -> list[str]:
    rows = [
        [condition, f"{slowdown:.0%}", *(f"{share:.1%}" for share in alarm_rules.named(known, key).values())]
        for key in sorted(known)
        for case, condition, slowdown in [key]
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


def _curves(known: Visits) -> list[list[str]]:
    return [
        [name, f"{slowdown:.0%}", *map(alarm_rules.percent, alarm_rules.curve(known, slowdown, rule))]
        for name, rule in alarm_rules.RULES.items()
        for slowdown in alarm_rules.slowdowns(known)
    ]


def report() -> None:
    """Judge what was measured so far and record what comes of it."""
    known = visits(measured())
    name = f"false_alarms-{cpu_device().key}"
    unchanged = [visit for key, each in known.items() if not key[2] for visit in each]
    text = (
        f"{sum(map(len, known.values()))} visits with {alarm_rules.attempts_in(known)} attempts, {len(unchanged)} of "
        f"them to an unchanged project. Each is judged against up to {alarm_rules.BASELINES} baselines that were made "
        f"before it, of {alarm_rules.REPEATS} rounds; visits in the first {alarm_rules.REPEATS} blocks only make "
        f"baselines. Tolerance {alarm_rules.DEFAULT_TOLERANCE:.0%}."
    )
    lines = [text, "", *table(alarm_rules.HEAD, list(alarm_rules.rows(known)))]
    if apart := list(alarm_rules.apart_rows(known)):
        lines += ["", "How far apart attempts in a row are, and visits (standard deviation of the pace):", ""]
        lines += table(alarm_rules.APART_HEAD, apart)
    lines += ["", "Unchanged, by how long threads took to wake one another:", ""]
    lines += table(alarm_rules.STATE_HEAD, list(alarm_rules.state_rows(known)))
    lines += ["", "What the first attempt at the slowed pipeline is explained by:", "", *_names(known)]
    alarm_rules.draw(known, RESULTS / f"{name}.svg")
    head = ["judged runs that fail, by", "planted", *(f"{tolerance:.1%}" for tolerance in alarm_rules.TOLERANCES)]
    text = "Over all cases and both conditions; at other tolerances than 10 % the guard would measure some more often:"
    lines += ["", text, "", *table(head, _curves(known))]
    lines += ["", "Where every attempt ends after so many windows, of the cases that wait for no data:", ""]
    head = ["windows", *(f"planted {slowdown:.0%}" for slowdown in alarm_rules.slowdowns(known))]
    lines += table(head, list(alarm_rules.window_rows(known, "model")))
    lines += ["", f"![]({name}.svg)"]
    record(name, "python benchmarks/false_alarms.py", lines)


if __name__ == "__main__":
    main()
