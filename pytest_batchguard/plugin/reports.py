"""A verdict becomes pytest's own report, so that terminal, JUnit and every plugin see an ordinary test."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytest
from _pytest._code.code import ExceptionRepr, ReprEntry, ReprFileLocation, ReprTraceback

from pytest_batchguard.core.model import CaseResult
from pytest_batchguard.errors import last_line
from pytest_batchguard.report.failure import failure_text, headline

_WIDTH = 80
_XPASS = "[XPASS(strict)]"


class VerdictRepr(ExceptionRepr):
    """The failure of a case: its table in the failures section, its headline in the short summary.

    It looks like the failure by an exception, out of which plugins take their messages: a traceback of one entry.
    """

    def __init__(self, result: CaseResult, path: str, line: int) -> None:
        place = ReprFileLocation(path, line, headline(result))
        lines = failure_text(result, _WIDTH).splitlines()
        entry = ReprEntry(lines, reprfuncargs=None, reprlocals=None, reprfileloc=place, style="long")
        super().__init__(reprtraceback=ReprTraceback([entry], extraline=None, style="long"), reprcrash=place)
        self._lines = lines

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def toterminal(self, tw: Any) -> None:
        """Write the message, its first line in red."""
        first, *rest = self._lines
        tw.line(first, red=True, bold=True)
        for line in rest:
            tw.line(line)


def verdict_reports(
    item: pytest.Item, reports: list[pytest.TestReport], result: CaseResult, *, strict: bool
) -> list[pytest.TestReport]:
    """Return the reports with the verdict in the call's place."""
    call = _call_of(reports)
    if call is None:
        if any(report.failed for report in reports):
            return reports
        call = _empty_report(item, "call")
        # JUnit writes a case down at its teardown.
        ended = [report for report in reports if report.when == "teardown"] or [_empty_report(item, "teardown")]
        reports = [*(report for report in reports if report.when == "setup"), call, *ended]
    for report in reports:
        report.user_properties += _properties(result)
    if result.fails(strict=strict) and not _speaks_for_itself(call, result):
        reason = _reason_of_xpass(call)
        if reason is not None:
            call.wasxfail = reason
        if hasattr(call, "wasxfail") and _expects_an_error(item):
            del call.wasxfail
        call.longrepr = VerdictRepr(result, *_place(item))
        call.outcome = "skipped" if hasattr(call, "wasxfail") else "failed"
    return reports


def with_session_teardown(
    item: pytest.Item, nextitem: pytest.Item | None, reports: list[pytest.TestReport]
) -> list[pytest.TestReport]:
    """Tear down what earlier tests left set up in this session; return the reports with what went wrong in it.

    Args:
        item: The case.
        nextitem: The test that follows; `None` where everything is to be torn down.
        reports: Of the case's own teardown.
    """
    state = item.session._setupstate  # noqa: SLF001
    reraise = (KeyboardInterrupt, pytest.exit.Exception)
    call = pytest.CallInfo.from_call(lambda: state.teardown_exact(nextitem), when="teardown", reraise=reraise)
    if call.excinfo is None:
        return reports
    kept = [report for report in reports if report.failed]
    return [*kept, pytest.TestReport.from_item_and_call(item, call)]


def reports_of(item: pytest.Item, work: Callable[[], list[pytest.TestReport]]) -> list[pytest.TestReport]:
    """Return the reports that `work` returns; what it raises fails the item alone, as an error in a test would.

    Another plugin may raise into it, such as one that ends tests which take too long. The call lasts as long as all
    that was done for the item, as `--durations` and JUnit are asked for; its own report knows of one process only.
    """
    found: list[pytest.TestReport] = []
    reraise = (KeyboardInterrupt, pytest.exit.Exception)
    call = pytest.CallInfo.from_call(lambda: found.extend(work()), when="call", reraise=reraise)
    if call.excinfo is not None:
        return [pytest.TestReport.from_item_and_call(item, call), _empty_report(item, "teardown")]
    if (whole := _call_of(found)) is not None:
        whole.duration = call.duration - sum(report.duration for report in found if report.when != "call")
    return found


def has_failed(report: pytest.TestReport) -> bool:
    """Return whether the test itself failed, as expected or not; passing against expectation is no failure of it."""
    return (report.failed and _reason_of_xpass(report) is None) or (report.skipped and hasattr(report, "wasxfail"))


def has_ended(reports: Iterable[pytest.TestReport]) -> bool:
    """Return whether the protocol of a test came to its end, which is always a teardown."""
    return any(report.when == "teardown" for report in reports)


def said_by(report: pytest.TestReport) -> str:
    """Return the first line of what a test failed with."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message.partition("\n")[0] if crash is not None else last_line(str(report.longrepr))


def skip_reason(reports: Iterable[pytest.TestReport]) -> str:
    """Return why the test skipped itself, or an empty text."""
    report = next((report for report in reports if report.skipped), None)
    if report is None:
        return ""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "skipped")


def plain_report(item: pytest.Item) -> pytest.TestReport:
    """Return the report of a guard that there is nothing to say against."""
    return _empty_report(item, "call")


def skip_report(item: pytest.Item, reason: str) -> pytest.TestReport:
    """Return the report of a guard that skipped itself."""
    path, line = _place(item)
    report = _empty_report(item, "call")
    report.outcome = "skipped"
    report.longrepr = (path, line, reason)
    return report


def refusal_report(item: pytest.Item, reason: str) -> pytest.TestReport:
    """Return the failed report of a guard that cannot run at all."""
    report = _empty_report(item, "call")
    report.outcome = "failed"
    report.longrepr = f"{item.nodeid}: {reason}"
    return report


def no_case_report(item: pytest.Item) -> pytest.TestReport:
    """Return the failed report of a test that has the marker and yet no case."""
    owner = getattr(item, "cls", None)
    if isinstance(owner, type) and issubclass(owner, unittest.TestCase):
        return refusal_report(item, "a test of unittest.TestCase cannot take the fixture `batchguard`")
    return refusal_report(item, "the marker batchguard came too late for its cases: put it on the test function")


def _call_of(reports: list[pytest.TestReport]) -> pytest.TestReport | None:
    """Return the report of the test's call, which follows those of its subtests; `None` where it did not come to it."""
    return next((report for report in reversed(reports) if report.when == "call"), None)


def _speaks_for_itself(call: pytest.TestReport, result: CaseResult) -> bool:
    """Whether the test failed by an error of its own, which says more than a verdict could."""
    failure = result.measurement.failure if result.measurement else None
    out_of_memory = failure is not None and failure.is_out_of_memory
    return has_failed(call) and not out_of_memory


def _expects_an_error(item: pytest.Item) -> bool:
    """Return whether it is a certain exception that is expected to fail the test, and no verdict."""
    return any(marker.kwargs.get("raises") for marker in item.iter_markers("xfail"))


def _reason_of_xpass(report: pytest.TestReport) -> str | None:
    """Return why a test that passed was strictly expected to fail; `None` for any other report."""
    text = report.longrepr
    return text[len(_XPASS) :].strip() if isinstance(text, str) and text.startswith(_XPASS) else None


def _empty_report(item: pytest.Item, when: Literal["call", "teardown"]) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords=dict.fromkeys(item.keywords, 1),
        outcome="passed",
        longrepr=None,
        when=when,
    )


def _place(item: pytest.Item) -> tuple[str, int]:
    path, line, _ = item.location
    return path, (line or 0) + 1


def _properties(result: CaseResult) -> list[tuple[str, object]]:
    measurement = result.measurement
    properties: list[tuple[str, object]] = [("batchguard_verdict", result.judgement.verdict.value)]
    if measurement and measurement.memory:
        properties.append(("batchguard_peak_bytes", measurement.memory.peak_bytes))
    if measurement and measurement.throughput:
        properties.append(("batchguard_images_per_second", round(measurement.throughput.images_per_second, 2)))
    return properties
