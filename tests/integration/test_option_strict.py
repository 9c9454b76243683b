"""`--batchguard-strict`: a case that could not be compared fails.

That it passes loudly otherwise is in `test_composition`, the flag and more verdicts in `test_judged_against_baselines`.
"""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARD = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    tiny.train(batchguard)
"""


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_it=GUARD).run("--batchguard", ini={"batchguard_strict": "true"})


def test_case_without_baseline_fails(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["FAILED test_it.py::test_guard[[]b4-8x8] - no-baseline: nothing was compared*"])
    assert len(run.junit["test_guard[b4-8x8]"].findall("failure")) == 1


def test_failure_says_how_to_record_the_baseline(run):
    assert "pytest --batchguard-update-new" in text_of([*run.section("test_guard[b4-8x8]"), *run.summary()])
