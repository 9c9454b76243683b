"""A pace and the clock: what is slower by one of the two only, beside a GPU and on a CPU."""

from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Limits, Provenance, Verdict
from tests.unit.samples import baseline, measurement, throughput

HOST = "cpu-intel-xeon-processor-family-6-model-207-16c"
SECOND_VISIT = throughput(0.8071, 9553.0, runs=(0.8071,))
"""What docs/gpu.md tells of: the same case on the same kind of card, whose yardstick took 4.1 ms and then 3.3."""


def on_gpu(pace, images_per_second, accepted=SECOND_VISIT, host=HOST, yardstick=1):
    figures = throughput(pace, images_per_second, yardstick, runs=(pace,) * 5)
    return judge(
        measurement(throughput=figures, provenance=Provenance(host=host)),
        baseline(throughput=accepted, recorded_with=Provenance(host=host)),
        Limits(),
    )


def test_slower_pace_on_a_gpu_is_inconclusive_where_images_per_second_do_not_confirm_it():
    judgement = on_gpu(0.9738, 9867.0)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert judgement.reason == (
        "pace 0.974 yardsticks is beyond its limit, 0.888 yardsticks, but the images per second are not, and the "
        "yardstick became 24.6 % faster, as it does beside a faster host; record it again with --batchguard-update"
    )


def test_slower_pace_on_a_gpu_has_regressed_where_images_per_second_confirm_it():
    assert on_gpu(0.9738, 9553.0 / 1.11).verdict is Verdict.REGRESSED


def test_slower_pace_on_a_cpu_needs_no_images_per_second():
    assert on_gpu(0.9738, 9867.0, host=None).verdict is Verdict.REGRESSED


def test_better_pace_on_a_gpu_is_an_improvement_where_images_per_second_confirm_it():
    better = 0.8071 * 0.85
    (note,) = on_gpu(better, 9553.0 / 0.85).notes
    assert note == "improved: pace is 15 % better than the baseline, which is stale"
    assert on_gpu(better, 9553.0).notes == ()
    assert on_gpu(better, 9553.0, host=None).notes == (note,)


def test_fewer_images_per_second_on_a_gpu_are_told_where_the_pace_is_no_slower():
    judgement = on_gpu(0.8071, 9553.0 / 1.2)
    assert judgement.verdict is Verdict.PASSED
    (note,) = judgement.notes
    assert note == (
        "images per second are 16.7 % fewer than the baseline's, which the pace does not confirm: the yardstick became "
        "slower as well, as it does beside a slower host"
    )
    assert on_gpu(0.8071, 9553.0 / 1.05).notes == ()
    assert on_gpu(0.8071, 9553.0 / 1.2, host=None).notes == ()


def test_slower_pace_than_a_base_in_turn_needs_no_images_per_second():
    in_turn = throughput(1.0, 9553.0)
    assert on_gpu(1.2, 9553.0, accepted=in_turn).verdict is Verdict.REGRESSED


def test_fewer_images_per_second_say_nothing_where_another_yardstick_counted():
    (note,) = on_gpu(0.8071, 9553.0 / 1.2, yardstick=2).notes
    assert note.startswith("throughput was not compared")
