"""Does the throughput verdict cry wolf, and does it see what it should? Real trainings, judged by the real rules.

    python benchmarks/false_alarms.py [BLOCKS]

A block trains every case once, in fresh processes, unchanged and slowed down by a known share, on a quiet machine and
then beside a process that burns one core at random intervals. Blocks are appended to
benchmarks/results/false_alarms.jsonl as soon as they are measured, so that a run that was ended goes on where it was;
100 blocks unless told otherwise. Then every block is judged, as a run with up to three attempts, against baselines
made of five others, and benchmarks/results/false_alarms.md is written.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest
from record import RESULTS, record, table

from pytest_batchguard.core.judge import conclude, judge, wants_another_attempt
from pytest_batchguard.core.model import Limits, Measurement, Verdict
from pytest_batchguard.core.plain import from_plain, to_plain
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.core.repeats import combine
from pytest_batchguard.core.statistics import relative_spread
from pytest_batchguard.measure.device import choose_device
from pytest_batchguard.plugin.policy import policy_of
from pytest_batchguard.plugin.runner import CaseRunner

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
MEASURED = RESULTS / "false_alarms.jsonl"
BLOCKS = 100
REPEATS = 5
BASELINES = 20
CONDITIONS = ("quiet", "noisy")
SLOWDOWNS = (0.0, 0.15, 0.2)

GUARDS = """
import pytest

SLOWDOWNS = pytest.mark.parametrize("slowdown", [0.0, 0.15, 0.2])

@SLOWDOWNS
@pytest.mark.batchguard(cases=[(64, 32), (32, 96)])
def test_model(batchguard, slowdown):
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    model = build_classifier(batchguard.image_size)
    if slowdown:
        slow_down(model, int(slowdown * batchguard.batch_size + 0.5))
    batchguard.train(model, load_digits(batchguard.image_size, batchguard.batch_size))

@SLOWDOWNS
@pytest.mark.batchguard(64, 32)
def test_pipeline(batchguard, slowdown):
    import tensorflow as tf
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    size = int(700 * (1 + slowdown) ** (1 / 3))

    def augment(images, labels):
        noise = tf.random.normal((size, size))
        return images + 1e-9 * tf.reduce_mean(noise @ noise @ noise), labels

    digits = load_digits(batchguard.image_size, batchguard.batch_size).map(augment)
    batchguard.train(build_classifier(batchguard.image_size), digits)

def slow_down(model, images):
    \"\"\"Let every step compute the gradient of a part of its batch once more.\"\"\"
    import tensorflow as tf

    train_step = model.train_step

    def slower(data):
        logs = train_step(data)
        x, y = (part[:images] for part in data)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=False))
        gradients = tape.gradient(loss, model.trainable_variables)
        return {**logs, "loss": logs["loss"] + 1e-30 * tf.add_n([tf.reduce_sum(each) for each in gradients])}

    model.train_step = slower
"""

NEIGHBOUR = """
import random, time
while True:
    end = time.monotonic() + random.uniform(0.2, 2)
    while time.monotonic() < end:
        pass
    time.sleep(random.uniform(0.2, 3))
"""


class Collector:
    """Takes the place of the guarding: one throughput pass of each case, written down and not judged."""

    def __init__(self, condition: str, block: int) -> None:
        self._condition = condition
        self._block = block
        self._device = choose_device("cpu", os.environ)
        self._runner: CaseRunner | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Start the process servers."""
        self._runner = CaseRunner(session.config, self._device, lambda _message: None)

    def pytest_unconfigure(self) -> None:
        """End them."""
        if self._runner is not None:
            self._runner.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        """Measure and append."""
        assert self._runner is not None  # the session has started
        case = item.callspec.params["batchguard"]  # type: ignore[attr-defined]
        policy = policy_of(item, case, self._device)
        attempt = self._runner.run_pass(item, policy.plan(Pass.THROUGHPUT, self._device), policy.timeout_seconds)
        if attempt.measurement is None or attempt.measurement.failure is not None:
            raise RuntimeError(f"{item.nodeid} did not train: {attempt}")
        line = {
            "condition": self._condition,
            "block": self._block,
            "case": f"{item.name.partition('[')[0].removeprefix('test_')} {case.id}",
            "slowdown": item.callspec.params["slowdown"],  # type: ignore[attr-defined]
            "measurement": to_plain(_what_is_judged(attempt.measurement)),
        }
        with MEASURED.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return True


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


def collect(blocks: int) -> None:
    """Measure the blocks that are missing; a block that was cut off is measured anew."""
    per_block = len(SLOWDOWNS) * 3
    lines = measured()
    whole = {
        key
        for key, group in itertools.groupby(lines, lambda line: (line["condition"], line["block"]))
        if len(list(group)) == per_block
    }
    kept = [line for line in lines if (line["condition"], line["block"]) in whole]
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    for block, condition in itertools.product(range(blocks), CONDITIONS):
        if (condition, block) not in whole:
            with surroundings(condition):
                command = [sys.executable, __file__, "--block", condition, str(block)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def collect_block(condition: str, block: int) -> int:
    """Measure one block; return pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_guards.py").write_text(GUARDS, encoding="utf-8")
        Path(folder, "pytest.ini").write_text(f"[pytest]\npythonpath = {SAMPLE_PROJECT}\n", encoding="utf-8")
        os.chdir(folder)
        code = pytest.main(["-q", "-p", "no:cacheprovider"], plugins=[Collector(condition, block)])
    return int(code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})


def verdict_of(attempts: Sequence[Measurement], accepted: Sequence[Measurement]) -> Verdict:
    """Return what the guard says of these attempts, as many as it asks for, against a baseline of `accepted`."""
    baseline = combine(accepted)
    judgements = []
    for attempt in itertools.cycle(attempts):
        judgements.append(judge(attempt, baseline, Limits()))
        if not wants_another_attempt(judgements):
            return conclude(judgements).verdict
    raise AssertionError


def simple_rule(figure: Callable[[Sequence[float]], float]) -> Callable[..., Verdict]:
    """Return the rule of a figure of the step times, 10 % over the baseline's."""

    def rule(attempts: Sequence[Measurement], accepted: Sequence[Measurement]) -> Verdict:
        limit = 1.1 * median(figure(each.throughput.step_seconds) for each in accepted if each.throughput)
        throughput = attempts[0].throughput
        slower = throughput is not None and figure(throughput.step_seconds) > limit
        return Verdict.REGRESSED if slower else Verdict.PASSED

    return rule


RULES: dict[str, Callable[..., Verdict]] = {
    "the guard": verdict_of,
    "mean step +10 %": simple_rule(fmean),
    "fastest step +10 %": simple_rule(min),
    "median step +10 %": simple_rule(median),
}


def judged() -> list[list[str]]:
    """Return a row a case, condition and slowdown."""
    runs: dict[tuple[str, str, float], list[Measurement]] = {}
    for line in measured():
        key = (line["case"], line["condition"], line["slowdown"])
        runs.setdefault(key, []).append(from_plain(Measurement, line["measurement"]))
    rows = []
    for (case, condition, slowdown), attempts in sorted(runs.items()):
        chance = random.Random(0)
        accepted = runs[case, "quiet", 0.0]
        verdicts: dict[str, list[Verdict]] = {name: [] for name in RULES}
        for place in range(len(attempts)):
            in_turn = [attempts[(place + later) % len(attempts)] for later in range(3)]
            others = [each for each in accepted if each not in in_turn]
            for _ in range(BASELINES):
                baseline = chance.sample(others, REPEATS)
                for name, rule in RULES.items():
                    verdicts[name].append(rule(in_turn, baseline))
        paces = [each.throughput.pace for each in attempts if each.throughput]
        true = median(paces) / median(each.throughput.pace for each in accepted if each.throughput) - 1
        unsure = verdicts["the guard"].count(Verdict.INCONCLUSIVE) / len(verdicts["the guard"])
        alarms = [verdicts[name].count(Verdict.REGRESSED) / len(verdicts[name]) for name in RULES]
        row = [case, condition, f"{slowdown:.0%}", f"{true:+.1%}", str(len(attempts)), f"{relative_spread(paces):.0%}"]
        rows.append([*row, *(f"{share:.1%}" for share in alarms), f"{unsure:.1%}"])
    return rows


def main() -> None:
    """Measure what is missing, judge and record."""
    if "--block" in sys.argv:
        sys.exit(collect_block(sys.argv[2], int(sys.argv[3])))
    collect(int(sys.argv[1]) if len(sys.argv) > 1 else BLOCKS)
    head = ["case", "machine", "planted", "median pace", "attempts", "range of paces"]
    head += [f"alarms: {name}" for name in RULES] + ["guard: inconclusive"]
    text = (
        f"Every attempt began one judged run against each of {BASELINES} baselines, of {REPEATS} quiet attempts each "
        "that it has no part in; runs that share attempts are not independent. Tolerance 10 %."
    )
    record("false_alarms", "python benchmarks/false_alarms.py", [text, "", *table(head, judged())])


if __name__ == "__main__":
    main()
