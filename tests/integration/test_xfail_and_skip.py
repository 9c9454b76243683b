"""pytest's own marks on guards mean what they mean on any test."""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARDS = """
import pytest
import tiny

good = pytest.mark.batchguard(4, 8)
lazy = pytest.mark.batchguard(4, 8, min_loss_decrease=0.999)

@pytest.mark.batchguard(4, 8, loss_tolerance=0.01)
@pytest.mark.xfail(reason="the new card is late")
def test_worse_as_expected(batchguard):
    tiny.train(batchguard)

@lazy
@pytest.mark.xfail(strict=True, reason="the new card is late")
def test_lazy_as_strictly_expected(batchguard):
    tiny.train(batchguard)

@good
@pytest.mark.xfail
def test_good_against_expectation(batchguard):
    tiny.train(batchguard)

@good
@pytest.mark.xfail(strict=True, reason="the new card is late")
def test_good_against_strict_expectation(batchguard):
    tiny.train(batchguard)

@good
@pytest.mark.xfail
def test_asserts_as_expected(batchguard):
    assert tiny.train(batchguard).batch_size == 5

@lazy
@pytest.mark.xfail(raises=ValueError)
def test_lazy_where_an_error_is_expected(batchguard):
    tiny.train(batchguard)

@good
@pytest.mark.xfail(raises=ValueError)
def test_fails_otherwise_than_expected(batchguard):
    raise LookupError("no such augmentation")
"""
SKIPPING = """
import pytest

@pytest.mark.batchguard(4, 8)
@pytest.mark.skip(reason="by mark")
def test_skipped_by_mark(batchguard):
    pass

@pytest.mark.batchguard(4, 8)
@pytest.mark.skipif(True, reason="by condition")
def test_skipped_by_condition(batchguard):
    pass

@pytest.mark.batchguard(4, 8)
def test_skips_itself(batchguard):
    pytest.skip("by itself")

@pytest.mark.batchguard(4, 8)
@pytest.mark.xfail(run=False, reason="never run")
def test_never_run(batchguard):
    pass
"""


@pytest.fixture(scope="module")
def run(new_project):
    project = new_project(test_marks=GUARDS)
    loss = {"first": 2.0, "last": 0.1, "decrease": 0.95, "curve": [2.0, 0.1], "spread": 0.0}
    project.accept({"test_marks.py::test_worse_as_expected[b4-8x8]": {"loss": loss}})
    return project.run("--batchguard", "-rA")


@pytest.fixture(scope="module")
def skipping(new_project):
    return new_project(test_skips=SKIPPING).run("--batchguard", "-rA", "-v")


@pytest.mark.parametrize(
    ("name", "verdict"), [("test_worse_as_expected", "regressed"), ("test_lazy_as_strictly_expected", "unhealthy")]
)
def test_expected_breach_is_xfailed(run, name, verdict):
    run.stdout.fnmatch_lines([f"XFAIL test_marks.py::{name}[[]b4-8x8] - the new card is late*"])
    assert run.figures_of(f"{name}[b4-8x8]")["judgement"]["verdict"] == verdict
    assert run.junit[f"{name}[b4-8x8]"].find("failure") is None


def test_assertion_that_fails_as_expected_is_xfailed(run):
    run.stdout.fnmatch_lines(["XFAIL test_marks.py::test_asserts_as_expected[[]b4-8x8]*"])


def test_case_that_passes_against_expectation_is_xpassed(run):
    run.stdout.fnmatch_lines(["XPASS test_marks.py::test_good_against_expectation[[]b4-8x8]*"])


def test_case_that_passes_against_strict_expectation_fails_for_that(run):
    assert "[XPASS(strict)] the new card is late" in run.section("test_good_against_strict_expectation[b4-8x8]")


def test_verdict_is_not_the_error_that_is_expected(run):
    assert "unhealthy: loss decrease" in text_of(run.section("test_lazy_where_an_error_is_expected[b4-8x8]"))


def test_case_that_fails_otherwise_than_expected_fails(run):
    assert "E       LookupError: no such augmentation" in run.section("test_fails_otherwise_than_expected[b4-8x8]")


def test_only_what_failed_unexpectedly_fails_the_run(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*= 3 failed, 3 xfailed, 1 xpassed in *"])


@pytest.mark.parametrize("reason", ["by mark", "by condition", "by itself"])
def test_skip_keeps_its_reason(skipping, reason):
    skipping.stdout.fnmatch_lines([f"SKIPPED [[]1] test_skips.py:*: {reason}"])


def test_case_that_is_never_run_is_xfailed(skipping):
    skipping.stdout.fnmatch_lines(["XFAIL *test_skips.py::test_never_run[[]b4-8x8]*never run*"])


def test_skips_are_skips_in_junit(skipping):
    for name in ("test_skipped_by_mark", "test_skipped_by_condition", "test_skips_itself"):
        assert skipping.junit[f"{name}[b4-8x8]"].find("skipped") is not None


def test_run_in_which_every_guard_was_skipped_measured_nothing_and_says_so(skipping):
    assert skipping.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "no guard was measured" in skipping.summary()
