"""A budget is enforced by the allocator: what does not fit fails with the allocator's own reason, and alone.

Here memory runs out while the model is built; in `test_mutants` it does so in training.
"""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARDS = """
import keras
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_heavy_before_training(batchguard):
    keras.layers.Dense(200_000).build((None, 64))

@pytest.mark.batchguard(4, 8)
def test_narrow(batchguard):
    tiny.train(batchguard)
"""
HEAVY = "test_heavy_before_training[b4-8x8]"


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_fit=GUARDS).run("--batchguard", "-rA", "--batchguard-memory-budget", "30MiB")


def test_what_needs_more_than_the_budget_does_not_fit(run):
    failure = text_of(run.section(HEAVY))

    assert run.figures_of(HEAVY)["judgement"]["verdict"] == "does-not-fit"
    assert run.figures_of(HEAVY)["measurement"]["failure"]["kind"] == "oom"
    pytest.LineMatcher([failure]).fnmatch_lines(
        ["does-not-fit: out of memory: no room for a tensor of shape [[]*], float*; the budget is 30 MiB*"]
    )


def test_message_about_what_does_not_fit_is_short(run):
    assert len(run.section(HEAVY)) < 15


def test_next_case_is_unharmed(run):
    run.stdout.fnmatch_lines(["PASSED test_fit.py::test_narrow[[]b4-8x8]"])


def test_table_shows_the_peak_beside_the_budget(run):
    pytest.LineMatcher(run.summary()).fnmatch_lines(["test_narrow[[]b4-8x8]*no-baseline*KiB of 30 MiB*"])


def test_run_fails(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
