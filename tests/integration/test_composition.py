"""A guard is a test like any other: parameters, classes, fixtures and conftest options reach it, and nothing leaks."""

from __future__ import annotations

import pytest

CONFTEST = """
import os
import pathlib
import pytest

LOG = pathlib.Path(__file__).parent / "log.txt"

def note(text):
    with LOG.open("a") as log:
        log.write(f"{os.getpid()} {text}\\n")

def pytest_addoption(parser):
    parser.addoption("--flavour", default="plain")
    parser.addini("recipe", "a key of the project's own", default="none")

@pytest.fixture(autouse=True)
def everywhere(request):
    note(f"autouse for {request.node.name}")

@pytest.fixture(scope="module")
def album(request):
    note(f"open {request.node.name}")
    yield "an album"
    note(f"close {request.node.name}")

@pytest.fixture(scope="session")
def disk():
    note("open disk")
    yield "a disk"
    note("close disk")
"""
FIRST = """
import pytest
import tiny
from conftest import note

def test_before(album, disk, cache):
    note("the session")
    cache.set("album/page", 7)

@pytest.mark.batchguard(4, 8)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_with_parameters(batchguard, optimizer, album, disk, pytestconfig, cache):
    assert cache.get("album/page", None) == 7
    assert pytestconfig.getoption("flavour") == "vanilla"
    assert pytestconfig.getini("recipe") == "pancakes"
    assert tiny.train(batchguard, optimizer=optimizer).model.optimizer.lower() == optimizer

def test_between(album):
    pass

class TestClass:
    color = "green"

    @pytest.fixture
    def shade(self):
        return f"dark {self.color}"

    @pytest.mark.batchguard(cases=[(2, (8, 6))])
    def test_method(self, batchguard, shade, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("SHADE", shade)
        (tmp_path / "shade.txt").write_text(shade)
        print("said")
        assert capsys.readouterr().out == "said\\n"
        assert (batchguard.batch_size, batchguard.image_size) == (2, (8, 6))
        assert shade == "dark green"
        tiny.train(batchguard)

def test_after(album):
    pass
"""
SECOND = """
import os
import pytest
import tiny

@pytest.mark.usefixtures("batchguard")
@pytest.mark.batchguard(4, 8)
def test_by_name(request):
    tiny.train(request.getfixturevalue("batchguard"))

@pytest.fixture
def trained(batchguard):
    return tiny.train(batchguard)

@pytest.mark.batchguard(4, 8)
def test_trained_by_a_fixture(trained):
    assert trained.batch_size == 4

def test_in_the_next_module(album):
    assert "SHADE" not in os.environ
"""
BAD_ENDING = """
import pytest

@pytest.fixture(scope="module")
def album():
    yield
    raise RuntimeError("could not close the album")

def test_reads(album):
    pass

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    pytest.fail("not trained at all")
"""


@pytest.fixture(scope="module")
def project(new_project):
    return new_project(conftest=CONFTEST, test_first=FIRST, test_second=SECOND)


@pytest.fixture(scope="module")
def run(project):
    return project.run("--batchguard", "--cache-clear", "--flavour", "vanilla", "-rA", ini={"recipe": "pancakes"})


@pytest.fixture(scope="module")
def log(run, project):
    return [tuple(line.split(" ", 1)) for line in (project.folder / "log.txt").read_text().splitlines()]


@pytest.fixture(scope="module")
def session(log):
    """What was noted by the process that ran the ordinary tests."""
    (pid,) = [pid for pid, text in log if text == "the session"]
    return [text for each, text in log if each == pid]


@pytest.mark.parametrize(
    "name",
    [
        "test_first.py::test_with_parameters[[]sgd-b4-8x8]",
        "test_first.py::test_with_parameters[[]adam-b4-8x8]",
        "test_first.py::TestClass::test_method[[]b2-8x6]",
        "test_second.py::test_by_name[[]b4-8x8]",
        "test_second.py::test_trained_by_a_fixture[[]b4-8x8]",
        "test_first.py::test_between",
        "test_second.py::test_in_the_next_module",
    ],
)
def test_guards_and_other_tests_pass_together(run, name):
    run.stdout.fnmatch_lines([f"PASSED {name}"])


def test_whole_run_is_green_and_counts_each_test_once(run):
    assert run.exit_code == pytest.ExitCode.OK
    run.stdout.fnmatch_lines(["*= 9 passed in *"])


def test_run_without_baselines_says_loudly_that_nothing_was_compared_and_how_to_record(run):
    pytest.LineMatcher(run.summary()).fnmatch_lines(
        ["NOTHING WAS COMPARED: 5 cases were trained*", "*pytest --batchguard-update-new*"]
    )


def test_module_fixture_lives_in_the_session_from_the_first_test_of_its_module_to_the_last(session):
    about_albums = [text for text in session if "test_first.py" in text or "test_second.py" in text]

    assert about_albums == [
        "open test_first.py",
        "close test_first.py",
        "open test_second.py",
        "close test_second.py",
    ]


def test_session_fixture_is_closed_once_at_the_end(session):
    assert [text for text in session if text.endswith(" disk")] == ["open disk", "close disk"]


def test_fixtures_of_a_guard_are_not_set_up_in_the_session(session):
    assert [text for text in session if text.startswith("autouse for") and "b4-8x8" in text] == []


def test_each_process_of_a_guard_sets_up_and_closes_its_own_fixtures(log):
    pids = {pid for pid, text in log if text == "autouse for test_with_parameters[sgd-b4-8x8]"}

    assert len(pids) == 2  # the CPU's memory and throughput passes
    for pid in pids:
        noted = [text for each, text in log if each == pid]
        assert sorted(noted) == [
            "autouse for test_with_parameters[sgd-b4-8x8]",
            "close disk",
            "close test_first.py",
            "open disk",
            "open test_first.py",
        ]


def test_module_fixture_that_fails_to_close_behind_a_guard_is_an_error_and_not_the_runs_end(new_project):
    run = new_project(test_ending=BAD_ENDING).run("--batchguard", ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*RuntimeError: could not close the album"])
    run.stdout.no_fnmatch_line("*INTERNALERROR*")
