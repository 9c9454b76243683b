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
FAILING = "def test_failing():\n    raise LookupError\n"
PASSING = "def test_passing():\n    pass\n"
ENTRY = {"memory": {"peak_bytes": 20000}}
HERE, GONE = "test_it.py::test_renamed[b4-8x8]", "test_it.py::test_old_name[b4-8x8]"
IN_THIS_PROCESS = "--pdb"
"""Trains in pytest's own process, which saves a green run the process servers."""


def dropped(project):
    return {HERE, GONE} - set(project.baselines()["cases"])


@pytest.fixture
def pruned_project(project):
    project.write({"test_it.py": GUARD})
    project.accept({HERE: ENTRY, GONE: ENTRY})
    return project


@pytest.mark.parametrize("prune", [{"flag": "--batchguard-prune"}, {"ini": "batchguard_prune"}], ids=["flag", "ini"])
def test_whole_and_green_run_drops_the_entry_of_a_renamed_test_and_says_so(pruned_project, prune):
    arguments = [prune["flag"]] if "flag" in prune else []
    ini = {prune["ini"]: "true"} if "ini" in prune else {}

    run = pruned_project.run(IN_THIS_PROCESS, "--batchguard-device=cpu", *arguments, ini=ini)

    assert run.exit_code == pytest.ExitCode.OK
    assert dropped(pruned_project) == {GONE}
    assert f"dropped {GONE}" in text_of(run.summary())


def test_run_without_the_flag_drops_nothing(pruned_project):
    run = pruned_project.run("--batchguard", IN_THIS_PROCESS)

    assert run.exit_code == pytest.ExitCode.OK
    assert dropped(pruned_project) == set()


@pytest.mark.parametrize(
    "narrowing",
    [
        ("-k", "renamed"),
        ("-m", "batchguard"),
        (HERE,),
        ("test_it.py::test_renamed",),
        ("--deselect", "test_it.py::test_plain"),
    ],
    ids=["-k", "-m", "case", "test", "--deselect"],
)
def test_narrowed_run_drops_nothing(pruned_project, narrowing):
    run = pruned_project.run("--batchguard-prune", IN_THIS_PROCESS, *narrowing)

    assert run.exit_code == pytest.ExitCode.OK
    assert dropped(pruned_project) == set()


def test_run_with_a_failure_drops_nothing(pruned_project):
    pruned_project.write({"test_other.py": FAILING})

    run = pruned_project.run("--batchguard-prune")

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert HERE in run.figures["cases"][0]["node_id"]
    assert dropped(pruned_project) == set()


def test_entries_of_files_that_were_not_collected_stay(pruned_project):
    elsewhere = ["test_ignored.py", "test_ignored_by_conftest.py", "test_skipped.py", "other/test_it.py"]
    kept = {f"{file}::test_guard[b4-8x8]" for file in elsewhere}
    pruned_project.write(
        {
            "test_ignored.py": NOT_COLLECTED,
            "test_ignored_by_conftest.py": NOT_COLLECTED,
            "test_skipped.py": SKIPPED_AS_A_WHOLE,
            "conftest.py": "collect_ignore = ['test_ignored_by_conftest.py']",
        }
    )
    pruned_project.accept(dict.fromkeys([HERE, GONE, *kept], ENTRY))

    run = pruned_project.run("--batchguard-prune", IN_THIS_PROCESS, "--ignore=test_ignored.py", "--ignore=other")

    assert run.exit_code == pytest.ExitCode.OK
    assert kept - {"other/test_it.py::test_guard[b4-8x8]"} <= set(pruned_project.baselines()["cases"])


def test_run_of_what_failed_last_drops_nothing(pruned_project):
    pruned_project.write({"test_other.py": FAILING})
    pruned_project.run("test_other.py")
    pruned_project.write({"test_other.py": PASSING})

    run = pruned_project.run("--batchguard-prune", "--lf", ini={"batchguard_start_method": "spawn"})

    run.stdout.fnmatch_lines(["*1 passed*"])
    assert dropped(pruned_project) == set()


def test_run_of_one_file_leaves_the_entries_of_others(pruned_project):
    other = "test_gone.py::test_guard[b4-8x8]"
    pruned_project.accept(dict.fromkeys([HERE, GONE, other], ENTRY))

    run = pruned_project.run("--batchguard-prune", IN_THIS_PROCESS, "test_it.py")

    assert run.exit_code == pytest.ExitCode.OK
    assert other in pruned_project.baselines()["cases"]
