import pytest

from pytest_batchguard.core.model import Check, Failure, FailureKind, Limits, Measurement, Verdict
from pytest_batchguard.report import rows
from tests.unit.samples import (
    MIB,
    NODE_ID,
    baseline,
    breakdown,
    full_baseline,
    judgement,
    loss,
    measurement,
    memory,
    pace_check,
    result,
    throughput,
)


def row_of(given):
    return rows.summary_row(given, rows.short_name(given.node_id))


@pytest.mark.parametrize(
    ("node_id", "name"),
    [
        (NODE_ID, "test_classifier_trains[b32-180x180]"),
        ("a/test_b.py::TestGroup::test_c[b1-8x8]", "test_c[b1-8x8]"),
        ("a/test_b.py::test_c", "test_c"),
        ("a/test_b.py::test_c[b1-8x8-x::y]", "test_c[b1-8x8-x::y]"),
        ("a/test_b.py::TestGroup::test_c[b1-8x8-[x::y]]", "test_c[b1-8x8-[x::y]]"),
    ],
)
def test_short_name_is_the_test_with_its_case(node_id, name):
    assert rows.short_name(node_id) == name


# The summary


def test_summary_row_has_a_cell_for_every_column():
    row = row_of(result())
    assert len(row.cells) == len(rows.SUMMARY_HEAD)
    assert row.cells == ("test_classifier_trains[b32-180x180]", "passed", "100 MiB", "800", "4.00 → 1.00")
    assert (row.case, row.verdict) == (NODE_ID, Verdict.PASSED)


def test_summary_row_shows_the_budget_where_there_is_one():
    assert row_of(result(limits=Limits(memory_budget=2**30))).cells[2] == "100 MiB of 1 GiB"


def test_summary_row_shows_how_much_slower_by_pace():
    checks = (pace_check(measured=4.0, accepted=2.0),)
    assert row_of(result(Verdict.REGRESSED, checks=checks)).cells[3] == "800 (-50 %)"


def test_summary_row_shows_how_much_faster_by_pace():
    checks = (pace_check(Verdict.PASSED, measured=2.0, accepted=4.0),)
    assert row_of(result(checks=checks)).cells[3] == "800 (+100 %)"


def test_summary_row_of_a_recorded_case_says_so():
    assert row_of(result(recorded=full_baseline())).cells[1] == "recorded"


@pytest.mark.parametrize("verdict", Verdict)
def test_summary_row_names_the_verdict_as_the_design_does(verdict):
    assert row_of(result(verdict)).cells[1] == verdict.value


@pytest.mark.parametrize(
    "given", [None, Measurement(32, measurement().image_size, failure=Failure(FailureKind.OOM, ""))]
)
def test_what_was_not_measured_is_a_dash_and_never_zero(given):
    assert row_of(result(Verdict.BROKEN, measurement=given)).cells[2:] == ("–", "–", "–")


def test_loss_that_is_not_finite_is_shown_by_name():
    exploded = result(Verdict.UNHEALTHY, measurement=measurement(loss=loss((2.0, float("nan")))))
    assert row_of(exploded).cells[4] == "2.00 → nan"


# The checks


def test_check_against_a_baseline_shows_change_and_tolerance():
    assert rows.check_rows([pace_check(measured=3.0, accepted=2.0)]) == [
        ("pace", "3 yardsticks", "2 yardsticks", "+50 %", "≤ 2.2 yardsticks (+10 %)")
    ]


def test_check_whose_quantity_should_be_high_has_its_limit_below():
    check = Check("loss_decrease", 0.2, 0.35, Verdict.REGRESSED, 0.5, 0.3)
    assert rows.check_rows([check]) == [("loss decrease", "20 %", "50 %", "-60 %", "≥ 35 % (−30 %)")]


def test_check_against_a_limit_of_the_project_has_no_baseline():
    check = Check("max_memory", 200 * MIB, 100 * MIB, Verdict.REGRESSED)
    assert rows.check_rows([check]) == [("peak memory", "200 MiB", "–", "–", "≤ 100 MiB")]


def test_limit_that_was_just_reached_and_not_allowed_reads_so():
    check = Check("min_loss_decrease", 0.0, 0.0, Verdict.UNHEALTHY)
    assert rows.check_rows([check])[0][4] == "> 0 %"


@pytest.mark.parametrize("accepted", [0.0, -0.05])
def test_check_against_a_baseline_of_nothing_or_less_has_no_change(accepted):
    check = Check("loss_decrease", -0.1, accepted, Verdict.REGRESSED, accepted, 0.3)
    assert rows.check_rows([check])[0][3] == "–"


def test_row_has_a_cell_for_every_column():
    assert {len(row) for row in rows.check_rows([pace_check(), Check("budget", 2, 1, Verdict.DOES_NOT_FIT)])} == {
        len(rows.CHECK_HEAD)
    }


def test_throughput_stands_beside_the_baselines_as_a_bridge_to_the_pace():
    slower = result(measurement=measurement(throughput=throughput(2.0, 600.0)))
    assert rows.throughput_row(slower) == ("throughput", "600 images/s", "800 images/s", "-25 %", "judged by pace")


@pytest.mark.parametrize("accepted", [None, baseline(throughput=None)])
def test_throughput_without_a_baseline_stands_alone(accepted):
    assert rows.throughput_row(result(baseline=accepted)) == ("throughput", "800 images/s", "–", "–", "–")


@pytest.mark.parametrize("given", [None, measurement(throughput=None)])
def test_throughput_that_was_not_measured_has_no_row(given):
    assert rows.throughput_row(result(measurement=given)) is None


def test_speed_without_a_check_of_the_pace_has_no_change():
    assert rows.speed_change(result(checks=(Check("max_memory", 1, 2, Verdict.PASSED),))) == ""


# Time, attempts, updates


def test_time_of_a_step_is_told_apart():
    timed = result(measurement=measurement(breakdown=breakdown(0.05, 0.1, 0.08)))
    assert rows.time_line(timed) == "a step takes 100 ms: pipeline alone 80 ms, model alone 50 ms"


def test_time_of_a_pipeline_that_was_not_measured_is_left_out():
    timed = result(measurement=measurement(breakdown=breakdown(0.05, 0.1, None)))
    assert rows.time_line(timed) == "a step takes 100 ms: model alone 50 ms"


@pytest.mark.parametrize("given", [None, measurement()])
def test_time_that_was_not_told_apart_has_no_line(given):
    assert rows.time_line(result(measurement=given)) == ""


def test_every_attempt_is_shown():
    memory_check = Check("peak_memory", 200 * MIB, 105 * MIB, Verdict.REGRESSED, 100 * MIB, 0.05)
    attempts = (
        judgement(Verdict.REGRESSED, checks=(memory_check, pace_check(measured=3.0))),
        judgement(Verdict.PASSED, checks=(pace_check(Verdict.PASSED, measured=2.0),)),
    )
    assert rows.attempt_lines(result(attempts=attempts)) == [
        "attempt 1: regressed, peak memory 200 MiB, pace 3 yardsticks",
        "attempt 2: passed, pace 2 yardsticks",
    ]


def test_attempt_that_broke_is_shown_by_its_verdict_alone():
    attempts = (judgement(Verdict.REGRESSED, checks=(pace_check(),)), judgement(Verdict.BROKEN, reason="it died"))
    assert rows.attempt_lines(result(attempts=attempts))[1].rstrip() == "attempt 2: broken"


def test_attempt_shows_the_figure_whose_limit_it_broke():
    check = Check("min_throughput", 700.0, 800.0, Verdict.REGRESSED)
    attempts = (judgement(Verdict.REGRESSED, checks=(check,)),) * 2
    assert rows.attempt_lines(result(attempts=attempts))[0] == "attempt 1: regressed, throughput 700 images/s"


@pytest.mark.parametrize(("verdict", "shown"), [(Verdict.PASSED, ""), (Verdict.REGRESSED, ", loss decrease 10 %")])
def test_attempts_show_the_loss_only_where_one_breached_its_limit(verdict, shown):
    good, other = (Check("loss_decrease", 0.1, 0.05, each, 0.1, 0.3) for each in (Verdict.PASSED, verdict))
    attempts = (judgement(verdict, checks=(other,)), judgement(Verdict.PASSED, checks=(good,)))
    assert rows.attempt_lines(result(attempts=attempts))[1] == f"attempt 2: passed{shown}"


def test_single_attempt_is_the_figure_itself():
    assert rows.attempt_lines(result(attempts=(judgement(),))) == []


def test_update_shows_old_and_new():
    new = baseline(memory=memory(200 * MIB), throughput=throughput(1.0, 900.0), loss=loss((2.0, 1.0)))
    assert rows.update_row(rows.short_name(NODE_ID), baseline(), new) == (
        "test_classifier_trains[b32-180x180]",
        "100 MiB → 200 MiB",
        "800 → 900",
        "75 % → 50 %",
    )


def test_update_of_a_new_case_shows_the_new_alone():
    assert rows.update_row(rows.short_name(NODE_ID), None, baseline())[1:] == ("100 MiB", "800", "75 %")


def test_update_shows_a_dash_for_what_is_not_there():
    nothing = baseline(memory=None, throughput=None, loss=None)
    assert rows.update_row(rows.short_name(NODE_ID), baseline(), nothing)[1:] == ("100 MiB → –", "800 → –", "75 % → –")
