"""`--batchguard-against REF`: base and head trained in turn in one run, with no stored baseline."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.integration.project import INTERRUPTIBLE, Project, environment, text_of, wait_for_writer
from tests.repositories import commit_all, git

HEAD = """
import keras
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_unchanged(batchguard):
    measurement = tiny.train(batchguard)
    assert measurement.throughput.images_per_second > 1
    assert measurement.memory.peak_bytes > 1

@pytest.mark.batchguard(4, 8)
def test_wider(batchguard):
    import widths
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(widths.UNITS), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batchguard.train(model, tiny.photos(batchguard))

@pytest.mark.batchguard(4, 8)
def test_new(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8)
def test_needs(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8)
def test_no_longer_trains(batchguard):
    with open("trainings", "a") as file:
        file.write("one ")
    raise ValueError("the head's own fault")
"""
BASE = (
    HEAD.replace("test_new", "test_gone")
    .replace('raise ValueError("the head\'s own fault")', "tiny.train(batchguard)")
    .replace("def test_needs(batchguard):\n", "def test_needs(batchguard):\n    import no_such_package\n")
)
NEW_FILE = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_in_a_new_file(batchguard):
    tiny.train(batchguard)
"""
EDITABLE = """
import importlib.util
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, {file!r}) if name == "widths" else None

sys.meta_path.insert(0, Finder())
"""
WAITING = """
import pathlib
import pytest

@pytest.mark.batchguard(4, 8)
def test_it(batchguard):
    pathlib.Path({fifo!r}).write_text("")  # read by the test
    pathlib.Path({fifo!r}).write_text("")  # read by nobody: waits to be interrupted
"""
CROWDED = """
import fcntl
import pytest
import tiny

@pytest.fixture
def room():
    with open({room!r}, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            import tensorflow as tf

            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[4,8]")
        yield

@pytest.mark.batchguard(4, 8)
def test_it(batchguard, room):
    tiny.train(batchguard)
"""
SPLITS = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    del items[:1]
"""
"""As pytest-split, which runs one part of the tests that it sees."""


@pytest.fixture(scope="module")
def project(new_project):
    """A tree that differs from its last commit."""
    project = new_project(test_it=BASE, widths="UNITS = 50\n")
    commit_all(project.folder)
    project.write({"test_it.py": HEAD, "widths.py": "UNITS = 800\n", "test_that_is_new.py": NEW_FILE})
    return project


@pytest.fixture(scope="module")
def run(project):
    files = ("test_it.py", "test_that_is_new.py")
    return project.run("--batchguard-against", "HEAD", "-rA", *files, ini={"batchguard_memory_tolerance": "0.1"})


def test_unchanged_case_passes(run):
    assert run.figures_of("test_unchanged[b4-8x8]")["judgement"]["verdict"] == "passed"


def test_head_is_judged_by_the_base(run):
    failure = text_of(run.section("test_wider[b4-8x8]"))

    assert failure.startswith("regressed: peak memory")
    assert "parameters 3,403 → 54,403" in failure
    assert re.search(r"changed since the baseline: commit \w+ → \w+", failure)


def test_base_that_needs_other_packages_is_told_with_their_name(run):
    summary = text_of(run.summary())

    assert "broken base: HEAD: ModuleNotFoundError: No module named 'no_such_package'; it may need other" in summary


def test_head_that_does_not_run_is_broken_and_run_once(run, project):
    failure = text_of(run.section("test_no_longer_trains[b4-8x8]"))

    assert "ValueError: the head's own fault" in failure
    assert "base" not in failure
    assert (project.folder / "trainings").read_text() == "one "


def test_case_on_one_side_only_is_listed(run):
    summary = text_of(run.summary())

    assert "NOT COMPARED: HEAD has no such case: test_new[b4-8x8], test_in_a_new_file[b4-8x8]" in summary
    assert "NOT COMPARED: only the base has: test_it.py::test_gone[b4-8x8]" in summary


def test_header_names_the_base(run, project):
    run.stdout.fnmatch_lines(
        [f"batchguard: against HEAD ({git(project.folder, 'rev-parse', '--short', 'HEAD')}), trained*"]
    )


def test_tree_is_left_as_it_was_and_the_worktree_is_gone(run, project):
    assert (project.folder / "widths.py").read_text() == "UNITS = 800\n"
    assert len(git(project.folder, "worktree", "list").splitlines()) == 1


def test_base_that_does_not_run_is_no_regression(new_project):
    project = new_project(test_it="import no_such_package\n" + BASE)
    commit_all(project.folder)
    project.write({"test_it.py": HEAD, "widths.py": "UNITS = 50\n"})

    run = project.run("--batchguard-against", "HEAD", "test_it.py::test_unchanged")

    assert run.exit_code == pytest.ExitCode.OK
    assert "broken base: HEAD does not run here" in text_of(run.summary())
    assert "'no_such_package'; it may need other packages than are installed here" in text_of(run.summary())


def test_base_whose_conftest_cannot_be_loaded_is_broken(new_project):
    project = new_project(test_it=BASE, conftest="import no_such_package\n", widths="UNITS = 50\n")
    commit_all(project.folder)
    project.write({"conftest.py": "", "test_it.py": HEAD})

    run = project.run("--batchguard-against", "HEAD", "test_it.py::test_unchanged")

    assert run.exit_code == pytest.ExitCode.OK
    assert "broken base: HEAD does not run here" in text_of(run.summary())
    assert "no_such_package" in text_of(run.summary())


def test_test_that_the_base_lacks_keeps_no_other_from_being_compared(new_project):
    project = new_project(test_it=BASE, widths="UNITS = 50\n")
    commit_all(project.folder)
    project.write({"test_it.py": HEAD})

    run = project.run("--batchguard-against", "HEAD", "test_it.py::test_unchanged", "test_it.py::test_new")

    assert run.figures_of("test_unchanged[b4-8x8]")["judgement"]["verdict"] == "passed"
    summary = text_of(run.summary())
    assert "NOT COMPARED: HEAD has no such case: test_new[b4-8x8]" in summary
    assert summary.count("NOT COMPARED") == 1


def test_code_of_the_head_in_the_base_is_no_comparison(new_project):
    """As an editable installation does it: a name that leads into the tree under test wherever it is imported from."""
    project = new_project(test_it=BASE, widths="UNITS = 50\n")
    project.write({"conftest.py": EDITABLE.format(file=str(project.folder / "widths.py"))})
    commit_all(project.folder)

    run = project.run("--batchguard-against", "HEAD", "test_it.py::test_wider")

    assert run.exit_code == pytest.ExitCode.OK
    summary = text_of(run.summary())
    assert "NOT COMPARED: broken base: HEAD: it imported widths from the tree under test" in summary


def test_base_with_no_room_beside_the_head_is_measured_before_it(new_project, tmp_path):
    """There is room for one of them, and a process that ends makes room again."""
    project = new_project(test_it=CROWDED.format(room=str(tmp_path / "room")))
    commit_all(project.folder)

    run = project.run("--batchguard-against", "HEAD")

    assert run.exit_code == pytest.ExitCode.OK
    case = run.figures_of("test_it[b4-8x8]")
    assert case["judgement"]["verdict"] == "passed"
    note = "base and head do not fit the device side by side and were measured one after the other"
    assert note in case["judgement"]["notes"]
    (pace,) = [check for check in case["judgement"]["checks"] if check["quantity"] == "pace"]
    assert pace["baseline"] == 1.0


def test_plugin_that_runs_part_of_the_tests_has_no_say_in_the_processes_of_a_case(new_project):
    guards = [
        f"\n@pytest.mark.batchguard(4, 8)\ndef test_{name}(batchguard):\n    tiny.train(batchguard)\n" for name in "ab"
    ]
    project = new_project(conftest=SPLITS, test_it="".join(["import pytest, tiny\n", *guards]))
    commit_all(project.folder)
    project.write({"test_it.py": "".join(["import pytest, tiny\n", *reversed(guards)])})

    run = project.run("--batchguard-against", "HEAD")

    assert run.exit_code == pytest.ExitCode.OK
    assert run.figures_of("test_a[b4-8x8]")["judgement"]["verdict"] == "passed"
    assert len(run.figures["cases"]) == 1


def interrupted(project, sent, fifo):
    """Send a signal to a comparison when somebody in it has written to `fifo`; return its exit code and its output."""
    command = [sys.executable, "-c", INTERRUPTIBLE, "--batchguard-against", "HEAD"]
    with subprocess.Popen(command, cwd=project.folder, env=environment(), stdout=subprocess.PIPE, text=True) as run:
        try:
            wait_for_writer(fifo)
            run.send_signal(sent)
            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    return run.returncode, output


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (signal.SIGINT, pytest.ExitCode.INTERRUPTED),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
    ],
)
def test_interrupted_comparison_leaves_no_worktree(new_project, tmp_path, sent, code):
    fifo = tmp_path / "training"
    os.mkfifo(fifo)
    project = new_project(test_it=WAITING.format(fifo=str(fifo)))
    commit_all(project.folder)

    ended_with, output = interrupted(project, sent, fifo)

    assert ended_with == code, output
    assert len(git(project.folder, "worktree", "list").splitlines()) == 1
    assert git(project.folder, "worktree", "prune", "--dry-run", "--verbose") == ""


def test_comparison_terminated_while_the_base_is_checked_out_leaves_no_worktree(new_project, tmp_path):
    fifo = tmp_path / "checking-out"
    os.mkfifo(fifo)
    project = new_project(test_it=WAITING.format(fifo=str(fifo)))
    commit_all(project.folder)
    hook = project.folder / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\necho here > '{fifo}'\nexec cat '{fifo}'\n")
    hook.chmod(0o755)

    try:
        ended_with, output = interrupted(project, signal.SIGTERM, fifo)
    finally:
        os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))  # the hook ends

    assert ended_with == 128 + signal.SIGTERM, output
    assert len(git(project.folder, "worktree", "list").splitlines()) == 1
    assert git(project.folder, "worktree", "prune", "--dry-run", "--verbose") == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--batchguard-against", "no-such-ref"), "--batchguard-against: found 'no-such-ref', allowed: a branch, tag"),
        (("--batchguard-against", "HEAD", "--batchguard-update"), "records nothing"),
        (("--batchguard-against", "HEAD", "--pdb"), "cannot share a process"),
    ],
)
def test_comparison_that_cannot_be_made_is_refused_before_anything_is_trained(project, arguments, words):
    run = project.run(*arguments)

    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    assert words in text_of(run.stderr.lines)
    assert len(git(project.folder, "worktree", "list").splitlines()) == 1


def test_file_named_relative_to_a_place_outside_of_the_repository_is_refused(project):
    outside = project.folder.parent
    run = Project(outside).run("--batchguard-against", "HEAD", f"{project.folder.name}/test_it.py")

    assert run.exit_code == pytest.ExitCode.USAGE_ERROR
    words = f"found {project.folder.name}/test_it.py, named from {outside}; allowed: to start pytest in the repository"
    assert words in text_of(run.stderr.lines)
    assert len(git(project.folder, "worktree", "list").splitlines()) == 1
