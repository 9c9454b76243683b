import dataclasses

import pytest

from pytest_batchguard.core import model
from pytest_batchguard.core.figures import Breakdown
from pytest_batchguard.core.model import Case, ImageSize, Verdict
from tests.unit.samples import CPU, GPU, full_baseline, judgement, measurement, memory, pace_check, result

FAILING = {Verdict.REGRESSED, Verdict.DOES_NOT_FIT, Verdict.UNHEALTHY, Verdict.BROKEN}


def test_case_id_comes_from_the_declared_sizes_alone():
    assert Case(32, ImageSize(180, 320)).id == "b32-180x320"


def test_words_for_the_verdicts_are_those_of_the_design():
    assert [verdict.value for verdict in Verdict] == [
        "passed",
        "regressed",
        "does-not-fit",
        "unhealthy",
        "no-baseline",
        "inconclusive",
        "broken",
    ]


@pytest.mark.parametrize("verdict", Verdict)
def test_verdict_fails_only_where_something_is_known_to_be_wrong(verdict):
    assert verdict.fails is (verdict in FAILING)
    assert result(verdict).fails(strict=False) is (verdict in FAILING)


@pytest.mark.parametrize("verdict", Verdict)
def test_strict_mode_fails_all_but_a_pass(verdict):
    assert result(verdict).fails(strict=True) is (verdict is not Verdict.PASSED)


def test_case_without_baseline_that_is_being_recorded_does_not_fail_in_strict_mode():
    assert not result(Verdict.NO_BASELINE, recorded=full_baseline()).fails(strict=True)


def test_device_with_an_index_is_a_gpu():
    assert GPU.is_gpu
    assert not CPU.is_gpu
    assert dataclasses.replace(CPU, index=0).is_gpu


def test_share_of_waiting_is_what_the_model_alone_would_save():
    assert Breakdown(0.06, 0.08).waiting_share == pytest.approx(0.25)


def test_share_of_waiting_is_never_negative():
    assert Breakdown(0.09, 0.08).waiting_share == 0


def test_share_of_waiting_is_no_more_than_the_pipeline_takes_for_the_rest_is_the_callbacks():
    slow_callback = Breakdown(0.06, 0.08, 0.004)
    assert slow_callback.waiting_share == pytest.approx(0.05)
    assert slow_callback.model_share == pytest.approx(0.75)


@pytest.mark.parametrize(("model", "share"), [(0.02, 0.25), (0.09, 1.0)])
def test_share_of_the_model_is_at_most_the_whole(model, share):
    assert Breakdown(model, 0.08, 0.07).model_share == share


def test_memory_of_another_pass_comes_with_its_notes_each_once():
    other = measurement(memory=memory(7), notes=("its", "both"))
    joined = measurement(memory=None, notes=("both", "mine")).with_memory_of(other)
    assert (joined.memory.peak_bytes, joined.notes) == (7, ("its", "both", "mine"))


def test_breaches_are_the_checks_that_did_not_pass():
    slow, fine = pace_check(), pace_check(Verdict.PASSED)
    unsure = pace_check(Verdict.INCONCLUSIVE)
    assert judgement(Verdict.REGRESSED, checks=(fine, slow, unsure)).breaches == (slow, unsure)


def test_every_word_of_the_model_is_frozen():
    words = [word for word in vars(model).values() if dataclasses.is_dataclass(word)]
    assert len(words) > 10
    assert all(word.__dataclass_params__.frozen for word in words)
