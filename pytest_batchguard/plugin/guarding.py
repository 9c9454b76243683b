"""One case from measuring to verdict: as many attempts as it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from pytest_batchguard.core.attempts import Attempted, conclude, good_pace, wants_another_attempt
from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import (
    Baseline,
    CaseResult,
    Failure,
    FailureKind,
    Judgement,
    Limits,
    Measurement,
    Verdict,
)
from pytest_batchguard.errors import last_line
from pytest_batchguard.measure import yardstick
from pytest_batchguard.plugin.conversation import Attempt
from pytest_batchguard.plugin.policy import Policy
from pytest_batchguard.plugin.provenance import ProvenanceStamp
from pytest_batchguard.plugin.recording import Guarded, Recording
from pytest_batchguard.plugin.reports import has_ended, has_failed

Measure = Callable[[], Attempt]

_NEVER_TRAINED = "the guard never trained: call batchguard.train(model, data) or batchguard.train_step(step, data)"


@dataclass(frozen=True)
class CaseGuarding:
    """Judges cases against the baselines of the device, or records them.

    Attributes:
        accepted: The baselines by node id.
        stamp: Completes the provenance.
        records: Whether a case with this baseline is to be recorded.
        repeat_count: Fresh processes that a recorded case is measured in.
        recordings: What was measured so far of the cases that are to be recorded, by node id.
    """

    accepted: Mapping[str, Baseline]
    stamp: ProvenanceStamp
    records: Callable[[Baseline | None], bool]
    repeat_count: int
    recordings: dict[str, Recording] = field(default_factory=dict)

    def good_pace(self, node_id: str, limits: Limits) -> float:
        """Return the pace with which a case passes at once; zero where it is to be recorded."""
        baseline = self.accepted.get(node_id)
        return 0.0 if self.records(baseline) else good_pace(baseline, limits, yardstick.VERSION)

    def mix(self, node_id: str) -> float:
        """Return the mix that the baseline counts in; of a case that is to be recorded it is not known yet."""
        baseline = self.accepted.get(node_id)
        if baseline is None or baseline.throughput is None or self.records(baseline):
            return 1.0
        return baseline.throughput.mix

    def guard(self, item: pytest.Item, policy: Policy, measure: Measure) -> Guarded:
        """Measure, judge, and measure again where the first answer is not enough."""
        baseline = self.accepted.get(item.nodeid)
        if self.records(baseline):
            return self._record(item, policy, measure, baseline)
        return self._judge(item, policy, measure, baseline)

    def _judge(self, item: pytest.Item, policy: Policy, measure: Measure, baseline: Baseline | None) -> Guarded:
        attempts: list[Attempt] = []
        attempted: list[Attempted] = []
        while not attempted or wants_another_attempt(attempted, policy.limits):
            attempt = self._attempt(measure, policy)
            if attempt.measurement is None:
                if not attempted:
                    return Guarded(attempt, None)
                break  # it skipped itself this time; what it said before stands
            if attempted and attempt.base_problem and attempt.measurement.failure is None:
                break  # the base failed this time; what was said before stands
            attempts.append(attempt)
            held_against = attempt.base or baseline
            judgement = _with_reason(judge(attempt.measurement, held_against, policy.limits), attempt.base_problem)
            attempted.append(Attempted(attempt.measurement, held_against, judgement))
        conclusion = conclude(attempted, policy.limits)
        attempt = attempts[conclusion.place]
        result = CaseResult(
            node_id=item.nodeid,
            judgement=_with_reason(conclusion.judgement, attempt.base_problem),
            limits=policy.limits,
            measurement=conclusion.measurement,
            baseline=conclusion.baseline,
            attempts=tuple(each.judgement for each in attempted),
            output=attempt.output,
        )
        return Guarded(attempt, result)

    def measure_ahead(self, item: pytest.Item, policy: Policy, measure: Measure) -> None:
        """Take one of the measurements of a case that is to be recorded, before its turn."""
        baseline = self.accepted.get(item.nodeid)
        if self.records(baseline):
            recording = self._recording(item, policy, baseline)
            if recording.guarded is None:
                recording.add(self._attempt(measure, policy))

    def _record(self, item: pytest.Item, policy: Policy, measure: Measure, baseline: Baseline | None) -> Guarded:
        recording = self._recording(item, policy, baseline)
        while recording.guarded is None:
            recording.add(self._attempt(measure, policy))
        return recording.guarded

    def _recording(self, item: pytest.Item, policy: Policy, baseline: Baseline | None) -> Recording:
        new = Recording(item.nodeid, policy.limits, baseline, self.repeat_count)
        return self.recordings.setdefault(item.nodeid, new)

    def _attempt(self, measure: Measure, policy: Policy) -> Attempt:
        """Measure once; a test that failed or ended without training becomes a failed measurement."""
        attempt = measure()
        measurement = attempt.measurement
        if measurement is not None:
            provenance = self.stamp.complete(measurement.provenance)
            attempt.measurement = replace(measurement, provenance=provenance)
        problem = problem_of(attempt)
        if problem:
            known = attempt.measurement or Measurement(policy.case.batch_size, policy.case.image_size)
            attempt.measurement = replace(known, failure=Failure(FailureKind.ERROR, problem))
        return attempt


def _with_reason(judgement: Judgement, base_problem: str) -> Judgement:
    if base_problem and judgement.verdict is Verdict.NO_BASELINE:
        return replace(judgement, reason=f"nothing was compared: {base_problem}")
    return judgement


def problem_of(attempt: Attempt) -> str:
    """Return what is wrong with the guard itself where nothing else has said so, or an empty text."""
    if attempt.measurement is not None and attempt.measurement.failure is not None:
        return ""
    failed = next((report for report in attempt.reports if has_failed(report)), None)
    if failed is not None and (attempt.measurement is not None or failed.failed):
        return f"the test itself failed in {failed.when}"
    if not attempt.reports and attempt.measurement is None:
        return f"its process did not come to the test: {last_line(attempt.output) or 'it collected nothing'}"
    if not has_ended(attempt.reports):
        return f"its session broke off within the test: {last_line(attempt.output) or 'it said nothing'}"
    return "" if attempt.measurement is not None or _was_skipped(attempt.reports) else _NEVER_TRAINED


def _was_skipped(reports: Sequence[pytest.TestReport]) -> bool:
    """Return whether the test itself was skipped: a part of it, or what tears it down, may skip itself alone."""
    last = {report.when: report for report in reports}  # the test's own call comes after those of its parts
    told = last.get("call", last.get("setup"))
    return told is not None and told.skipped
