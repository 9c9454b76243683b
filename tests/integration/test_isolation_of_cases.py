"""A case that crashes, hangs or fails ends alone: a clear verdict, and the run goes on."""

from __future__ import annotations

import re

import pytest

from tests.integration.project import text_of

GUARDS = """
import os
import signal
import threading
import warnings

import pytest
import tiny

warnings.warn("the module warns")

guard = pytest.mark.batchguard(4, 8)

@guard
def test_good_before(batchguard):
    tiny.train(batchguard)

@guard
def test_exits(batchguard):
    print("the printed last word")
    os._exit(3)

@guard
def test_segfaults(batchguard):
    os.kill(os.getpid(), signal.SIGSEGV)

@guard
def test_is_killed(batchguard):
    os.kill(os.getpid(), signal.SIGKILL)

@guard
def test_crashes_in_training(batchguard):
    def step(batch):
        os._exit(4)

    batchguard.train_step(step, tiny.photos(batchguard))

@pytest.mark.batchguard(4, 8, timeout=3)
def test_hangs(batchguard):
    threading.Event().wait()

@pytest.fixture
def photos_on_disk():
    raise RuntimeError("no photos on this disk")

@guard
def test_has_no_photos(batchguard, photos_on_disk):
    tiny.train(batchguard)

@pytest.fixture
def scratch():
    yield
    raise RuntimeError("could not clean up")

@guard
def test_cleans_up_badly(batchguard, scratch):
    tiny.train(batchguard)

@guard
def test_asserts_too_much(batchguard):
    print("the project prints")
    warnings.warn("the project warns")
    measurement = tiny.train(batchguard)
    assert measurement.batch_size == 5, "the project's own words"

@guard
def test_leaves_by_exception(batchguard):
    raise LookupError("no such augmentation")

@guard
def test_good_after(batchguard):
    tiny.train(batchguard)

def test_plain():
    pass
"""
GOOD = ("test_good_before", "test_good_after")


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_cases=GUARDS).run("--batchguard", "-rA")


@pytest.mark.parametrize("name", [*(f"{good}[[]b4-8x8]" for good in GOOD), "test_plain"])
def test_what_stands_beside_a_broken_case_passes(run, name):
    run.stdout.fnmatch_lines([f"PASSED test_cases.py::{name}"])


def test_run_ends_as_failed_and_not_as_broken(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_exits", "its process ended by itself with exit code 3"),
        ("test_segfaults", "its process died by SIGSEGV"),
        ("test_is_killed", "its process died by SIGKILL"),
        ("test_crashes_in_training", "its process ended by itself with exit code 4"),
        ("test_hangs", "no end after 3 s"),
    ],
)
def test_dead_case_is_broken_and_says_how_it_died(run, name, reason):
    failure = run.section(f"{name}[b4-8x8]")

    assert failure[0].startswith(f"broken: {reason}")
    assert run.figures_of(f"{name}[b4-8x8]")["judgement"]["verdict"] == "broken"


def test_case_killed_for_its_time_says_that_it_was(run):
    assert "its processes were killed" in run.section("test_hangs[b4-8x8]")[0]


@pytest.mark.parametrize("name", ["test_exits", "test_segfaults", "test_is_killed", "test_hangs"])
def test_message_about_a_dead_case_is_short_and_shows_nothing_of_our_own_machinery(run, name):
    failure = run.section(f"{name}[b4-8x8]")

    assert len(failure) < 20
    assert not [line for line in failure if "pytest_batchguard/isolation" in line or "Extension modules" in line]
    assert "test session starts" not in text_of(failure)


def test_dead_case_shows_what_the_project_had_printed(run):
    assert "the printed last word" in text_of(run.section("test_exits[b4-8x8]"))


def test_fixture_that_fails_is_an_error_at_setup_with_its_own_words(run):
    failure = run.section("ERROR at setup of test_has_no_photos[b4-8x8]")

    assert "E       RuntimeError: no photos on this disk" in failure
    assert run.figures_of("test_has_no_photos[b4-8x8]")["judgement"]["verdict"] == "broken"


def test_fixture_that_fails_afterwards_is_an_error_at_teardown_with_its_own_words(run):
    failure = run.section("ERROR at teardown of test_cleans_up_badly[b4-8x8]")

    assert "E       RuntimeError: could not clean up" in failure
    assert run.figures_of("test_cleans_up_badly[b4-8x8]")["judgement"]["verdict"] == "broken"


def test_assertion_of_the_project_fails_with_its_own_words_and_introspection(run):
    failure = run.section("test_asserts_too_much[b4-8x8]")

    pytest.LineMatcher(failure).fnmatch_lines(["E*AssertionError: the project's own words", "E*assert 4 == 5"])
    run.stdout.fnmatch_lines(["FAILED test_cases.py::test_asserts_too_much[[]b4-8x8] - AssertionError: the project*"])


def test_exception_of_the_project_is_shown_where_it_was_raised(run):
    failure = run.section("test_leaves_by_exception[b4-8x8]")

    assert "E       LookupError: no such augmentation" in failure
    assert failure[-1].startswith("test_cases.py:")


def test_what_a_failed_case_printed_is_shown_under_it(run):
    headings = [line for line in run.section("test_asserts_too_much[b4-8x8]") if "Captured stdout call" in line]

    assert len(headings) == 1
    assert "the project prints" in run.section("test_asserts_too_much[b4-8x8]")


def test_warning_of_a_case_is_in_the_warnings_summary_once(run):
    warnings = run.section("warnings summary")

    pytest.LineMatcher(warnings).fnmatch_lines(["test_cases.py::test_asserts_too_much[[]b4-8x8]", "*the project warns"])
    assert text_of(warnings).count("UserWarning: the project warns") == 1


def test_warning_of_collecting_is_counted_once_however_many_cases_there_are(run):
    """Each process of a case collects the file anew."""
    places = [line for line in run.section("warnings summary") if re.match(r"test_cases\.py:( ?\d+)", line)]

    assert [place for place in places if not re.fullmatch(r"test_cases\.py:\d+", place)] == []
    assert len(places) == 1


@pytest.mark.parametrize(
    "name", ["test_exits", "test_segfaults", "test_hangs", "test_asserts_too_much", "test_leaves_by_exception"]
)
def test_failure_is_one_failure_in_junit(run, name):
    assert [child.tag for child in run.junit[f"{name}[b4-8x8]"] if child.tag in {"failure", "error"}] == ["failure"]


def test_fixture_that_fails_is_an_error_in_junit(run):
    assert run.junit["test_has_no_photos[b4-8x8]"].find("error") is not None


def test_passed_case_carries_its_verdict_and_figures_in_junit(run):
    properties = {each.get("name"): each.get("value") for each in run.junit["test_good_after[b4-8x8]"].iter("property")}

    assert properties["batchguard_verdict"] == "no-baseline"
    assert int(properties["batchguard_peak_bytes"]) > 0
    assert float(properties["batchguard_images_per_second"]) > 0


def test_table_at_the_end_has_a_line_for_each_case_that_was_judged(run):
    table = run.summary()

    for good in GOOD:
        pytest.LineMatcher(table).fnmatch_lines([f"{good}[[]b4-8x8]*no-baseline*KiB*→*"])
    pytest.LineMatcher(table).fnmatch_lines(["test_hangs[[]b4-8x8]*broken*"])


NO_ROOM = """
from pytest_batchguard.plugin import runner

runner._YARDSTICK_ENTRY = "no_room_for_it:serve"
runner.CaseRunner._yardstick_once = lambda *_: None  # as on a GPU
runner.CaseRunner._lacks_room = lambda _self, why: "no_room_for_it" in why
"""


@pytest.mark.parametrize(("is_for_want_of_room", "verdict"), [(True, "no-baseline"), (False, "broken")])
def test_yardstick_that_finds_no_room_is_timed_in_the_training(new_project, is_for_want_of_room, verdict):
    guard = GUARDS.partition("\n@guard\n")[0] + "\n@guard\ndef test_it(batchguard):\n    tiny.train(batchguard)\n"
    conftest = NO_ROOM if is_for_want_of_room else NO_ROOM.replace("in why", "is None")

    case = new_project(test_it=guard, conftest=conftest).run("--batchguard").figures_of("test_it[b4-8x8]")

    assert case["judgement"]["verdict"] == verdict
    assert any("no room for the yardstick" in note for note in case["judgement"]["notes"]) is is_for_want_of_room
    if is_for_want_of_room:
        assert case["measurement"]["throughput"]["pace"] > 0
    else:
        assert "the yardstick failed: " in case["judgement"]["reason"]
