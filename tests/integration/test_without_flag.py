"""`pytest` alone: guards are skipped, the reason says how to run them, and nothing heavy is imported."""

from __future__ import annotations

import pytest

GUARDS = """
import pytest

@pytest.mark.batchguard([4, 8], 8)
def test_guard(batchguard):
    raise AssertionError("a guard ran")

def test_plain():
    pass
"""
TELLS_WHAT_WAS_IMPORTED = """
import sys

def pytest_unconfigure():
    heavy = {"tensorflow", "keras", "numpy", "yaml", "pynvml", "psutil", "filelock"}
    print("imported:", sorted(heavy & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_it=GUARDS, conftest=TELLS_WHAT_WAS_IMPORTED).run("-rA", "-p", "no:xdist")


def test_guards_are_skipped_and_every_other_test_runs(run):
    assert run.exit_code == pytest.ExitCode.OK
    run.stdout.fnmatch_lines(["PASSED test_it.py::test_plain", "*= 1 passed, 2 skipped in *"])


def test_reason_of_the_skip_names_the_command(run):
    run.stdout.fnmatch_lines(["SKIPPED [[]2] test_it.py:*pytest --batchguard*"])


def test_nothing_heavy_is_imported(run):
    assert [line for line in run.stdout.lines if line.startswith("imported:")] == ["imported: []"]


def test_nothing_is_said_at_the_end(run):
    run.stdout.no_fnmatch_line("*= batchguard*")


@pytest.mark.parametrize("arguments", [("--batchguard", "-k", "plain"), ("--batchguard", "test_it.py::test_plain")])
def test_run_that_asks_for_guards_and_measures_none_ends_with_exit_code_5(project, arguments):
    project.write({"test_it.py": GUARDS})

    run = project.run(*arguments, ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert run.summary()[0] == "no guard was measured"
    run.stdout.fnmatch_lines(["*1 passed*"])


def test_run_without_any_guard_in_the_project_ends_with_exit_code_5(project):
    project.write({"test_it.py": "def test_plain():\n    pass\n"})

    run = project.run("--batchguard", ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED


def test_failed_test_is_not_hidden_by_exit_code_5(project):
    project.write({"test_it.py": "def test_plain():\n    raise LookupError\n"})

    run = project.run("--batchguard", ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED


def test_plan_of_the_setup_trains_nothing_and_writes_nothing(project):
    project.write({"test_it.py": GUARDS})

    run = project.run("--batchguard-update", "--setup-plan")

    assert run.exit_code == pytest.ExitCode.OK
    run.stdout.fnmatch_lines(["*SETUP*F batchguard*"])
    assert not project.baselines_path.exists()


def test_collecting_only_trains_nothing_and_writes_nothing(project):
    project.write({"test_it.py": GUARDS})

    run = project.run("--batchguard-update", "--collect-only", "-q")

    assert run.exit_code == pytest.ExitCode.OK
    run.stdout.fnmatch_lines(["test_it.py::test_guard[[]b4-8x8]", "test_it.py::test_guard[[]b8-8x8]"])
    assert not project.baselines_path.exists()
