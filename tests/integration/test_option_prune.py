"""`--batchguard-prune`: entries whose case no longer exists go, in whole and green runs only."""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARD = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_renamed(batchguard):
    tiny.train(batchguard)

def test_plain():
    pass
"""
SKIPPED_AS_A_WHOLE = """
import pytest

pytest.importorskip("no_such_package")

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    pass
"""
NOT_COLLECTED = "raise RuntimeError('collected')"
FAILING = "def test_other():\n    raise LookupError\n"
PASSING = "def test_other():\n    pass\n"
ENTRY = {"memory": {"peak_bytes": 20000}}
HERE, GONE = "test_it.py::test_renamed[b4-8x8]", "test_it.py::test_old_name[b4-8x8]"
IN_THIS_PROCESS = "--pdb"
"""Trains in pytest's own process, which saves a green run the process servers."""


def dropped(project):
    return {HERE, GONE} - set(project.baselines()["cases"])


@pytest.fixture
def guarded(project):
    project.write({"test_it.py": GUARD})
    project.accept({HERE: ENTRY, GONE: ENTRY})
    return project


def test_whole_and_green_run_drops_the_entry_of_a_renamed_test_and_says_so(guarded):
    run = guarded.run("--batchguard-prune", IN_THIS_PROCESS)

    assert run.exit_code == pytest.ExitCode.OK
    assert dropped(guarded) == {GONE}
    assert f"dropped {GONE}" in text_of(run.summary())


@pytest.mark.parametrize("narrowing", [("-k", "plain"), ("test_it.py::test_plain",)], ids=["-k", "node-id"])
def test_narrowed_run_drops_nothing(guarded, narrowing):
    run = guarded.run("--batchguard-prune", *narrowing, ini={"batchguard_start_method": "spawn"})

    run.stdout.fnmatch_lines(["*1 passed*"])
    assert dropped(guarded) == set()
    assert "no baseline was dropped: that takes a whole, green run, and not all of its tests ran" in text_of(
        run.summary()
    )


def test_run_with_a_failure_drops_nothing(project):
    project.write({"test_it.py": FAILING})
    project.accept({HERE: ENTRY, GONE: ENTRY})

    run = project.run("--batchguard-prune", ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert dropped(project) == set()


def test_run_of_what_failed_last_drops_nothing(guarded):
    guarded.write({"test_other.py": FAILING})
    guarded.run("test_other.py")
    guarded.write({"test_other.py": PASSING})

    run = guarded.run("--batchguard-prune", "--lf", ini={"batchguard_start_method": "spawn"})

    run.stdout.fnmatch_lines(["*1 passed*"])
    assert dropped(guarded) == set()
    assert "no baseline was dropped: that takes a whole, green run, and not all of its tests ran" in text_of(
        run.summary()
    )


def test_only_entries_of_files_that_were_collected_are_dropped(guarded):
    """By ini key; the files are ignored by flag or by conftest, skip themselves, or were not asked for."""
    kept = {
        f"{file}::test_guard[b4-8x8]"
        for file in ("test_ignored.py", "test_ignored_by_conftest.py", "test_skipped.py", "elsewhere/test_it.py")
    }
    guarded.write(
        {
            "test_ignored.py": NOT_COLLECTED,
            "test_ignored_by_conftest.py": NOT_COLLECTED,
            "test_skipped.py": SKIPPED_AS_A_WHOLE,
            "elsewhere/test_it.py": NOT_COLLECTED,
            "conftest.py": "collect_ignore = ['test_ignored_by_conftest.py']",
        }
    )
    guarded.accept(dict.fromkeys([HERE, GONE, *kept], ENTRY))

    run = guarded.run(
        IN_THIS_PROCESS,
        "--batchguard-device=cpu",
        "--ignore=test_ignored.py",
        "--ignore=elsewhere",
        ini={"batchguard_prune": "true"},
    )

    assert run.exit_code == pytest.ExitCode.OK
    assert set(guarded.baselines()["cases"]) == {HERE, *kept}
