"""One case from measuring to baseline: several fresh processes, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pytest_batchguard.core import judge as judging
from pytest_batchguard.core import repeats
from pytest_batchguard.core.attempts import is_noisy_alarm, taken_together
from pytest_batchguard.core.model import Baseline, CaseResult, Judgement, Limits, Measurement, Verdict
from pytest_batchguard.plugin.conversation import Attempt


@dataclass(frozen=True)
class Guarded:
    """What came of one case.

    Attributes:
        attempt: The one whose reports stand.
        result: `None` where the test skipped itself, or was never reached.
    """

    attempt: Attempt
    result: CaseResult | None


@dataclass
class Recording:
    """Takes measurements until there are enough to accept; what does not change by trying ends it at once.

    A limit on a figure that varies, such as `min_throughput`, is kept or breached by all of them together.

    Attributes:
        node_id: Of the case.
        limits: The policy.
        baseline: What is stored so far; for showing, nothing is held against it.
        repeat_count: Measurements to take.
        guarded: What came of it; `None` while there are more to take.
    """

    node_id: str
    limits: Limits
    baseline: Baseline | None
    repeat_count: int
    guarded: Guarded | None = None
    _measurements: list[Measurement] = field(default_factory=list)

    def add(self, attempt: Attempt) -> None:
        """Take one attempt."""
        if attempt.measurement is None:
            self.guarded = Guarded(attempt, None)
            return
        judgement = judging.judge(attempt.measurement, None, self.limits)
        result = CaseResult(
            node_id=self.node_id,
            judgement=judgement,
            limits=self.limits,
            measurement=attempt.measurement,
            baseline=self.baseline,
            output=attempt.output,
        )
        self._measurements.append(attempt.measurement)
        losses = [measurement.loss for measurement in self._measurements]
        if judgement.verdict is not Verdict.NO_BASELINE and not is_noisy_alarm(judgement, losses):
            self.guarded = Guarded(attempt, result)
            return
        if len(self._measurements) == self.repeat_count:
            self.guarded = Guarded(attempt, self._accepted(result))

    def _accepted(self, result: CaseResult) -> CaseResult:
        _, together = taken_together(self._measurements)
        judgement = judging.judge(together, None, self.limits)
        if judgement.verdict is not Verdict.NO_BASELINE:
            return replace(result, judgement=judgement, measurement=together)
        reason = repeats.disagreement(self._measurements, self.limits)
        if reason:
            apart = f"not recorded, its {len(self._measurements)} processes disagree: {reason}"
            return replace(result, judgement=Judgement(Verdict.BROKEN, reason=apart))
        passed = replace(judgement, verdict=Verdict.PASSED, reason="")
        return replace(result, judgement=passed, recorded=repeats.combine(self._measurements))
