"""What a reader sees at the end of a run."""

import pytest

from pytest_batchguard.core.model import Limits, Verdict
from pytest_batchguard.core.noise import tolerated
from pytest_batchguard.core.units import format_percent
from pytest_batchguard.report.terminal import (
    memory_tolerance_lines,
    summary_lines,
    tolerance_lines,
    update_lines,
    without_base_lines,
    without_baseline_lines,
)
from tests.unit.samples import MIB, NODE_ID, baseline, full_baseline, judgement, memory, pace_check, result, throughput

OTHER = "tests/test_training_guard.py::test_classifier_trains[b64-180x180]"
FILE = "batchguard-baselines/nvidia-h200.yaml"


def test_table_has_a_line_for_every_case():
    slow = result(Verdict.REGRESSED, OTHER, checks=(pace_check(measured=4.0),), limits=Limits(memory_budget=150 * MIB))
    assert summary_lines([result(), slow], 100) == [
        "case                                 verdict    peak memory         images/s     loss",
        "test_classifier_trains[b32-180x180]  passed     100 MiB             800          4.00 → 1.00",
        "test_classifier_trains[b64-180x180]  regressed  100 MiB of 150 MiB  800 (-50 %)  4.00 → 1.00",
    ]


def test_cases_of_one_name_are_told_apart():
    namesake = NODE_ID.replace("tests/", "more_tests/")
    lines = summary_lines([result(), result(Verdict.PASSED, namesake), result(Verdict.PASSED, OTHER)], 120)
    assert [line.split("  ")[0] for line in lines[1:]] == [NODE_ID, namesake, "test_classifier_trains[b64-180x180]"]


def test_table_that_is_too_wide_puts_the_case_on_a_line_of_its_own():
    lines = summary_lines([result()], 60)
    assert lines == [
        "  verdict  peak memory  images/s  loss",
        "test_classifier_trains[b32-180x180]",
        "  passed   100 MiB      800       4.00 → 1.00",
    ]


def test_notes_of_a_case_that_passed_stand_under_the_table():
    improved = result(notes=("improved: pace is 25 % better than the baseline, which is stale",))
    assert summary_lines([improved], 100)[2:] == [
        "test_classifier_trains[b32-180x180]:",
        "  improved: pace is 25 % better than the baseline, which is stale",
    ]


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict.fails])
def test_case_that_failed_has_its_line_and_no_notes_since_its_failure_shows_them(verdict):
    assert len(summary_lines([result(verdict, notes=("a note",), attempts=(judgement(), judgement()))], 100)) == 2


def test_inconclusive_case_is_loud():
    unsure = result(
        Verdict.INCONCLUSIVE, notes=("a note",), reason="pace 2.3 yardsticks, allowed is at most 2.2 yardsticks"
    )
    assert summary_lines([unsure], 100)[3] == ("  INCONCLUSIVE: pace 2.3 yardsticks, allowed is at most 2.2 yardsticks")


def test_alarm_that_was_refuted_shows_every_attempt():
    attempts = (judgement(Verdict.REGRESSED, checks=(pace_check(),)), judgement(checks=(pace_check(Verdict.PASSED),)))
    assert summary_lines([result(attempts=attempts)], 100)[3:] == [
        "  attempt 1: regressed, pace 3 yardsticks",
        "  attempt 2: passed, pace 3 yardsticks",
    ]


def test_every_line_keeps_eighty_columns():
    limits = Limits(memory_budget=150 * MIB)
    results = [
        result(checks=(pace_check(),), notes=("word " * 60,), limits=limits),
        result(Verdict.INCONCLUSIVE, OTHER, reason="word " * 60, attempts=(judgement(checks=(pace_check(),) * 9),) * 3),
    ]
    lines = [*summary_lines(results, 80), *without_baseline_lines([result(Verdict.NO_BASELINE)], FILE)]
    lines += update_lines([(NODE_ID, full_baseline(), full_baseline())], [], FILE, 80)
    assert max(map(len, lines)) <= 80


# Nothing was compared


def test_run_whose_every_case_has_a_baseline_says_nothing_of_missing_ones():
    assert without_baseline_lines([result(), result(Verdict.REGRESSED)], FILE) == []


def test_missing_baseline_is_loud_and_names_file_and_command():
    lines = without_baseline_lines([result(Verdict.NO_BASELINE)], FILE)
    assert lines[0].startswith("NOTHING WAS COMPARED: 1 case was trained")
    assert FILE in "\n".join(lines)
    assert "pytest --batchguard-update-new" in "\n".join(lines)


def test_missing_baseline_of_one_case_among_others_is_told_as_that():
    lines = without_baseline_lines([result(), result(Verdict.NO_BASELINE)], FILE)
    assert lines[0].startswith("NOT COMPARED, 1 OF 2: 1 case was trained")


def test_missing_baselines_are_counted():
    lines = without_baseline_lines([result(Verdict.NO_BASELINE), result(Verdict.NO_BASELINE, OTHER)], FILE)
    assert lines[0].startswith("NOTHING WAS COMPARED: 2 cases were trained")


def test_case_that_was_just_recorded_is_not_missing():
    assert without_baseline_lines([result(Verdict.NO_BASELINE, recorded=full_baseline())], FILE) == []


# What an update wrote


def test_update_shows_the_file_and_old_to_new():
    lines = update_lines([(NODE_ID, baseline(), baseline(memory=memory(200 * MIB)))], [], FILE, 100)
    assert lines == [
        f"wrote {FILE}",
        "case                                 peak memory        images/s   loss decrease",
        "test_classifier_trains[b32-180x180]  100 MiB → 200 MiB  800 → 800  75 % → 75 %",
    ]


def test_update_names_what_it_dropped():
    assert update_lines([], [OTHER], FILE, 80)[-1] == f"dropped {OTHER}: no such case"


def test_update_that_only_dropped_names_the_file_too():
    assert f"wrote {FILE}" in update_lines([], [OTHER], FILE, 80)


def test_update_that_wrote_nothing_says_nothing():
    assert update_lines([], [], FILE, 80) == []


EVEN = (2.0, 2.02, 1.98)
UNEVEN = (1.5, 2.0, 2.7)
WIDER = format_percent(tolerated(0.1, throughput(runs=UNEVEN)))


def made_of(runs, node_id=NODE_ID, **parts):
    return result(node_id=node_id, baseline=baseline(throughput=throughput(runs=runs)), **parts)


def test_tolerance_that_was_asked_for_is_named_alone():
    assert tolerance_lines([made_of(EVEN), made_of((), OTHER)], 80) == ["throughput tolerance: 10 %"]


def test_tolerance_that_noise_widened_is_named_with_its_case():
    assert tolerance_lines([made_of(UNEVEN, OTHER), made_of(EVEN), made_of(EVEN)], 120) == [
        f"throughput tolerance: 10 %; test_classifier_trains[b64-180x180]: {WIDER}, for the noise of its baseline"
    ]
    assert WIDER != "10 %"


def test_tolerance_of_what_was_recorded_is_that_of_the_new_baseline():
    recorded = result(recorded=baseline(throughput=throughput(runs=UNEVEN)), baseline=None)
    (line,) = tolerance_lines([recorded], 100)
    assert line == f"throughput tolerance: {WIDER}, for the noise of its baseline"


def test_tolerance_of_what_is_not_compared_is_not_named():
    assert tolerance_lines([result(baseline=None), result(baseline=baseline(throughput=None))], 80) == []


def test_memory_tolerance_is_named_where_the_baselines_own_processes_differ_by_more():
    wide = result(node_id=OTHER, baseline=baseline(memory=memory(1000, spread=0.12)))
    narrow = result(baseline=baseline(memory=memory(1000, spread=0.01)))
    assert memory_tolerance_lines([narrow, wide, result(baseline=None)], 120) == [
        "memory tolerance: test_classifier_trains[b64-180x180]: 12 %, by which its baseline's processes differ"
    ]
    assert memory_tolerance_lines([narrow], 120) == []


def test_cases_without_a_base_stand_behind_their_reason_in_lines_that_fit():
    reason = "nothing was compared: broken base: main: its model is not compiled"
    broken = [result(Verdict.NO_BASELINE, node_id, reason=reason) for node_id in (NODE_ID, OTHER)]
    lines = without_base_lines([result(), *broken], ["tests/test_x.py::test_gone[b4-8x8]"], 60)
    assert " ".join(" ".join(lines).split()) == (
        "NOT COMPARED: broken base: main: its model is not compiled: test_classifier_trains[b32-180x180], "
        "test_classifier_trains[b64-180x180] NOT COMPARED: only the base has: tests/test_x.py::test_gone[b4-8x8]"
    )
    assert max(map(len, lines)) <= 60


def test_comparison_of_everything_is_not_mentioned():
    assert without_base_lines([result()], [], 80) == []
