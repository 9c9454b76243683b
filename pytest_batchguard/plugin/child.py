"""A case in its own process: a pytest session for that one item, its reports and measurement sent to the parent.

The child is started with the arguments of the parent's own command line, so that conftest options, ini values and
plugins are the same; what would write a second time (JUnit, reports, the cache) or run other tests is switched off.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plain import to_plain
from pytest_batchguard.core.plan import Parent, Plan
from pytest_batchguard.plugin import code_state
from pytest_batchguard.plugin.place import imported_from

ACTIVE = pytest.StashKey[tuple[Plan, Parent]]()
"""In the config of the process that trains: what to measure, and whom to tell."""

_WRITES_ELSEWHERE = ("xmlpath", "report_log", "htmlpath", "json_report_file", "allure_report_dir")
_SELECTS_TESTS = {"keyword": "", "markexpr": "", "deselect": None, "lf": False, "failedfirst": False, "newfirst": False}
_INTERFERES = {
    "cacheclear": False,
    "log_file": os.devnull,
    "setupshow": False,
    "setuponly": False,
    "setupplan": False,
}
"""Would empty the parent's cache, its log; would want a terminal."""

_UNWANTED = ("terminal", "sugar", "vscode_pytest", "randomly")
"""Plugins that show what the parent shows, as in pytest-xdist's workers, or would seed anew (pytest-randomly)."""

_PARENTS_ALONE = ("lfplugin", "nfplugin", "stepwiseplugin", "rerunfailures")
"""Plugins that would remember in the parent's place, or train again in the same process (pytest-rerunfailures)."""


@dataclass(frozen=True)
class Assignment:
    """What the parent hands a child.

    Attributes:
        arguments: Of the parent's command line.
        target: The test function, as pytest takes it on the command line.
        node_id: The one item to run.
        plan: What to measure.
        temporary_directory: pytest's `basetemp`.
        has_yardstick_beside: Whether the parent has the yardstick in another process.
        foreign_tree: A folder that no code may come from; the process runs another commit of the same project.
    """

    arguments: tuple[str, ...]
    target: str
    node_id: str
    plan: Plan
    temporary_directory: str
    has_yardstick_beside: bool = False
    foreign_tree: str | None = None


def run_case(assignment: Assignment, link: Any) -> None:
    """Run one item in this process; the entry of a job."""
    from pytest_batchguard.training import runtime

    runtime.configure(assignment.plan)
    runtime.seed_everything(assignment.plan.seed)  # for what is drawn before the fixture is set up, which seeds again
    parent = Parent(link.send, link.ask if assignment.has_yardstick_beside else None)
    try:
        code = pytest.main(list(assignment.arguments), plugins=[ChildPlugin(assignment, parent)])
    finally:
        runtime.remove_generated_code()
    link.send({"kind": "session", "exit_code": int(code)})


def list_cases(assignment: Assignment, link: Any) -> None:
    """Send the node id of every case in the files that the parent's arguments name; the entry of a job."""
    lister = CaseLister(link.send)
    code = pytest.main(["--collect-only", *assignment.arguments], plugins=[lister])
    link.send({"kind": "session", "exit_code": int(code), "started": lister.started})


class CaseLister:
    """Tells which cases there are.

    Args:
        send: Takes messages.

    Attributes:
        started: Whether pytest came as far as to read the tests: options and conftest files are in order.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._node_ids: list[str] = []
        self.started = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Keep the session from writing."""
        _keep_from_writing(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int | None:
        """Keep the terminal for the parent, and leave out the files that there are not.

        Files are read whole: pytest lists nothing where it misses one of the tests that are named.
        """
        self.started = True
        _unregister(_UNWANTED, config)
        files = dict.fromkeys(argument.partition("::")[0] for argument in config.args)
        config.args = [file for file in files if _exists(file, config)]
        return None if config.args else pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Take a case, before another plugin selects some of all."""
        if item.get_closest_marker("batchguard"):
            self._node_ids.append(item.nodeid)

    def pytest_collection_finish(self) -> None:
        """Send the cases."""
        self._send({"kind": "cases", "node_ids": self._node_ids})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Send what could not be collected."""
        if report.failed:
            self._send({"kind": "collection-error", "nodeid": report.nodeid, "text": report.longreprtext})


def _unregister(names: Iterable[str], config: pytest.Config) -> None:
    for name in names:
        if config.pluginmanager.has_plugin(name):
            config.pluginmanager.unregister(name=name)


def _keep_from_writing(config: pytest.Config) -> None:
    for name in _WRITES_ELSEWHERE:
        if getattr(config.option, name, None) is not None:
            setattr(config.option, name, None)
    for name, nothing in _INTERFERES.items():
        setattr(config.option, name, nothing)


def _exists(file: str, config: pytest.Config) -> bool:
    return (config.invocation_params.dir / file).exists() or config.option.pyargs


class ChildPlugin:
    """Runs the one item and sends what comes of it.

    Args:
        assignment: What to run.
        parent: Takes messages.
    """

    def __init__(self, assignment: Assignment, parent: Parent) -> None:
        self._assignment = assignment
        self._parent = parent
        self._send = parent.send
        self._config: pytest.Config | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Leave out the plugins that are the parent's, now that their options are known."""
        _unregister(_UNWANTED, config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Narrow the session to the item and keep it from writing."""
        self._config = config
        _keep_from_writing(config)
        for name, nothing in _SELECTS_TESTS.items():
            setattr(config.option, name, nothing)
        config.option.basetemp = self._assignment.temporary_directory
        config.args = [self._assignment.target]
        config.stash[ACTIVE] = (self._assignment.plan, self._parent)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Silence what is the parent's alone."""
        _unregister(_PARENTS_ALONE, session.config)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        """Keep the one item, also from plugins that select some of many, as the parent's have.

        The path of a file outside the rootdir may be another here than in the parent.
        """
        name = self._assignment.node_id.partition("::")[2]
        own = [item for item in items if item.nodeid.partition("::")[2] == name]
        items[:] = own
        yield
        items[:] = own

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Send why the item could not be collected."""
        if report.failed:
            self._send({"kind": "collection-error", "nodeid": report.nodeid, "text": report.longreprtext})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Say that memory ran out, wherever in the test it did."""
        from pytest_batchguard.training import oom

        failure = oom.classify(call.excinfo.value) if call.excinfo is not None else None
        if failure is not None:
            case = self._assignment.plan.case
            measurement = Measurement(case.batch_size, case.image_size, failure=failure)
            self._send({"kind": "measurement", "measurement": to_plain(measurement)})

    @pytest.hookimpl(trylast=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str]:
        """Answer in the terminal's place plugins that count outcomes, as pytest-json-report does."""
        return report.outcome, "", ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send the report of setup, call or teardown."""
        assert self._config is not None  # noqa: S101 -- configured before anything runs
        plain = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._send({"kind": "report", "report": {**plain, "nodeid": self._assignment.node_id}})

    def pytest_sessionfinish(self) -> None:
        """Send what was imported from the wrong tree, and of a probe what all of it was made of."""
        assert self._config is not None  # noqa: S101 -- configured before anything runs
        if self._assignment.plan.is_probe:
            self._send({"kind": "sources", "hashes": code_state.hashes(self._config)})
        tree = self._assignment.foreign_tree
        foreign = sorted(imported_from(tree)) if tree is not None else []
        if foreign:
            self._send({"kind": "foreign-modules", "names": foreign})

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Keep pytest from collecting garbage: to free an input pipeline may take many seconds, the exit frees all."""
        gc.freeze()

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, when: str) -> None:
        """Send a warning of the test's; those of collecting the parent has had itself."""
        if when != "runtest":
            return
        self._send(
            {
                "kind": "warning",
                "message": str(warning_message.message),
                "category": warning_message.category.__name__,
                "filename": warning_message.filename,
                "lineno": warning_message.lineno,
                "when": when,
                "nodeid": self._assignment.node_id,
            }
        )
