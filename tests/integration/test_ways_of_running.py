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
FAILS_TWICE = """
import pytest

@pytest.mark.batchguard([4, 8, 16], 8)
def test_guard(batchguard):
    print(f"trains {batchguard.batch_size}")
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


def test_output_of_a_guard_that_passes_is_not_seen_without_s(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS})

    run = project.run("--batchguard")

    assert run.exit_code == pytest.ExitCode.OK
    assert "the guard prints" not in text_of([*run.stdout.lines, *run.stderr.lines])


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


@pytest.mark.parametrize(("arguments", "failed"), [(("-x",), 1), (("--maxfail=2",), 2)], ids=["-x", "--maxfail"])
def test_run_stops_at_as_many_failures_as_asked(project, arguments, failed):
    project.write({"test_it.py": FAILS_TWICE})

    run = project.run("--batchguard", *arguments)

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes() == {"failed": failed}
    assert len(run.figures["cases"]) == failed
    run.stdout.fnmatch_lines([f"*stopping after {failed} failures*"])
