"""A run with guards, hook by hook: each case is guarded and reported; files are written at the end, once."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_batchguard.core.model import Baseline, CaseResult
from pytest_batchguard.core.units import format_bytes
from pytest_batchguard.errors import BaselineFileError, ConfigurationError
from pytest_batchguard.plugin import in_process, options
from pytest_batchguard.plugin.against import Against
from pytest_batchguard.plugin.guarding import CaseGuarding
from pytest_batchguard.plugin.markers import case_of
from pytest_batchguard.plugin.policy import Policy, policy_of, session_budget
from pytest_batchguard.plugin.progress import ProgressLine
from pytest_batchguard.plugin.provenance import ProvenanceStamp
from pytest_batchguard.plugin.reports import no_case_report, reports_of, verdict_reports, with_session_teardown
from pytest_batchguard.plugin.runner import CaseRunner, replay_warnings
from pytest_batchguard.plugin.surroundings import check_surroundings, device_of, relative
from pytest_batchguard.report import json_file, terminal
from pytest_batchguard.storage import baselines
from pytest_batchguard.storage.checkout import Checkout, check_out, repository_of

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class GuardSession:
    """The hooks of a run with guards.

    Args:
        config: Of the run.

    Raises:
        BatchguardError: What was asked for cannot be had.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._option = partial(options.value, config)
        options.check_all(config)
        check_surroundings(config)
        self._device = device_of(config)
        self._budget = session_budget(config, self._device)
        self._strict = bool(self._option("batchguard_strict"))
        directory = config.rootpath / self._option("batchguard_baselines")
        self._writes = any(self._option(name) for name in options.WRITING)
        self._reference = self._option("batchguard_against")
        if self._reference is not None:
            self._check_comparison()
        path = baselines.path_for(directory, self._device)
        is_used = self._reference is None
        self._file = baselines.read(path) if is_used else baselines.BaselineFile(path, {})
        self._check_recording()
        if self._writes:
            baselines.check_writable(path)
        json_name = self._option("batchguard_json")
        self._json_path = config.invocation_params.dir / json_name if json_name else None
        if self._json_path is not None:
            json_file.check_writable(self._json_path, options.source(config, "batchguard_json"))
        self._guarding = CaseGuarding(
            accepted=self._file.cases,
            stamp=ProvenanceStamp(self._device, config.rootpath),
            records=self._records,
            repeat_count=self._option("batchguard_repeats"),
        )
        self._progress: ProgressLine | None = None
        self._runner: CaseRunner | None = None
        self._against: Against | None = None
        self._checkout = self._check_out(self._reference) if self._reference is not None else None
        self._results: list[CaseResult] = []
        self._existing: set[str] = set()
        self._collected: set[str] = set()
        self._names_cases = any("::" in argument for argument in config.args)
        self._is_narrowed = self._names_cases
        self._dropped: list[str] = []
        self._changes: list[tuple[str, Baseline | None, Baseline]] = []
        self._remarks: list[str] = []
        self._has_file_error = False

    def pytest_report_header(self) -> list[str]:
        """Say what the guards train on, within which budget, against which file."""
        budget = format_bytes(self._budget) if self._budget else "none"
        device = f"batchguard: on, {self._device.key}, {format_bytes(self._device.memory_bytes)}, budget {budget}"
        if self._checkout is not None:
            base = f"{self._checkout.reference} ({self._checkout.commit})"
            return [device, f"batchguard: against {base}, trained in turn; stored baselines are not used"]
        folder = relative(self._file.path.parent, self._config)
        cases = f"{len(self._file.cases)} cases" if self._file.path.exists() else "none yet"
        return [device, f"batchguard: baselines in {folder}: {cases}"]

    def pytest_sessionstart(self) -> None:
        """Start the process servers, which import TensorFlow while pytest collects."""
        self._progress = ProgressLine(self._config)
        if not in_process.wanted(self._config):
            self._runner = CaseRunner(self._config, self._device, self._progress.show)
            if self._checkout is not None:
                seconds = self._option("batchguard_timeout")
                self._against = Against(self._runner, self._device, self._checkout, seconds)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember which cases exist, for pruning."""
        self._existing.add(item.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember which files were read, for pruning."""
        if report.passed:
            self._collected.add(report.nodeid)

    def pytest_deselected(self) -> None:
        """Remember that the run is not whole."""
        self._is_narrowed = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Measure what is to be recorded in rounds over all cases, so that a bad minute falls on no case alone."""
        if session.testsfailed or self._runner is None or self._progress is None:
            return
        cases = [item for item in session.items if self._is_recorded(item)]
        rounds = self._option("batchguard_repeats")
        for number in range(1, rounds) if cases else ():
            self._progress.announce(f"batchguard: measuring, round {number} of {rounds}")
            for item in cases:
                policy = self._policy(item)
                with suppress(Exception):  # what is missing is measured when it is the case's turn, or fails there
                    self._guarding.measure_ahead(item, policy, partial(self._runner.measure, item, policy))
        self._progress.clear()

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Guard a case; every other test is pytest's."""
        if item.get_closest_marker("batchguard") is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = reports_of(item, partial(self._guard, item, nextitem))
        for report in reports:
            if report.when != "teardown":
                item.ihook.pytest_runtest_logreport(report=report)
        ends = item.session.shouldfail or item.session.shouldstop  # as a failure with `-x` has it
        own = [report for report in reports if report.when == "teardown"]
        for report in with_session_teardown(item, None if ends else nextitem, own):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write what an update accepted and the JSON file; never exit with 0 where nothing was measured."""
        if not self._results and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        if exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        has_ended = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}
        if has_ended:
            self._write_baselines(green=exitstatus == pytest.ExitCode.OK)
        elif self._writes:
            self._record_nothing("the run did not come to its end")
        self._write_json(is_complete=has_ended and not session.shouldfail and not session.shouldstop)
        if self._has_file_error and has_ended:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the table, what was not compared and what was written."""
        width = terminalreporter._tw.fullwidth  # noqa: SLF001
        terminalreporter.ensure_newline()
        terminalreporter.section(f"batchguard on {self._device.key}", sep="=")
        for line in self._summary(width):
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """End the process servers, and remove the base's tree."""
        try:
            if self._runner is not None:
                self._runner.close()
        finally:
            if self._checkout is not None:
                self._checkout.remove()
            _end_as_ever_when_terminated()

    def _guard(self, item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
        if case_of(item) is None:
            return [no_case_report(item)]
        policy = self._policy(item)
        runner, progress = self._runner, self._progress
        if runner is None:
            measure = partial(in_process.measure_here, item, nextitem, policy, self._device)
        else:
            measure = partial((self._against or runner).measure, item, policy)
        try:
            guarded = self._guarding.guard(item, policy, measure)
        finally:
            if progress is not None:
                progress.clear()
        replay_warnings(guarded.attempt, self._config)
        if guarded.result is None:
            return guarded.attempt.reports
        self._results.append(guarded.result)
        return verdict_reports(item, guarded.attempt.reports, guarded.result, strict=self._strict)

    def _policy(self, item: pytest.Item) -> Policy:
        case = case_of(item)
        assert case is not None  # noqa: S101 -- asked before
        policy = policy_of(item, case, self._device, compares=self._against is not None)
        good_pace = self._guarding.good_pace(item.nodeid, policy.limits)
        return replace(policy, good_pace=good_pace, mix=self._guarding.mix(item.nodeid))

    def _is_recorded(self, item: pytest.Item) -> bool:
        return case_of(item) is not None and self._records(self._file.cases.get(item.nodeid))

    def _check_recording(self) -> None:
        for name in ("batchguard_update", "batchguard_update_new"):
            if self._option(name) and in_process.wanted(self._config):
                source = options.source(self._config, name)
                raise ConfigurationError(f"{source}: baselines want fresh processes; leave --pdb and --trace out")

    def _check_comparison(self) -> None:
        source = options.source(self._config, "batchguard_against")
        if self._writes:
            raise ConfigurationError(f"{source}: a comparison of two commits records nothing; leave the update out")
        if in_process.wanted(self._config):
            raise ConfigurationError(f"{source}: two commits cannot share a process; leave --pdb and --trace out")

    def _check_out(self, reference: str) -> Checkout:
        _end_in_order_when_terminated()
        try:
            self._check_starting_place()
            return check_out(reference, self._config.rootpath)
        except ConfigurationError as error:
            _end_as_ever_when_terminated()
            raise ConfigurationError(f"{options.source(self._config, 'batchguard_against')}: {error}") from None

    def _check_starting_place(self) -> None:
        """Make sure that what the command line names relative to here is found in the checkout too."""
        here, repository = self._config.invocation_params.dir, repository_of(self._config.rootpath)
        if here.resolve().is_relative_to(repository):
            return
        files = (Path(argument.partition("::")[0]) for argument in map(str, self._config.invocation_params.args))
        relative_file = next((file for file in files if not file.is_absolute() and (here / file).exists()), None)
        if relative_file is not None:
            raise ConfigurationError(
                f"found {relative_file}, named from {here}; allowed: to start pytest in the repository "
                f"{repository}, or to name files by absolute paths"
            )

    def _records(self, baseline: Baseline | None) -> bool:
        if self._option("batchguard_update"):
            return True
        return bool(self._option("batchguard_update_new")) and baseline is None

    def _write_baselines(self, *, green: bool) -> None:
        try:
            self._update_baselines(green=green)
        except (BaselineFileError, OSError) as error:
            self._has_file_error = True
            self._record_nothing(str(error))

    def _record_nothing(self, why: str) -> None:
        self._results = [replace(result, recorded=None) for result in self._results]
        self._remarks.append(f"NO BASELINE WAS WRITTEN: {why}")

    def _update_baselines(self, *, green: bool) -> None:
        changes = [(result.node_id, result.baseline, result.recorded) for result in self._results if result.recorded]
        dropped = []
        if self._option("batchguard_prune"):
            if green and not self._is_narrowed:
                dropped = [node_id for node_id in self._file.cases if self._is_gone(node_id)]
            else:
                problem = "not all of its tests ran" if self._is_narrowed else "it was not green"
                self._remarks.append(f"no baseline was dropped: that takes a whole, green run, and {problem}")
        if changes or dropped:
            recorded = {node_id: new for node_id, _, new in changes}
            baselines.update(self._file.path, self._device, recorded, dropped)
        self._changes, self._dropped = changes, dropped

    def _write_json(self, *, is_complete: bool) -> None:
        if self._json_path is None:
            return
        try:
            json_file.write(self._json_path, self._device, self._results, is_complete=is_complete)
        except OSError as error:
            self._has_file_error = True
            self._remarks.append(f"NO JSON FILE WAS WRITTEN: {error}")

    def _is_gone(self, node_id: str) -> bool:
        """Whether the run would have met this case if it still existed: its file was read, or is no more."""
        file = node_id.partition("::")[0]
        if file in self._collected:
            return node_id not in self._existing
        path = self._config.rootpath / file
        roots = [self._config.invocation_params.dir / argument for argument in self._config.args]
        return not path.exists() and any(path.is_relative_to(root.resolve()) for root in roots)

    def _uncompared_lines(self, file: str, width: int) -> list[str]:
        if self._against is None:
            return terminal.without_baseline_lines(self._results, file)
        is_whole = not self._names_cases and not self._config.getoption("lf", False)  # which leaves out whole files
        gone = sorted(self._against.cases - self._existing) if is_whole else []
        return terminal.without_base_lines(self._results, gone, width)

    def _summary(self, width: int) -> list[str]:
        file = relative(self._file.path, self._config)
        if not self._results:
            lines = ["no guard was measured"]
        else:
            lines = terminal.summary_lines(self._results, width)
            lines += terminal.tolerance_lines(self._results, width)
            lines += terminal.memory_tolerance_lines(self._results, width)
            lines += self._uncompared_lines(file, width)
        return [*lines, *terminal.update_lines(self._changes, self._dropped, file, width), *self._remarks]


def _end_in_order_when_terminated() -> None:
    """Let a SIGTERM, as of a CI job that is cancelled, end the run as Ctrl-C would: a worktree is to be removed.

    So does a SIGHUP, of a terminal that is closed.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _terminate)


def _end_as_ever_when_terminated() -> None:
    for number in _ENDING:
        if signal.getsignal(number) is _terminate:
            signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, _frame: object) -> None:
    pytest.exit("terminated", 128 + number)
