"""Reports that one process made of a case, and what becomes of them."""

import time
from types import SimpleNamespace

import pytest
from _pytest._code.code import ExceptionRepr

from pytest_batchguard.core.model import Verdict
from pytest_batchguard.plugin.reports import VerdictRepr, reports_of
from tests.unit.samples import result

ITEM = SimpleNamespace(nodeid="test_it.py::test_guard[b4-8x8]")
DONE_SECONDS = 0.02


def report(when, seconds):
    return pytest.TestReport(ITEM.nodeid, ("test_it.py", 0, "test_guard"), {}, "passed", None, when, duration=seconds)


def test_call_lasts_as_long_as_all_that_was_done_beside_setup_and_teardown():
    def work():
        end = time.perf_counter() + DONE_SECONDS
        while time.perf_counter() < end:
            pass
        return [report("setup", 0.002), report("call", 0.001), report("call", 0.003), report("teardown", 0.004)]

    begin = time.perf_counter()
    setup, subtest, call, teardown = reports_of(ITEM, work)
    whole = time.perf_counter() - begin

    assert (setup.duration, subtest.duration, teardown.duration) == (0.002, 0.001, 0.004)
    assert DONE_SECONDS <= setup.duration + call.duration + teardown.duration <= whole


def test_verdict_is_to_plugins_what_the_failure_by_an_exception_is():
    slower = result(Verdict.REGRESSED, reason="pace 2 yardsticks, allowed is at most 1")
    representation = VerdictRepr(slower, "test_it.py", 3)
    (entry,) = representation.reprtraceback.reprentries

    assert isinstance(representation, ExceptionRepr)
    assert representation.reprcrash.message == "regressed: pace 2 yardsticks, allowed is at most 1"
    assert (entry.reprfileloc.path, entry.reprfileloc.lineno) == ("test_it.py", 3)
    assert entry.lines == str(representation).splitlines()


def test_case_that_was_skipped_at_its_setup_has_no_call_to_last():
    skipped = report("setup", 0.5)

    assert reports_of(ITEM, lambda: [skipped]) == [skipped]
    assert skipped.duration == 0.5
