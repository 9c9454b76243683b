"""pytest's own ways of running: the debugger, uncaptured output, stopping early, and spawned processes."""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

TELLS_ITS_PROCESS = """
import os
import pathlib
import pytest
import tiny

def test_plain():
    pathlib.Path("plain.txt").write_text(str(os.getpid()))

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    pathlib.Path("guard.txt").write_text(str(os.getpid()))
    print("the guard prints")
    tiny.train(batchguard)
"""
FAILS = """
import pytest

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    wanted = "a breakpoint"
    raise LookupError("no such augmentation")
"""
FAILS_EACH_TIME = """
import pytest

@pytest.mark.batchguard([4, 8, 16], 8)
def test_guard(batchguard):
    raise LookupError("no such augmentation")
"""


def pids_of(project):
    return [(project.folder / f"{name}.txt").read_text() for name in ("plain", "guard")]


def test_guard_has_a_process_of_its_own_and_with_s_its_output_is_seen(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS})

    run = project.run("--batchguard", "-s", ini={"batchguard_start_method": "spawn"})

    plain, guard = pids_of(project)
    assert run.exit_code == pytest.ExitCode.OK
    assert plain != guard
    assert "the guard prints" in text_of(run.stdout.lines)


def test_run_leaves_nothing_in_the_temporary_folder(project, tmp_path_factory, monkeypatch):
    project.write({"test_it.py": TELLS_ITS_PROCESS})
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(temporary))

    run = project.run("--batchguard")

    assert run.exit_code == pytest.ExitCode.OK
    assert list(temporary.iterdir()) == []


def test_with_pdb_guards_run_in_pytests_own_process(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS})

    run = project.run("--batchguard", "--pdb")

    plain, guard = pids_of(project)
    assert run.exit_code == pytest.ExitCode.OK
    assert plain == guard
    assert run.figures_of("test_guard[b4-8x8]")["measurement"]["throughput"]["images_per_second"] > 0


def test_pdb_opens_where_a_guard_fails(project):
    project.write({"test_it.py": FAILS})

    run = project.run("--batchguard", "--pdb", stdin="p wanted\nq\n")

    run.stdout.fnmatch_lines(["*entering PDB*", "*'a breakpoint'*"])
    assert run.exit_code in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED}


def test_run_stops_at_as_many_failures_as_asked(project):
    project.write({"test_it.py": FAILS_EACH_TIME})

    run = project.run("--batchguard", "--maxfail=2")

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes() == {"failed": 2}
    assert len(run.figures["cases"]) == 2
    run.stdout.fnmatch_lines(["*stopping after 2 failures*"])
