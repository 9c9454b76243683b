"""`--batchguard-strict`: a case that could not be compared fails.

That it passes loudly otherwise is in `test_composition`, the ini key in `test_judged_against_baselines`.
"""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARDS = """
import pytest
import tiny

@pytest.mark.batchguard([4, 8], 8)
def test_guard(batchguard):
    tiny.train(batchguard)
"""
ACCEPTED = {"memory": {"peak_bytes": 20000}, "throughput": {"images_per_second": 2000.0, "pace": 0.3, "yardstick": 1}}
KNOWN, UNKNOWN = "test_guard[b4-8x8]", "test_guard[b8-8x8]"


@pytest.fixture(scope="module")
def run(new_project):
    project = new_project(test_it=GUARDS)
    project.accept({f"test_it.py::{KNOWN}": ACCEPTED})
    return project.run("--batchguard", "--batchguard-strict", "-rA", ini={"batchguard_throughput_tolerance": "10"})


def test_case_without_baseline_fails(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["FAILED test_it.py::test_guard[[]b8-8x8] - no-baseline: nothing was compared*"])
    assert len(run.junit[UNKNOWN].findall("failure")) == 1


def test_failure_says_how_to_record_the_baseline(run):
    assert "pytest --batchguard-update-new" in text_of([*run.section(UNKNOWN), *run.summary()])


def test_case_with_baseline_passes(run):
    run.stdout.fnmatch_lines(["PASSED test_it.py::test_guard[[]b4-8x8]"])
