"""One case from measuring to verdict: as many attempts as it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from pytest_batchguard.core import judge as judging
from pytest_batchguard.core.model import Baseline, CaseResult, Failure, FailureKind, Judgement, Measurement, Verdict
from pytest_batchguard.plugin.conversation import Attempt
from pytest_batchguard.plugin.policy import Policy
from pytest_batchguard.plugin.provenance import ProvenanceStamp
from pytest_batchguard.plugin.recording import Guarded, Recording
from pytest_batchguard.plugin.reports import has_failed

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

    def guard(self, item: pytest.Item, policy: Policy, measure: Measure) -> Guarded:
        """Measure, judge, and measure again where the first answer is not enough."""
        baseline = self.accepted.get(item.nodeid)
        if self.records(baseline):
            return self._record(item, policy, measure, baseline)
        return self._judge(item, policy, measure, baseline)

    def _judge(self, item: pytest.Item, policy: Policy, measure: Measure, baseline: Baseline | None) -> Guarded:
        attempts: list[Attempt] = []
        judgements: list[Judgement] = []
        while not judgements or judging.wants_another_attempt(judgements):
            attempt = self._attempt(measure, policy)
            if attempt.measurement is None:
                return Guarded(attempt, None)
            attempts.append(attempt)
            judgement = judging.judge(attempt.measurement, attempt.base or baseline, policy.limits)
            judgements.append(_with_reason(judgement, attempt.base_problem))
        judgement = judging.conclude(judgements)
        # The one that the conclusion speaks of: the same checks, maybe another verdict.
        attempt = next(a for a, judged in zip(attempts, judgements, strict=True) if judged.checks == judgement.checks)
        result = CaseResult(
            node_id=item.nodeid,
            judgement=judgement,
            limits=policy.limits,
            measurement=attempt.measurement,
            baseline=attempt.base or baseline,
            attempts=tuple(judgements),
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
    if attempt.measurement is not None or any(report.skipped for report in attempt.reports):
        return ""
    if not attempt.reports:
        last_words = attempt.output.strip().splitlines()
        return f"its process did not find the test: {last_words[-1] if last_words else 'it collected nothing'}"
    return _NEVER_TRAINED
