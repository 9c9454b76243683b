"""What the process of a case says while it runs, and the answers that it gets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from pytest_batchguard.core.model import Baseline, Measurement
from pytest_batchguard.core.plain import PlainDataError, from_plain
from pytest_batchguard.errors import IsolationError, last_line
from pytest_batchguard.isolation import messages
from pytest_batchguard.isolation.launch import Child

ShowProgress = Callable[[dict[str, Any]], None]


class Beside(Protocol):
    """What takes turns with a training: the yardstick, or the base of a comparison."""

    def ask(self, question: dict[str, Any], asker: Child) -> dict[str, Any]:
        """Answer while `asker` stands still."""


@dataclass
class Attempt:
    """One measuring of a case.

    Attributes:
        reports: pytest's, of the process that ran last.
        measurement: What came of it; with a `failure` where it did not come to its end.
        warnings: What was warned of, as messages.
        output: The end of what a process that died had written.
        base: What the other side of a comparison yielded; `None` where nothing is compared with.
        base_problem: Why there is no base, though one was asked for.
        findings: What else it found out, by the kind of the message: `noise`, `trial`, `sources`.
        foreign_modules: What was imported from another tree than the one it was to run in.
    """

    reports: list[pytest.TestReport] = field(default_factory=list)
    measurement: Measurement | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)
    output: str = ""
    base: Baseline | None = None
    base_problem: str = ""
    findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    foreign_modules: list[str] = field(default_factory=list)


class Conversation:
    """Takes the messages of one child.

    Args:
        config: Of the parent.
        show_progress: Takes progress messages.
        start_yardstick: Starts the yardstick's process, the first time that the child asks for it.
        lacks_room: Returns whether it was for want of memory that this process did not answer the first question. The
            child is told so then, and times a yardstick of its own.
        end_yardstick: Ends that process, when the child needs it no more.
        when_it_trains: Starts that process when the training begins, ahead of this or a later child asking.

    Attributes:
        attempt: What the child said came to.
        phase: What it was doing when it last spoke.
        has_no_yardstick: Whether the child was told that there is no room for one.
    """

    def __init__(
        self,
        config: pytest.Config,
        show_progress: ShowProgress,
        start_yardstick: Callable[[], Beside],
        lacks_room: Callable[[str], bool] = lambda _why: False,
        end_yardstick: Callable[[], object] = lambda: None,
        when_it_trains: Callable[[], Beside] | None = None,
    ) -> None:
        self.attempt = Attempt()
        self.phase = "starting"
        self._config = config
        self._show_progress = show_progress
        self._start_yardstick = start_yardstick
        self._lacks_room = lacks_room
        self._end_yardstick = end_yardstick
        self._when_it_trains = when_it_trains
        self._yardstick: Beside | None = None
        self._has_answered = False
        self.has_no_yardstick = False

    def take(self, child: Child, message: dict[str, Any]) -> None:
        """Take one message.

        Raises:
            IsolationError: It cannot be read, or the yardstick gives no answer.
        """
        try:
            self._take(child, message)
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError, PlainDataError) as error:
            raise IsolationError(f"the process sent a {message['kind']} that cannot be read: {error}") from error

    def _take(self, child: Child, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "progress":
            self.phase = f"in the {message['phase']} pass, step {message['step']}"
            self._show_progress(message)
        elif kind == "phase":
            self._enter(str(message["phase"]))
        elif kind == "yardstick":
            self._serve(child, message)
        elif kind == "report":
            self.attempt.reports.append(self._report(message["report"]))
        elif kind == "measurement":
            self.attempt.measurement = from_plain(Measurement, message["measurement"])
        elif kind == "warning":
            self.attempt.warnings.append(message)
        elif kind in {"noise", "trial", "sources"}:
            self.attempt.findings[kind] = message
        elif kind == "foreign-modules":
            self.attempt.foreign_modules = [str(name) for name in message["names"]]
        elif kind == "collection-error":
            self.attempt.output = message["text"]

    def _enter(self, phase: str) -> None:
        self.phase = phase
        if self._when_it_trains is not None:
            with contextlib.suppress(IsolationError):  # tried again, and its failure told, when it is needed
                self._when_it_trains()

    def _serve(self, child: Child, question: dict[str, Any]) -> None:
        if question.get("enough", False):
            self._end_yardstick()
            return
        answer = self._time_yardstick(child, question)
        with contextlib.suppress(OSError):  # it has died meanwhile, which its end will tell
            child.channel.sendall(messages.encode(answer))

    def _time_yardstick(self, child: Child, question: dict[str, Any]) -> dict[str, Any]:
        try:
            if self._yardstick is None:
                self._yardstick = self._start_yardstick()
            answer = self._yardstick.ask(question, child)
        except IsolationError as error:
            why = last_line(str(error))
            if self._has_answered or not self._lacks_room(str(error)):
                raise IsolationError(f"the yardstick failed: {why}") from error
            self.has_no_yardstick = True
            return {"kind": "no-yardstick"}
        self._has_answered = True
        return answer

    def _report(self, plain: dict[str, Any]) -> pytest.TestReport:
        report = self._config.hook.pytest_report_from_serializable(config=self._config, data=plain)
        if isinstance(report.longrepr, list):  # place and reason of a skip: JSON has no tuples, pytest wants one
            report.longrepr = tuple(report.longrepr)
        assert isinstance(report, pytest.TestReport)  # noqa: S101 -- a child reports on tests alone
        return report
