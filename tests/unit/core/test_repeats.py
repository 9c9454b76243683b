import pytest

from pytest_batchguard.core import repeats
from pytest_batchguard.core.figures import Breakdown, LossFigures
from pytest_batchguard.core.model import Limits, ModelFingerprint, Provenance
from pytest_batchguard.core.repeats import combine
from tests.unit.samples import breakdown, measurement, memory, throughput


def with_peaks(*peaks):
    return [measurement(memory=memory(peak)) for peak in peaks]


def with_paces(*paces):
    return [measurement(throughput=throughput(pace)) for pace in paces]


def with_decreases(*decreases):
    return [measurement(loss=LossFigures(1.0, 1.0 - decrease, decrease, (1.0,))) for decrease in decreases]


def disagreement(measurements, **tolerances):
    return repeats.disagreement(measurements, Limits(**tolerances))


def test_equal_measurements_agree():
    assert disagreement([measurement()] * 3) == ""


def test_single_measurement_agrees_with_itself():
    assert disagreement([measurement()]) == ""


def test_peaks_within_a_quarter_agree():
    assert disagreement(with_peaks(900, 1000, 1150)) == ""


def test_peaks_further_than_a_quarter_apart_are_not_recorded():
    assert disagreement(with_peaks(899, 1000, 1150)) == (
        "peak memory 899 B, 1000 B, 1.12 KiB spread by 25.1 %, at most 25 % is recorded"
    )


def test_paces_within_a_quarter_agree():
    assert disagreement(with_paces(1.75, 2.0, 2.25)) == ""


def test_paces_further_than_a_quarter_apart_are_not_recorded():
    assert disagreement(with_paces(1.74, 2.0, 2.25)) == (
        "pace 1.74, 2, 2.25 spread by 25.5 %, at most 25 % is recorded"
    )


def test_wider_tolerance_lets_more_be_recorded():
    assert disagreement(with_paces(1.0, 2.0), throughput_tolerance=1.0) == ""
    assert disagreement(with_paces(1.0, 2.5), throughput_tolerance=0.8) == (
        "pace 1, 2.5 spread by 85.7 %, at most 80 % is recorded"
    )
    assert disagreement(with_peaks(800, 1200), memory_tolerance=0.5) == ""


def test_loss_decreases_a_tenth_apart_agree():
    assert disagreement(with_decreases(0.0, 0.05, 0.1)) == ""


def test_loss_decreases_further_apart_are_not_recorded():
    assert disagreement(with_decreases(0.2, 0.3, 0.36)) == (
        "loss decrease 20 %, 30 %, 36 % in runs with one seed: seed what else is drawn at random, or raise `steps`"
    )


def test_loss_decreases_half_of_their_median_apart_agree():
    assert disagreement(with_decreases(0.25, 0.4, 0.449)) == ""
    assert disagreement(with_decreases(0.25, 0.4, 0.451)) != ""


def test_loss_decreases_as_far_apart_as_their_tolerance_agree():
    assert disagreement(with_decreases(0.25, 0.4, 0.56), loss_tolerance=0.8) == ""


def test_every_disagreement_is_named():
    measurements = [
        measurement(memory=memory(100), throughput=throughput(1.0)),
        measurement(memory=memory(200), throughput=throughput(2.0)),
    ]
    reason = disagreement(measurements)
    assert "peak memory 100 B, 200 B" in reason
    assert "; pace 1, 2" in reason


def test_parts_that_were_not_measured_disagree_about_nothing():
    assert disagreement([measurement(memory=None, throughput=None, loss=None)] * 3) == ""


def test_baseline_is_the_middle_with_the_spread_and_every_process():
    measurements = [
        measurement(memory=memory(peak), throughput=throughput(pace, rate))
        for peak, pace, rate in [(1000, 2.2, 700.0), (1040, 2.0, 900.0), (1010, 2.0, 800.0)]
    ]
    accepted = combine(measurements)
    assert accepted.memory.peak_bytes == 1010
    assert accepted.memory.spread == pytest.approx(40 / 1010)
    assert accepted.throughput.pace == pytest.approx((2.2 * 2.0 * 2.0) ** (1 / 3))
    assert (accepted.throughput.images_per_second, accepted.throughput.runs) == (800.0, (2.2, 2.0, 2.0))
    assert accepted.throughput.spread == pytest.approx(0.1)


def of_states(*paces_and_handoffs):
    return [measurement(throughput=throughput(pace, handoff_seconds=each)) for pace, each in paces_and_handoffs]


def test_baseline_is_of_the_machines_usual_state():
    accepted = combine(of_states((2.0, 1.0), (3.0, 1.2), (2.0, 1.08), (2.9, 1.25), (2.0, 1.05)))
    assert accepted.throughput.runs == (2.0, 2.0, 2.0)
    assert accepted.throughput.handoff_seconds == 1.05
    assert disagreement(of_states((2.0, 1.0), (3.0, 1.2), (2.0, 1.0))) == ""


def test_baseline_is_of_all_where_most_of_it_is_of_another_state():
    accepted = combine(of_states((2.0, 1.0), (3.0, 1.2), (3.0, 1.2)))
    assert accepted.throughput.runs == (2.0, 3.0, 3.0)
    assert accepted.throughput.handoff_seconds == 1.2


def test_median_of_two_peaks_is_whole_bytes():
    accepted = combine(with_peaks(1000, 1001))
    assert accepted.memory.peak_bytes == 1000
    assert isinstance(accepted.memory.peak_bytes, int)


def test_baseline_keeps_model_and_provenance_of_the_last_measurement():
    model, provenance = ModelFingerprint(parameters=5), Provenance(commit="a")
    accepted = combine([measurement(), measurement(model=model, provenance=provenance)])
    assert (accepted.model, accepted.recorded_with) == (model, provenance)


def test_baseline_keeps_the_loss_with_the_median_decrease_and_how_far_they_are_apart():
    accepted = combine(with_decreases(0.3, 0.25, 0.28))
    assert accepted.loss == LossFigures(1.0, 0.72, 0.28, (1.0,), spread=pytest.approx(0.05))


def test_single_process_tells_nothing_of_how_the_loss_varies():
    assert combine(with_decreases(0.3)).loss.spread is None


def test_loss_that_differs_in_its_last_digits_is_the_same():
    assert combine(with_decreases(0.30001, 0.30002)).loss.spread == 0


def test_what_was_not_measured_is_not_in_the_baseline():
    accepted = combine([measurement(memory=None, throughput=None, loss=None)])
    assert (accepted.memory, accepted.throughput, accepted.loss) == (None, None, None)


def test_times_of_the_parts_are_medians():
    repeats = [measurement(breakdown=breakdown(model, step, 0.02)) for model, step in [(1, 9), (2, 7), (3, 8)]]

    assert combine(repeats).breakdown == Breakdown(2, 8, 0.02)


def test_pipeline_that_could_not_be_timed_stays_unknown():
    assert combine([measurement(breakdown=breakdown(1, 2, None))] * 3).breakdown == Breakdown(1, 2)


def test_times_of_the_parts_are_not_recorded_where_there_are_none():
    assert combine([measurement()]).breakdown is None


def waiting(share, pace=2.0, core_pace=8.0):
    """Return a measurement whose step waits so much of its time for data."""
    parts = breakdown(model_seconds=1 - share, step_seconds=1.0, pipeline_seconds=0.9)
    return measurement(throughput=throughput(pace, core_pace=core_pace), breakdown=parts)


@pytest.mark.parametrize(("share", "mix"), [(0.0, 1.0), (0.2, 1.0), (0.25, 0.75), (0.5, 0.5)])
def test_input_bound_case_is_counted_in_arithmetic_on_one_core_as_far_as_it_waits_for_data(share, mix):
    accepted = combine([waiting(share)] * 3).throughput
    assert accepted.mix == pytest.approx(mix)
    assert accepted.pace == pytest.approx(2.0**mix * 8.0 ** (1 - mix))
    assert accepted.runs == pytest.approx((accepted.pace,) * 3)


def test_input_bound_case_agrees_where_it_does_in_its_own_mix():
    differing = [waiting(0.9, pace) for pace in (1.0, 1.5, 2.0)]
    assert disagreement(differing) == ""
    assert "pace" in disagreement([waiting(0.1, pace) for pace in (1.0, 1.5, 2.0)])


def test_case_without_arithmetic_is_counted_in_the_training_alone():
    assert combine([waiting(0.5, core_pace=None)] * 3).throughput.pace == pytest.approx(2.0)
