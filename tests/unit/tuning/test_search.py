"""The search for the largest batch that fits: few probes, a bracket of 2 %, and never a size that was not trained."""

import random
from statistics import median

import pytest

from pytest_batchguard.tuning.memory_line import Probe
from pytest_batchguard.tuning.search import PRECISION, SizeSearch

MB = 10**6


def search(
    peak_of,
    *,
    start=32,
    capacity=1000 * MB,
    held=50 * MB,
    limit=None,
    multiple=1,
    most=None,
    activation_bytes=None,
):
    """Search against a function from size to peak bytes; what is over the capacity runs out of memory."""
    found = SizeSearch(start, limit or capacity, multiple=multiple)
    found.most = most
    while (size := found.next_size()) is not None:
        peak = peak_of(size)
        fits = peak <= capacity
        found.add(Probe(size, fits, peak, held, activation_bytes) if fits else Probe(size, fits))
        assert found.trainings < 60, "the search does not end"
    return found


def straight(slope, held=50 * MB):
    return lambda size: held + slope * size


@pytest.mark.parametrize("slope", [1, 0.3 * MB, 2 * MB, 7 * MB, 29 * MB, 31 * MB, 100 * MB])
@pytest.mark.parametrize("start", [1, 32, 256])
def test_answer_lies_within_two_percent_of_the_boundary(slope, start):
    found = search(straight(slope), start=start, most=100_000)

    truth = min(100_000, int(950 * MB / slope))
    assert found.largest.batch_size <= truth
    assert truth - found.largest.batch_size <= max(1, PRECISION * truth)


def test_straight_line_up_to_where_a_pool_is_usually_full_takes_four_trainings():
    found = search(straight(2 * MB), capacity=890 * MB, limit=1000 * MB, activation_bytes=2 * MB)
    assert found.trainings == 4


def test_boundary_is_bracketed_by_sizes_that_were_tried():
    tried = []

    def peak(size):
        tried.append(size)
        return 50 * MB + 2 * MB * size

    found = search(peak)

    assert found.largest.batch_size in tried
    assert found.smallest_failing in tried
    assert found.largest.batch_size < found.smallest_failing <= found.largest.batch_size * (1 + PRECISION) + 1


def test_nothing_fits():
    found = search(straight(2000 * MB), start=8)

    assert found.largest is None
    assert found.smallest_failing == 1


def test_first_size_that_fails_leads_down():
    found = search(straight(10 * MB), start=512)

    assert 93 <= found.largest.batch_size <= 95


def test_data_is_the_limit():
    found = search(straight(MB // 10), most=1437)

    assert found.largest.batch_size == 1437
    assert found.smallest_failing is None
    assert found.trainings == 2


def test_data_that_turns_out_smaller_is_the_limit_too():
    found = SizeSearch(32, 1000 * MB)
    found.add(Probe(32, fits=True, peak_bytes=60 * MB, held_bytes=50 * MB))
    found.most = 100

    assert found.next_size() == 100


@pytest.mark.parametrize("most", [None, 1437, 100])
def test_every_size_is_a_multiple(most):
    tried = []

    def peak(size):
        tried.append(size)
        return 50 * MB + 3 * MB * size

    found = search(peak, multiple=8, most=most)

    assert all(size % 8 == 0 for size in tried)
    assert found.largest.batch_size == (96 if most == 100 else 312)


def test_multiple_larger_than_what_fits_finds_nothing():
    assert search(straight(200 * MB), start=8, multiple=8).largest is None


def test_peak_that_does_not_grow_doubles_the_size():
    found = SizeSearch(32, 1000 * MB)
    found.add(Probe(32, fits=True, peak_bytes=50 * MB, held_bytes=50 * MB))

    assert found.next_size() == 64


def test_limit_that_cannot_be_used_up_is_found_out():
    """The allocator gives up before its limit, as a fragmented pool does."""
    found = search(straight(2 * MB), capacity=900 * MB, limit=1000 * MB)

    assert 425 * (1 - PRECISION) <= found.largest.batch_size <= 425
    assert found.trainings <= 8


def test_limit_that_was_estimated_too_low_is_passed():
    found = search(straight(2 * MB), capacity=1100 * MB, limit=1000 * MB)

    assert 525 * (1 - PRECISION) <= found.largest.batch_size <= 525
    assert found.trainings <= 12


def test_size_beyond_one_that_failed_is_not_the_answer():
    found = SizeSearch(32, 1000 * MB)
    for size, fits in ((32, True), (100, False), (110, True)):
        found.add(Probe(size, fits=fits, peak_bytes=size * MB if fits else None, held_bytes=0 if fits else None))

    assert found.largest.batch_size == 32
    assert found.smallest_failing == 100


@pytest.mark.parametrize("says", [True, False], ids=["layers say what they put out", "they do not"])
def test_few_trainings_on_many_uneven_lines(says):
    """Lines jump, and the pool is full somewhere between 86 and 92 % of the limit."""
    chance = random.Random(0)
    trainings = []
    for _ in range(300):
        slope, held, limit = chance.uniform(0.3, 30) * MB, chance.uniform(5, 100) * MB, chance.uniform(300, 4000) * MB
        jump = [1 + chance.uniform(-0.01, 0.01) for _ in range(8)]
        found = search(
            lambda size, a=held, b=slope, j=jump: (a + b * size) * j[size // 4 % 8],
            start=chance.choice([8, 16, 32]),
            held=held,
            capacity=chance.uniform(0.86, 0.92) * limit,
            limit=limit,
            activation_bytes=round(slope * chance.uniform(0.8, 1.2)) if says else None,
        )
        trainings.append(found.trainings)

    assert median(trainings) <= 5
    assert sorted(trainings)[int(0.95 * len(trainings))] <= 7
