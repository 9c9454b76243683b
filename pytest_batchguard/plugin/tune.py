"""A run with `--batchguard-tune`, hook by hook: each guard is tuned at each of its image sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pytest_batchguard.core.model import ImageSize
from pytest_batchguard.core.plan import Pass, Plan
from pytest_batchguard.core.tuning import Tuning
from pytest_batchguard.core.units import format_bytes
from pytest_batchguard.errors import BatchguardError, ConfigurationError
from pytest_batchguard.measure.nvml import used_bytes
from pytest_batchguard.plugin import endings, in_process, ledger, options
from pytest_batchguard.plugin.guarding import problem_of
from pytest_batchguard.plugin.markers import GuardOptions, case_of
from pytest_batchguard.plugin.policy import Policy, policy_of, session_budget
from pytest_batchguard.plugin.progress import ProgressLine
from pytest_batchguard.plugin.provenance import ProvenanceStamp
from pytest_batchguard.plugin.reports import (
    no_case_report,
    plain_report,
    refusal_report,
    reports_of,
    said_by,
    skip_reason,
    skip_report,
)
from pytest_batchguard.plugin.runner import CaseRunner, StartBeside
from pytest_batchguard.plugin.surroundings import check_surroundings, device_of, relative
from pytest_batchguard.report import picture, tuning_lines
from pytest_batchguard.storage import tuning_file
from pytest_batchguard.tuning.found import Found
from pytest_batchguard.tuning.tuner import Settings, Tuner, not_measured

_FILE = "batchguard-tune.yaml"
_OTHER_RUNS = (*options.WRITING, "batchguard_against", "batchguard_json")


class TuneSession:
    """The hooks of a run that tunes.

    Args:
        config: Of the run.

    Raises:
        BatchguardError: What was asked for cannot be had.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        option = partial(options.value, config)
        options.check_all(config)
        check_surroundings(config)
        self._check_alone()
        self._device = device_of(config)
        self._budget = session_budget(config, self._device)
        self._path = config.rootpath / _FILE
        tuning_file.check(self._path)
        self._settings = Settings(option("batchguard_tune_multiple"), option("batchguard_tune_time_limit"))
        self._fresh = bool(option("batchguard_tune_fresh"))
        self._stamp = ProvenanceStamp(self._device, config.rootpath)
        self._tunings: list[Tuning] = []
        self._interrupted: Tuning | None = None
        self._begun: set[str] = set()
        self._files: list[str] = []
        self._progress: ProgressLine | None = None
        self._runner: CaseRunner | None = None
        self._ledger: ledger.Ledger | None = None
        self._failed_report: pytest.TestReport | None = None
        self._has_measured = False

    def pytest_report_header(self) -> list[str]:
        """Say what is tuned for."""
        budget = format_bytes(self._budget) if self._budget else "none"
        return [
            f"batchguard: tuning, {self._device.key}, {format_bytes(self._device.memory_bytes)}, budget {budget}",
        ]

    def pytest_sessionstart(self) -> None:
        """Start the process servers, which import TensorFlow while pytest collects."""
        self._progress = ProgressLine(self._config)
        self._runner = CaseRunner(self._config, self._device, self._progress.show)
        self._ledger = ledger.Ledger(self._config, ledger.versions() | ledger.settings(self._config), fresh=self._fresh)

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        """Tune a guard; there are no other tests."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        self._begun.add(item.nodeid)
        for report in reports_of(item, lambda: [self._tune(item)]):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write file and picture; never exit with 0 where nothing was tuned."""
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            left = [item.nodeid for item in session.items if case_of(item) and item.nodeid not in self._begun]
            self._files += [f"not tuned: {node_id}: the run was interrupted" for node_id in left]
        if not self._tunings:
            if exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
            return
        shown = partial(relative, config=self._config)
        try:
            tuning_file.update(self._path, self._device, self._tunings, self._stamp.date, self._interrupted)
            self._files.append(f"written: {shown(self._path)}")
            if self._interrupted is None:
                self._files.append(picture.draw_beside(self._path, self._tunings, shown))
            else:
                self._files.append("no picture was drawn: the run was interrupted")
        except (BatchguardError, OSError) as error:
            self._files.append(f"NOT WRITTEN: {error}")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the table and the reasons."""
        width = terminalreporter._tw.fullwidth  # noqa: SLF001
        terminalreporter.ensure_newline()
        terminalreporter.section(f"batchguard tuned for {self._device.key}", sep="=")
        lines = tuning_lines.summary_lines(self._tunings, width) if self._tunings else ["no guard was tuned"]
        for line in [*lines, *self._files]:
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """End the process servers."""
        if self._runner is not None:
            self._runner.close()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out the tests that are no guards."""
        others = [item for item in items if item.get_closest_marker("batchguard") is None]
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = [item for item in items if item.get_closest_marker("batchguard") is not None]

    def _tune(self, item: pytest.Item) -> pytest.TestReport:
        case = case_of(item)
        if case is None:
            return no_case_report(item)
        assert self._progress is not None  # noqa: S101 -- the session has started
        assert self._runner is not None  # noqa: S101 -- the session has started
        policy = policy_of(item, case, self._device)
        with self._runner.one_yardstick(policy.plan(Pass.THROUGHPUT, self._device)) as yardstick:
            return self._tune_at_size(item, policy, partial(self._measure, item, policy.timeout_seconds, yardstick))

    def _tune_at_size(self, item: pytest.Item, policy: Policy, measure: Callable[[Plan], Found]) -> pytest.TestReport:
        assert self._progress is not None  # noqa: S101 -- the session has started
        image_size = policy.case.image_size
        self._failed_report = None
        self._has_measured = False
        tuner = Tuner(
            Tuning(_guard_of(item, image_size), image_size, _declared(item, image_size)),
            policy.plan(Pass.MEMORY, self._device),
            self._settings,
            measure,
            self._progress.caption,
        )
        try:
            tuner.run()
        except pytest.skip.Exception as skipped:
            return skip_report(item, str(skipped))
        except KeyboardInterrupt:
            missing = tuple(f"{part}: the run was interrupted" for part in not_measured(tuner.tuning))
            self._interrupted = replace(tuner.tuning, missing=(*tuner.tuning.missing, *missing))
            self._tunings.append(self._interrupted)
            raise
        finally:
            self._progress.caption("")
            self._progress.clear()
        if tuner.failure:
            return self._failed_report or refusal_report(item, tuner.failure)
        self._tunings.append(tuner.tuning)
        return plain_report(item)

    def _measure(self, item: pytest.Item, timeout_seconds: float, yardstick: StartBeside, plan: Plan) -> Found:
        """Run a plan, or take what an earlier run has found."""
        assert self._runner is not None  # noqa: S101 -- the session has started
        assert self._ledger is not None  # noqa: S101 -- the session has started
        known = self._ledger.look_up(item.nodeid, plan)
        if known is not None:
            self._has_measured = True
            return known
        beside = yardstick if plan.kind is Pass.THROUGHPUT else None
        used_before = used_bytes(self._device.uuid) if self._device.uuid and plan.kind is Pass.MEMORY else 0
        attempt = self._runner.run_pass(item, plan, timeout_seconds, start_beside=beside)
        if attempt.measurement is None and (skipped := skip_reason(attempt.reports)):
            if not self._has_measured:
                pytest.skip(skipped)
            return Found(problem=f"the guard skipped itself at batch size {plan.case.batch_size}: {skipped}")
        self._has_measured = True
        sources = attempt.findings.pop("sources", None)
        problem = problem_of(attempt)
        self._failed_report = next((each for each in attempt.reports if problem and each.failed), None)
        if self._failed_report is not None:
            problem = f"{problem}: {said_by(self._failed_report)}"
        failure = attempt.measurement.failure if attempt.measurement else None
        is_crowded = failure is not None and endings.is_crowded(failure, self._device, used_before)
        found = Found(attempt.measurement, attempt.findings, problem, used_before if is_crowded else 0)
        if sources is not None and found.is_lasting:
            self._ledger.keep(item.nodeid, plan, found, sources["hashes"])
        return found

    def _check_alone(self) -> None:
        source = options.source(self._config, "batchguard_tune")
        for name in _OTHER_RUNS:
            if options.value(self._config, name):
                raise ConfigurationError(
                    f"{source}: tuning judges and records nothing; leave {options.source(self._config, name)} out"
                )
        if in_process.wanted(self._config):
            raise ConfigurationError(
                f"{source}: every training needs a process of its own; leave --pdb and --trace out"
            )


def _guard_of(item: pytest.Item, image_size: ImageSize) -> str:
    """Return the node id without the image size."""
    node_id = item.nodeid
    for ending, instead in ((f"[{image_size}]", ""), (f"-{image_size}]", "]")):
        if node_id.endswith(ending):
            return node_id.removesuffix(ending) + instead
    return node_id


def _declared(item: pytest.Item, image_size: ImageSize) -> tuple[int, ...]:
    """Return the batch sizes that the marker declares with an image size."""
    marker = item.get_closest_marker("batchguard")
    assert marker is not None  # noqa: S101 -- only guards are tuned
    cases = GuardOptions.from_marker(marker).declared_cases()
    return tuple(case.batch_size for case in cases if case.image_size == image_size)
