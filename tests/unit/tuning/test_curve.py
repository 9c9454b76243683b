"""Which sizes are timed, and where throughput stops growing."""

import pytest

from pytest_batchguard.core.tuning import SpeedPoint
from pytest_batchguard.tuning import curve


def points(*rates, first=8):
    """Return a point for each throughput, the size doubling."""
    sizes = [first * 2**place for place in range(len(rates))]
    return [
        SpeedPoint(size, rate, size / rate, size / rate, size / rate) for size, rate in zip(sizes, rates, strict=True)
    ]


def test_sizes_double_up_to_the_largest():
    assert curve.sizes(200) == [8, 16, 32, 64, 128, 200]


def test_doubling_close_to_the_largest_gives_way():
    assert curve.sizes(150) == [8, 16, 32, 64, 150]


def test_doubling_close_to_a_declared_size_gives_way():
    assert curve.sizes(200, {60}) == [8, 16, 32, 60, 128, 200]


def test_sizes_are_multiples():
    assert curve.sizes(100, multiple=12) == [12, 24, 48, 100]


@pytest.mark.parametrize("largest", [1, 5, 8])
def test_few_images_leave_one_size(largest):
    assert curve.sizes(largest) == [largest]


def test_plateau_is_the_smallest_size_that_gains_nothing_more():
    assert curve.plateau(points(100, 180, 300, 310, 312)) == 32


@pytest.mark.parametrize(("last", "plateau"), [(104.9, 8), (105.1, None)])
def test_plateau_begins_below_five_percent_a_doubling(last, plateau):
    assert curve.plateau(points(100, last)) == plateau


def test_later_gain_moves_the_plateau():
    assert curve.plateau(points(100, 101, 150, 151)) == 32


def test_size_timed_in_a_bad_minute_is_no_gain_for_the_next():
    assert curve.plateau(points(100, 165, 151, 165, 158)) == 16


def test_throughput_that_grows_to_the_end_has_no_plateau():
    assert curve.plateau(points(100, 200, 400)) is None


def test_falling_throughput_ends_the_growth():
    assert curve.plateau(points(100, 200, 150)) == 16


def test_one_size_shows_no_plateau():
    assert curve.plateau(points(100)) is None


def test_gain_is_counted_a_doubling():
    small, large = SpeedPoint(8, 100, 0.08, 0.08, 0.08), SpeedPoint(32, 121, 32 / 121, 0.2, 0.3)

    assert curve.gain_a_doubling(small, large) == pytest.approx(0.1)


def test_gain_is_read_in_yardsticks_so_that_a_slow_minute_cancels():
    small, slow_minute = SpeedPoint(8, 100, 0.08, 0.08, 0.08), SpeedPoint(16, 50, 0.16, 0.16, 0.16)

    assert curve.gain_a_doubling(small, slow_minute) == pytest.approx(0)


@pytest.mark.parametrize(
    ("rates", "enough"), [((100, 101), False), ((100, 101, 102), True), ((100, 200, 400), False), ((), False)]
)
def test_two_flat_doublings_are_enough(rates, enough):
    assert curve.is_enough(points(*rates)) is enough
