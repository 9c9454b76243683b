"""What a reader sees of a failed case, to the letter."""

import pytest

from pytest_batchguard.core.model import Check, Failure, FailureKind, Measurement, Verdict
from pytest_batchguard.report.failure import failure_text, headline
from tests.unit.samples import MIB, breakdown, judgement, measurement, pace_check, result, throughput

SLOW = pace_check(measured=3.0, accepted=2.0)
FINE = pace_check(Verdict.PASSED, measured=2.0, accepted=2.0)


def slow_result(**parts):
    slow = measurement(throughput=throughput(3.0, 533.0), breakdown=breakdown())
    return result(
        Verdict.REGRESSED,
        checks=(Check("finite_loss", 4, 4, Verdict.PASSED), SLOW),
        reason="pace 3 yardsticks, allowed is at most 2.2 yardsticks",
        **{"measurement": slow, **parts},
    )


def test_headline_is_verdict_and_reason_in_one_line():
    assert headline(slow_result()) == "regressed: pace 3 yardsticks, allowed is at most 2.2 yardsticks"


def test_whole_message_of_a_regression():
    attempts = (judgement(Verdict.REGRESSED, checks=(SLOW,)), judgement(Verdict.REGRESSED, checks=(SLOW,)))
    changes = ("parameters 1,200,000 → 2,400,000", "TensorFlow 2.20.0 → 2.21.0")
    text = failure_text(slow_result(attempts=attempts, changes=changes, notes=("the card is shared",)))
    assert text == (
        "regressed: pace 3 yardsticks, allowed is at most 2.2 yardsticks\n"
        "\n"
        "            measured      baseline      change  limit\n"
        "pace        3 yardsticks  2 yardsticks  +50 %   ≤ 2.2 yardsticks (+10 %)\n"
        "throughput  533 images/s  800 images/s  -33 %   judged by pace\n"
        "\n"
        "attempt 1: regressed, pace 3 yardsticks\n"
        "attempt 2: regressed, pace 3 yardsticks\n"
        "\n"
        "changed since the baseline: parameters 1,200,000 → 2,400,000\n"
        "changed since the baseline: TensorFlow 2.20.0 → 2.21.0\n"
        "\n"
        "a step takes 100 ms: pipeline alone 80 ms, model alone 50 ms\n"
        "\n"
        "note: the card is shared"
    )


def test_breach_without_a_known_change_says_so():
    assert "nothing that is recorded changed since the baseline" in failure_text(slow_result())


def test_breach_without_a_baseline_says_nothing_of_changes():
    assert "changed" not in failure_text(slow_result(baseline=None))


def test_table_shows_only_what_was_breached():
    heavy = Check("peak_memory", 200 * MIB, 105 * MIB, Verdict.REGRESSED, 100 * MIB, 0.05)
    text = failure_text(result(Verdict.REGRESSED, checks=(heavy, FINE), reason="peak memory 200 MiB"))
    assert "peak memory  200 MiB   100 MiB   +100 %  ≤ 105 MiB (+5 %)" in text
    assert "pace" not in text
    assert "throughput" not in text


def test_message_of_a_case_that_does_not_fit_has_no_table():
    failure = Failure(FailureKind.OOM, "out of memory: no room for a tensor of shape [32, 9, 9, 64], float")
    failed = Measurement(32, measurement().image_size, failure=failure)
    text = failure_text(result(Verdict.DOES_NOT_FIT, reason=failure.message, measurement=failed))
    assert text == "does-not-fit: out of memory: no room for a tensor of shape [32, 9, 9, 64], float"


def test_message_of_a_case_without_baseline_in_strict_mode_is_its_reason():
    text = failure_text(result(Verdict.NO_BASELINE, reason="nothing was compared", baseline=None))
    assert text == "no-baseline: nothing was compared"


def test_last_words_of_a_dead_process_are_shown_and_only_the_last():
    output = "\n".join(f"line {number}" for number in range(100))
    text = failure_text(result(Verdict.BROKEN, reason="its process died by SIGSEGV", output=output + "\n\n"))
    assert text.splitlines()[2] == "the process's last words:"
    assert text.splitlines()[3:] == [f"  line {number}" for number in range(92, 100)]


@pytest.mark.parametrize("width", [80, 100])
def test_every_line_keeps_the_width(width):
    text = failure_text(
        slow_result(
            attempts=(judgement(Verdict.REGRESSED, checks=(SLOW, SLOW, SLOW, SLOW)),) * 3,
            changes=("batch " + "float32[32, 180, 180, 3] " * 9,),
            notes=("input-bound: " + "word " * 50, "x" * 300),
            output="long " * 100,
        ),
        width,
    )
    assert max(map(len, text.splitlines())) <= width


def test_message_is_short():
    text = failure_text(slow_result(attempts=(judgement(Verdict.REGRESSED, checks=(SLOW,)),) * 3, output="a\n" * 900))
    assert len(text.splitlines()) < 25


def test_limit_that_no_baseline_has_a_part_in_says_nothing_of_changes():
    limit = Check("min_throughput", 100.0, 200.0, Verdict.REGRESSED)
    slow = result(Verdict.REGRESSED, checks=(limit,), reason="slow", measurement=measurement())
    assert "changed since the baseline" not in failure_text(slow)
