"""Base and head in one run: the base's training is the yardstick of the head's, and its figures are the baseline."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import pytest

from pytest_batchguard.core.attempts import good_pace
from pytest_batchguard.core.figures import MemoryFigures, ThroughputFigures
from pytest_batchguard.core.model import Baseline, Device, Measurement
from pytest_batchguard.core.noise import counted_in
from pytest_batchguard.core.plan import Pass, Plan
from pytest_batchguard.errors import IsolationError, last_line
from pytest_batchguard.isolation.job import Job
from pytest_batchguard.isolation.launch import Child
from pytest_batchguard.isolation.supervise import EndingKind, supervise
from pytest_batchguard.isolation.turns import Companion
from pytest_batchguard.measure import yardstick
from pytest_batchguard.plugin.conversation import Attempt
from pytest_batchguard.plugin.endings import tail
from pytest_batchguard.plugin.policy import Policy
from pytest_batchguard.plugin.reports import has_failed, said_by, skip_reason
from pytest_batchguard.plugin.runner import CaseRunner, remove_temporary_files
from pytest_batchguard.storage.checkout import Checkout
from pytest_batchguard.training import oom

_NEVER_TRAINED = "it never trained"
_ONE_BY_ONE = "base and head do not fit the device side by side and were measured one after the other"
_LIST_ENTRY = "pytest_batchguard.plugin.child:list_cases"
_AS_FAST = Baseline(throughput=ThroughputFigures(images_per_second=1.0, pace=1.0, yardstick=yardstick.VERSION))
"""What the head's pace is held against: it is counted in steps of the base."""


class Against:
    """Measures each case in two trees in turn.

    Args:
        runner: Starts the processes.
        device: What to train on.
        checkout: The base.
        listing_seconds: Longest time to collect its cases.
    """

    def __init__(self, runner: CaseRunner, device: Device, checkout: Checkout, listing_seconds: float) -> None:
        self._runner = runner
        self._device = device
        self._checkout = checkout
        self._listing_seconds = listing_seconds
        self._cases: set[str] | None = None
        self._apart: set[str] = set()
        self._problem = ""

    @property
    def cases(self) -> set[str]:
        """The node ids that the base has; empty before the first case was measured."""
        return self._cases or set()

    def measure(self, item: pytest.Item, policy: Policy) -> Attempt:
        """Measure one case once in both trees."""
        if self._cases is None:
            self._cases = self._list_cases(item, policy)
        if item.nodeid not in self._cases:
            attempt = self._runner.measure(item, policy)
            attempt.base_problem = self._problem or f"{self._checkout.reference} has no such case"
            return attempt
        memory = None
        if not self._device.is_gpu:
            attempt = self._run_base(item, policy.plan(Pass.MEMORY, self._device), policy)
            problem = _problem(attempt)
            if problem:
                return self._alone(item, policy, problem)
            memory = attempt.measurement.memory if attempt.measurement else None
        if item.nodeid not in self._apart:
            side_by_side = self._side_by_side(item, policy, memory)
            if side_by_side is not None:
                return side_by_side
            self._apart.add(item.nodeid)
        return self._one_by_one(item, policy, memory)

    def _side_by_side(self, item: pytest.Item, policy: Policy, memory: MemoryFigures | None) -> Attempt | None:
        """Measure the head with the base as its yardstick; `None` where the device has not the memory for both."""
        plan = replace(policy.plan(self._kind, self._device), memory=memory, answers=True)
        beside = _Beside(self._runner, self._runner.job(item, plan, self._checkout), self._kind, policy.timeout_seconds)
        compared = replace(policy, good_pace=good_pace(_AS_FAST, policy.limits, yardstick.VERSION))
        try:
            attempt = self._runner.measure(item, compared, beside.start)
            head = attempt.measurement
            if beside.is_started and (_ran_out_of_memory(head) or _ran_out_of_memory(beside.attempt.measurement)):
                return None
            if not beside.problem and (head is None or head.failure is not None):
                return attempt
            beside.finish()
        finally:
            beside.close()
        base = beside.attempt
        problem = _problem(base, beside.problem or _NEVER_TRAINED) or beside.problem
        if _ran_out_of_memory(base.measurement) or oom.finds_no_room(problem):
            return None
        if problem:
            return self._alone(item, policy, problem)
        if head is not None and base.measurement is not None:
            rate = base.measurement.batch_size / median(head.throughput.yardstick_seconds) if head.throughput else None
            attempt.base = _baseline(base.measurement, self._checkout.commit, rate)
        return attempt

    def _one_by_one(self, item: pytest.Item, policy: Policy, memory: MemoryFigures | None) -> Attempt:
        """Measure the base, then the head, each in turn with the yardstick that a stored baseline would be held to."""
        policy = replace(policy, good_pace=0.0)
        beside_nothing = replace(policy.plan(self._kind, self._device), memory=memory)
        base = self._run_base(item, beside_nothing, policy)
        problem = _problem(base)
        if problem:
            return self._alone(item, policy, problem)
        attempt = self._runner.measure(item, policy)
        head = attempt.measurement
        if head is not None and base.measurement is not None and head.throughput and base.measurement.throughput:
            paced = counted_in(head.throughput, base.measurement.throughput)
            attempt.measurement = replace(head, throughput=paced, notes=(*head.notes, _ONE_BY_ONE))
            apart = base.measurement.throughput
            attempt.base = _baseline(
                base.measurement, self._checkout.commit, apart.images_per_second, apart.handoff_seconds, runs=(1.0,)
            )
        return attempt

    def _run_base(self, item: pytest.Item, plan: Plan, policy: Policy) -> Attempt:
        return self._runner.run_pass(item, plan, policy.timeout_seconds, checkout=self._checkout)

    def _alone(self, item: pytest.Item, policy: Policy, problem: str) -> Attempt:
        """Measure the head with nothing to compare it with."""
        attempt = self._runner.measure(item, policy)
        attempt.base_problem = f"broken base: {self._checkout.reference}: {problem}"
        return attempt

    def _list_cases(self, item: pytest.Item, policy: Policy) -> set[str]:
        """Return the cases of the base; what keeps it from being read is remembered."""
        plan = policy.plan(self._kind, self._device)
        job = replace(self._runner.job(item, plan, self._checkout), entry=_LIST_ENTRY)
        found: set[str] = set()
        problems: list[str] = []

        def take(message: dict[str, Any]) -> None:
            if message["kind"] == "cases":
                found.update(map(str, message["node_ids"]))
            elif message["kind"] == "collection-error":
                problems.append(last_line(str(message["text"])))
            elif message["kind"] == "session" and not message["started"]:
                problems.append(last_line(tail(job.output_path)) or "its options or conftest files are not in order")

        try:
            ending = supervise(self._runner.launch(job, plan.kind), self._listing_seconds, take)
        except IsolationError as error:
            problems.append(last_line(str(error)))
        else:
            if ending.kind is not EndingKind.COMPLETE:
                problems.append(f"it could not be collected: {ending.kind.value}")
        if problems:
            self._problem = f"broken base: {self._checkout.reference} does not run here: {_with_needs(problems[0])}"
        return found

    @property
    def _kind(self) -> Pass:
        return Pass.WHOLE if self._device.is_gpu else Pass.THROUGHPUT


class _Beside:
    """The base's training beside one of the head's.

    Args:
        runner: Starts its process.
        job: The base's.
        kind: Of the pass.
        timeout_seconds: Of the case.

    Attributes:
        attempt: What it yielded; complete when it has finished.
        problem: Why it did not come to its end.
    """

    def __init__(self, runner: CaseRunner, job: Job, kind: Pass, timeout_seconds: float) -> None:
        self.attempt = Attempt()
        self.problem = ""
        self._runner = runner
        self._job = job
        self._kind = kind
        self._timeout_seconds = timeout_seconds
        self._companion: Companion | None = None

    def start(self) -> _Beside:
        """Start it; called when the head asks for the first time."""
        try:
            child = self._runner.launch(self._job, self._kind)
        except IsolationError as error:
            self.problem = f"its process did not start: {last_line(str(error))}"
            raise
        conversation = self._runner.conversation(_nobody)
        self.attempt = conversation.attempt
        self._companion = Companion(child, self._timeout_seconds, partial(conversation.take, child))
        return self

    @property
    def is_started(self) -> bool:
        """Whether the head has come so far as to ask for it."""
        return self._companion is not None

    def ask(self, question: dict[str, Any], asker: Child) -> dict[str, Any]:
        """Let it train a window while `asker` stands still; see `Companion.ask`."""
        assert self._companion is not None  # noqa: S101 -- started before it is asked
        try:
            return self._companion.ask(question, asker)
        except IsolationError as error:
            self.problem = last_line(str(error))
            raise

    def finish(self) -> None:
        """Let it come to its end."""
        if self._companion is None or self.problem:
            return
        try:
            ending = self._companion.finish(self._timeout_seconds)
        except IsolationError as error:
            self.problem = last_line(str(error))
        else:
            if ending.kind is not EndingKind.COMPLETE:
                self.problem = last_line(ending.detail) or f"its process ended with: {ending.kind.value}"

    def close(self) -> None:
        """Kill what is left, and remove its temporary files."""
        if self._companion is not None:
            self._companion.close()
            remove_temporary_files(self._job)


def _nobody() -> Any:
    raise IsolationError("the base takes turns with nobody but the head")


def _problem(base: Attempt, otherwise: str = _NEVER_TRAINED) -> str:
    """Return why the base did not train, or an empty text.

    Args:
        base: What it said.
        otherwise: The reason where it said none.
    """
    if base.foreign_modules:
        return (
            f"it imported {base.foreign_modules[0]} from the tree under test, not its own; set pytest's `pythonpath` "
            "in place of an editable installation"
        )
    if base.measurement is not None and base.measurement.failure is not None:
        return base.measurement.failure.message
    failed = next((report for report in base.reports if has_failed(report)), None)
    if failed is not None:
        return _with_needs(said_by(failed))
    if base.measurement is not None:
        return ""
    skipped = skip_reason(base.reports)
    return f"it skipped itself: {skipped.removeprefix('Skipped: ')}" if skipped else otherwise


def _with_needs(problem: str) -> str:
    needs = "; it may need other packages than are installed here" if "ModuleNotFound" in problem else ""
    return problem + needs


def _ran_out_of_memory(measurement: Measurement | None) -> bool:
    return measurement is not None and measurement.failure is not None and measurement.failure.is_out_of_memory


def _baseline(
    base: Measurement,
    commit: str,
    images_per_second: float | None,
    handoff_seconds: float | None = None,
    runs: tuple[float, ...] = (),
) -> Baseline:
    """Return the base's figures as a baseline; paces are counted in its own steps, so its own is 1.

    Args:
        base: What was measured of it.
        commit: Which it is.
        images_per_second: Of its windows; `None` where the head has none to compare.
        handoff_seconds: Seconds a wake-up beside them, where they were not taken in turn with the head's.
        runs: Its pace then, whose noise adds to the head's.
    """
    throughput = None
    if images_per_second is not None:
        throughput = ThroughputFigures(
            images_per_second, pace=1.0, yardstick=yardstick.VERSION, handoff_seconds=handoff_seconds, runs=runs
        )
    provenance = replace(base.provenance, commit=commit)
    return Baseline(base.memory, throughput, base.loss, base.model, provenance, base.breakdown)
