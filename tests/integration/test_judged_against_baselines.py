"""Cases held against accepted values: what is worse fails with a table, what is as good passes."""

from __future__ import annotations

import re

import pytest

from pytest_batchguard.measure.yardstick import VERSION
from tests.integration.project import text_of

GUARDS = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8, throughput_tolerance=10, memory_tolerance=10, loss_tolerance=1,
                        max_memory="1GiB", min_throughput=1, min_loss_decrease=-1, memory_budget="1GiB")
def test_within_every_limit(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8, throughput_tolerance="10%", memory_tolerance="5%")
def test_slower_and_larger(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8, loss_tolerance=0.01, max_memory="1KiB", min_throughput=1e12)
def test_learns_less(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8, throughput_tolerance=0.5, memory_tolerance=0.5)
def test_better_than_accepted(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8)
def test_without_baseline(batchguard):
    tiny.train(batchguard)
"""
ACCEPTED = {
    "memory": {"peak_bytes": 8000, "spread": 0.01},
    "throughput": {"images_per_second": 9000.0, "pace": 0.08, "yardstick": VERSION, "spread": 0.01},
    "loss": {"first": 2.0, "last": 0.1, "decrease": 0.95, "curve": [2.0, 0.1], "spread": 0.0},
    "model": {"parameters": 100, "trainable": 100, "optimizer": "Adam"},
    "recorded_with": {"date": "2026-01-01", "commit": "1234567", "tensorflow": "2.16.1", "python": "3.10.0"},
}
MODEST = {
    "memory": {"peak_bytes": 10**9},
    "throughput": {"images_per_second": 1.0, "pace": 10**4, "yardstick": VERSION},
    "loss": {"first": 2.0, "last": 1.99, "decrease": 0.005, "curve": [2.0, 1.99]},
}


def node(name: str) -> str:
    return f"test_judged.py::{name}[b4-8x8]"


@pytest.fixture(scope="module")
def project(new_project):
    project = new_project(test_judged=GUARDS)
    lenient = {key: value for key, value in ACCEPTED.items() if key == "loss"}
    project.accept(
        {
            node("test_within_every_limit"): {**ACCEPTED, "throughput": {**ACCEPTED["throughput"], "pace": 1.0}},
            node("test_slower_and_larger"): ACCEPTED,
            node("test_learns_less"): lenient,
            node("test_better_than_accepted"): MODEST,
            node("test_that_is_gone"): MODEST,
        }
    )
    return project


@pytest.fixture(scope="module")
def accepted_before(project):
    return project.baselines_path.read_bytes()


@pytest.fixture(scope="module")
def run(project, accepted_before):
    return project.run("--batchguard", "--batchguard-strict", "-rA")


def test_comparing_changes_no_byte_of_the_baselines(run, project, accepted_before):
    assert project.baselines_path.read_bytes() == accepted_before


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("test_within_every_limit", "passed"),
        ("test_slower_and_larger", "regressed"),
        ("test_learns_less", "regressed"),
        ("test_better_than_accepted", "passed"),
        ("test_without_baseline", "no-baseline"),
    ],
)
def test_verdict_is_the_tests_outcome(run, name, verdict):
    outcome = "PASSED" if verdict == "passed" else "FAILED"

    assert run.figures_of(f"{name}[b4-8x8]")["judgement"]["verdict"] == verdict
    run.stdout.fnmatch_lines([f"{outcome} test_judged.py::{name}[[]b4-8x8]*"])


def test_run_with_a_regression_fails(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*= 3 failed, 2 passed* in *"])


def test_failure_is_a_table_of_what_was_breached(run):
    failure = text_of(run.section("test_slower_and_larger[b4-8x8]"))

    assert failure.startswith("regressed: peak memory ")
    assert "measured baseline change limit" in failure
    assert re.search(r"peak memory [\d.]+ KiB 7\.81 KiB \+\d+ % ≤ 8\.2 KiB \(\+5 %\)", failure)
    assert re.search(r"pace [\d.]+ yardsticks 0\.08 yardsticks \+\d+ % ≤ 0\.088 yardsticks \(\+10 %\)", failure)
    assert re.search(r"throughput [\d,]+ images/s 9,000 images/s -\d+ % judged by pace", failure)


def test_failure_says_what_changed_since_the_baseline(run):
    failure = text_of(run.section("test_slower_and_larger[b4-8x8]"))

    assert "parameters 100 → 195" in failure
    assert "optimizer Adam → SGD" in failure
    assert re.search(r"TensorFlow 2\.16\.1 → \d", failure)
    assert re.search(r"Python 3\.10\.0 → \d", failure)
    assert "2026-01-01" not in failure


def test_breach_of_memory_and_throughput_is_measured_again_and_every_attempt_is_shown(run):
    attempts = [line for line in run.section("test_slower_and_larger[b4-8x8]") if line.startswith("attempt ")]

    assert len(attempts) == 3
    for number, attempt in enumerate(attempts, 1):
        assert re.fullmatch(rf"attempt {number}: regressed, peak memory .* KiB, pace .* yardsticks", attempt)


def test_case_lasts_as_long_as_all_its_attempts(run):
    three, one = (run.junit[f"test_{name}[b4-8x8]"].get("time") for name in ("slower_and_larger", "without_baseline"))

    assert float(three) > float(one)


def test_breach_of_an_absolute_limit_is_a_line_of_the_table(run):
    failure = pytest.LineMatcher(run.section("test_learns_less[b4-8x8]"))

    failure.fnmatch_lines(["peak memory*–*≤ 1 KiB", "throughput*–*≥ 1,000,000,000,000 images/s"])


def test_loss_of_a_seeded_run_is_not_measured_again(run):
    failure = run.section("test_learns_less[b4-8x8]")

    assert [line for line in failure if line.startswith("attempt ")] == []
    assert "loss decrease" in text_of(failure)


def test_case_without_baseline_is_one_failure_and_says_how_to_record_it(run):
    name = "test_without_baseline[b4-8x8]"

    assert text_of(run.section(name)).startswith("no-baseline: nothing was compared")
    assert len(run.junit[name].findall("failure")) == 1
    assert "pytest --batchguard-update-new" in text_of(run.summary())


def test_failures_are_short(run):
    for name in ("test_slower_and_larger", "test_learns_less"):
        assert len(run.section(f"{name}[b4-8x8]")) <= 30


def test_better_than_tolerance_passes_and_says_that_the_baseline_is_stale(run):
    summary = text_of(run.summary())

    assert re.search(r"improved: peak memory is .* % better than the baseline, which is stale", summary)
    assert re.search(r"improved: pace is .* % better than the baseline, which is stale", summary)


def test_regression_is_one_failure_in_junit_with_its_headline(run):
    (failure,) = run.junit["test_slower_and_larger[b4-8x8]"].findall("failure")

    assert failure.get("message", "").startswith("regressed: peak memory ")
