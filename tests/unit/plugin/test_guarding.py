"""One case from measuring to verdict, its processes being plain functions here."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_batchguard.core.model import (
    Case,
    Failure,
    FailureKind,
    ImageSize,
    Limits,
    Provenance,
    Verdict,
)
from pytest_batchguard.core.noise import MOST_ATTEMPTS
from pytest_batchguard.measure import yardstick
from pytest_batchguard.plugin.guarding import CaseGuarding
from pytest_batchguard.plugin.policy import Policy
from pytest_batchguard.plugin.runner import Attempt
from tests.unit.samples import NODE_ID, baseline, loss, measurement, memory, throughput

ITEM = SimpleNamespace(nodeid=NODE_ID)
POLICY = Policy(Case(32, ImageSize(180, 180)), Limits(), steps=20, warmup=5, seed=0, timeout_seconds=60.0)
FINE = measurement()
SLOW = measurement(throughput=throughput(3.0))
CLUELESS = measurement(throughput=throughput(2.3, pace_low=1.2, pace_high=4.4))
FORGETFUL = measurement(loss=loss((4.0, 3.9)))


class Stamp:
    """Stands for the provenance that the parent knows."""

    def complete(self, provenance):
        return replace(provenance, commit="abc")


class Processes:
    """Measures what it is told to, one after another, and counts."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.count = 0

    def __call__(self):
        self.count += 1
        outcome = self.outcomes.pop(0)
        return outcome if isinstance(outcome, Attempt) else Attempt([report(), ENDED], outcome)


def report(outcome="passed", when="call"):
    return SimpleNamespace(failed=outcome == "failed", skipped=outcome == "skipped", when=when, longrepr=None)


ENDED = report(when="teardown")


def guard(processes, accepted=None, *, records=False, repeat_count=3, limits=None):
    guarding = CaseGuarding({NODE_ID: accepted} if accepted else {}, Stamp(), lambda _: records, repeat_count)
    return guarding.guard(ITEM, replace(POLICY, limits=limits or Limits()), processes)


# Judging


def test_good_pace_is_that_of_the_baseline_and_none_where_it_is_recorded_or_there_is_no_baseline():
    accepted = baseline(throughput=throughput(2.0, yardstick=yardstick.VERSION))
    limits = Limits(throughput_tolerance=0.125)

    def good(known, *, records=False):
        return CaseGuarding(known, Stamp(), lambda _: records, 3).good_pace(NODE_ID, limits)

    assert (good({NODE_ID: accepted}), good({}), good({NODE_ID: accepted}, records=True)) == (2.125, math.inf, 0.0)


def test_case_like_its_baseline_is_measured_once_and_passes():
    processes = Processes(FINE)
    result = guard(processes, baseline()).result
    assert (result.judgement.verdict, processes.count) == (Verdict.PASSED, 1)
    assert (result.node_id, result.baseline, result.limits) == (NODE_ID, baseline(), Limits())
    assert result.recorded is None


def test_case_without_baseline_is_measured_once_and_recorded_by_nobody():
    processes = Processes(FINE)
    result = guard(processes).result
    assert (result.judgement.verdict, result.recorded, processes.count) == (Verdict.NO_BASELINE, None, 1)


def test_alarm_is_measured_again_and_cleared_where_all_attempts_together_are_good():
    near = measurement(throughput=throughput(2.3))
    processes = Processes(near, FINE, FINE)
    result = guard(processes, baseline()).result
    assert (result.judgement.verdict, processes.count) == (Verdict.PASSED, 3)
    assert [attempt.verdict for attempt in result.attempts] == [Verdict.REGRESSED, Verdict.PASSED, Verdict.PASSED]
    assert result.measurement.throughput.runs == (2.3, 2.0, 2.0)


def test_alarm_that_is_confirmed_has_regressed():
    processes = Processes(SLOW, SLOW)
    result = guard(processes, baseline()).result
    assert (result.judgement.verdict, processes.count) == (Verdict.REGRESSED, 2)


def test_alarm_that_stays_in_doubt_is_measured_as_often_as_may_be():
    processes = Processes(*[CLUELESS] * MOST_ATTEMPTS)
    result = guard(processes, baseline()).result
    assert (result.judgement.verdict, processes.count) == (Verdict.INCONCLUSIVE, MOST_ATTEMPTS)
    assert len(result.attempts) == MOST_ATTEMPTS


def test_alarm_stands_where_the_case_skips_itself_when_it_is_measured_again():
    processes = Processes(SLOW, Attempt([report("skipped", "setup"), ENDED]))
    guarded = guard(processes, baseline())
    assert (guarded.result.judgement.verdict, processes.count) == (Verdict.REGRESSED, 2)
    assert guarded.result.measurement == replace(SLOW, provenance=guarded.result.measurement.provenance)


def test_alarm_stands_where_the_base_fails_when_it_is_measured_again():
    lonely = Attempt([report(), ENDED], FINE, base_problem="broken base: gone")
    first = Attempt([report(), ENDED], SLOW, base=baseline())
    result = guard(Processes(first, lonely)).result
    assert (result.judgement.verdict, len(result.attempts)) == (Verdict.REGRESSED, 1)


def test_loss_that_is_the_same_again_is_not_measured_once_more():
    processes = Processes(FORGETFUL, FORGETFUL)
    result = guard(processes, baseline()).result
    assert (result.judgement.verdict, processes.count) == (Verdict.REGRESSED, 2)


def test_attempt_shown_is_the_one_nearest_to_the_verdict():
    paces = {"one": 2.3, "two": 2.26, "three": 2.22}
    attempts = [
        Attempt([report(), ENDED], measurement(throughput=throughput(pace)), output=name)
        for name, pace in paces.items()
    ]
    guarded = guard(Processes(*attempts), baseline())
    assert guarded.result.measurement.throughput.pace == pytest.approx((2.3 * 2.26 * 2.22) ** (1 / 3))
    assert (guarded.result.output, guarded.attempt.output) == ("two", "two")


def test_mix_is_that_of_the_baseline_and_one_where_it_is_recorded_or_there_is_no_baseline():
    accepted = baseline(throughput=throughput(2.0, mix=0.25))

    def mix(known, *, records=False):
        return CaseGuarding(known, Stamp(), lambda _: records, 3).mix(NODE_ID)

    assert (mix({NODE_ID: accepted}), mix({}), mix({NODE_ID: accepted}, records=True)) == (0.25, 1.0, 1.0)
    assert mix({NODE_ID: baseline(throughput=None)}) == 1.0


def test_provenance_is_completed():
    completed = guard(Processes(measurement(provenance=Provenance(keras="3")))).result.measurement.provenance
    assert completed == Provenance(keras="3", commit="abc")


def test_process_that_failed_for_memory_does_not_fit_and_is_not_tried_again():
    processes = Processes(measurement(failure=Failure(FailureKind.OOM, "no room")))
    result = guard(processes, baseline()).result
    assert (result.judgement.verdict, processes.count) == (Verdict.DOES_NOT_FIT, 1)


# Guards that are at fault themselves


def broken_reason(attempt):
    result = guard(Processes(attempt), baseline()).result
    assert result.judgement.verdict is Verdict.BROKEN
    return result.judgement.reason


def test_guard_that_never_trains_is_broken():
    assert broken_reason(Attempt([report(when="setup"), report(), ENDED])).startswith("the guard never trained: call")


@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
@pytest.mark.parametrize("measured", [None, FINE])
def test_test_that_fails_is_broken_whatever_was_measured(when, measured):
    assert (
        broken_reason(Attempt([report(), report("failed", when), ENDED], measured))
        == f"the test itself failed in {when}"
    )


def test_process_that_did_not_find_the_test_is_broken_with_its_last_words():
    assert (
        broken_reason(Attempt(output="…\nImportError: no\n")) == "its process did not come to the test: ImportError: no"
    )
    assert broken_reason(Attempt()) == "its process did not come to the test: it collected nothing"


@pytest.mark.parametrize("measured", [None, FINE])
def test_session_that_broke_off_is_broken(measured):
    reason = broken_reason(Attempt([report(when="setup")], measured, output="INTERNALERROR> AttributeError: no writer"))
    assert reason == "its session broke off within the test: INTERNALERROR> AttributeError: no writer"


@pytest.mark.parametrize("parts", [[report("skipped"), report()], [report(), report("skipped", "teardown")]])
def test_guard_of_which_only_a_part_was_skipped_never_trained(parts):
    assert broken_reason(Attempt([report(when="setup"), *parts, ENDED])).startswith("the guard never trained")


def test_failure_that_was_sent_says_more_than_the_report():
    failed = measurement(failure=Failure(FailureKind.ERROR, "the data has no batch"))
    assert broken_reason(Attempt([report("failed"), ENDED], failed)) == "the data has no batch"


def test_test_that_skips_itself_is_no_case():
    guarded = guard(Processes(Attempt([report("skipped", "setup"), ENDED])), baseline())
    assert guarded.result is None
    assert guarded.attempt.reports[0].skipped


# Recording


def test_recorded_case_is_measured_in_several_processes():
    processes = Processes(*(measurement(memory=memory(peak)) for peak in (1000, 1010, 1020)))
    result = guard(processes, records=True).result
    assert (result.judgement.verdict, result.judgement.reason, processes.count) == (Verdict.PASSED, "", 3)
    assert result.recorded.memory.peak_bytes == 1010
    assert result.recorded.recorded_with.commit == "abc"


def test_recorded_case_is_measured_as_often_as_asked():
    processes = Processes(FINE)
    assert guard(processes, records=True, repeat_count=1).result.recorded is not None
    assert processes.count == 1


def test_recording_is_not_held_against_the_old_baseline_which_is_kept_for_showing():
    old = baseline(throughput=throughput(0.1))
    result = guard(Processes(FINE, FINE, FINE), old, records=True).result
    assert (result.judgement.verdict, result.baseline) == (Verdict.PASSED, old)
    assert result.recorded.throughput.pace == 2.0


def test_values_that_disagree_are_not_recorded():
    processes = Processes(*(measurement(memory=memory(peak)) for peak in (1000, 1010, 2000)))
    result = guard(processes, records=True).result
    assert (result.judgement.verdict, result.recorded) == (Verdict.BROKEN, None)
    assert result.judgement.reason.startswith("not recorded, its 3 processes disagree: peak memory")


@pytest.mark.parametrize(
    ("bad", "limits", "verdict"),
    [
        (measurement(loss=loss((1.0, math.nan))), Limits(), Verdict.UNHEALTHY),
        (measurement(failure=Failure(FailureKind.OOM, "no room")), Limits(), Verdict.DOES_NOT_FIT),
        (Attempt([report("failed"), ENDED], FINE), Limits(), Verdict.BROKEN),
    ],
)
def test_what_is_not_healthy_is_not_recorded_and_not_measured_on(bad, limits, verdict):
    processes = Processes(bad, FINE, FINE)
    result = guard(processes, records=True, limits=limits).result
    assert (result.judgement.verdict, result.recorded, processes.count) == (verdict, None, 1)


def test_limit_that_most_processes_keep_is_kept():
    slow = measurement(throughput=throughput(2.0, images_per_second=90.0))
    result = guard(Processes(FINE, slow, FINE), records=True, limits=Limits(min_throughput=95.0)).result
    assert (result.judgement.verdict, result.recorded is None) == (Verdict.PASSED, False)


def test_limit_that_most_processes_breach_is_breached():
    slow = measurement(throughput=throughput(2.0, images_per_second=90.0))
    processes = Processes(slow, FINE, slow)
    result = guard(processes, records=True, limits=Limits(min_throughput=95.0)).result
    assert (result.judgement.verdict, result.recorded, processes.count) == (Verdict.REGRESSED, None, 3)
    assert result.measurement.throughput.images_per_second == 90.0


def test_test_that_skips_itself_is_not_recorded():
    processes = Processes(Attempt([report("skipped", "setup"), ENDED]), FINE, FINE)
    assert guard(processes, records=True).result is None
    assert processes.count == 1


def test_unhealthy_repeat_is_not_recorded_although_the_first_was_healthy():
    processes = Processes(FINE, measurement(loss=loss((1.0, math.nan))), FINE)
    result = guard(processes, records=True).result
    assert (result.judgement.verdict, result.recorded, processes.count) == (Verdict.UNHEALTHY, None, 2)


def test_loss_that_rises_in_the_same_way_again_is_not_measured_on():
    rising = measurement(loss=loss((1.0, 2.0)))
    processes = Processes(rising, rising, rising)
    result = guard(processes, records=True).result
    assert (result.judgement.verdict, result.recorded, processes.count) == (Verdict.UNHEALTHY, None, 2)


def test_loss_that_rises_in_most_processes_is_not_recorded():
    rising, more = measurement(loss=loss((1.0, 1.01))), measurement(loss=loss((1.0, 1.02)))
    processes = Processes(rising, FINE, more)
    result = guard(processes, records=True).result
    assert (result.judgement.verdict, result.recorded, processes.count) == (Verdict.UNHEALTHY, None, 3)


def test_recorded_case_may_be_measured_ahead_of_its_turn():
    guarding = CaseGuarding({}, Stamp(), lambda _: True, repeat_count=3)
    processes = Processes(*(measurement(memory=memory(peak)) for peak in (1000, 1010, 1020)))
    guarding.measure_ahead(ITEM, POLICY, processes)
    guarding.measure_ahead(ITEM, POLICY, processes)
    assert processes.count == 2
    result = guarding.guard(ITEM, POLICY, processes).result
    assert (processes.count, result.recorded.memory.peak_bytes) == (3, 1010)


def test_case_that_failed_ahead_of_its_turn_is_not_measured_on():
    guarding = CaseGuarding({}, Stamp(), lambda _: True, repeat_count=3)
    processes = Processes(measurement(loss=loss((1.0, math.nan))), FINE, FINE)
    guarding.measure_ahead(ITEM, POLICY, processes)
    guarding.measure_ahead(ITEM, POLICY, processes)
    result = guarding.guard(ITEM, POLICY, processes).result
    assert (result.judgement.verdict, processes.count) == (Verdict.UNHEALTHY, 1)


def test_case_that_is_not_recorded_is_not_measured_ahead():
    guarding = CaseGuarding({}, Stamp(), lambda _: False, repeat_count=3)
    processes = Processes()
    guarding.measure_ahead(ITEM, POLICY, processes)
    assert processes.count == 0
