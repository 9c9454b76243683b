"""Where a line of peaks reaches a limit."""

import pytest

from pytest_batchguard.core.figures import Activations
from pytest_batchguard.tuning.memory_line import Probe, size_that_fills

MB = 10**6


def probe(size, peak, activations=None, held=0):
    return Probe(size, True, peak * MB, held * MB, activations)


def test_two_probes_make_a_line_and_the_largest_tensor_has_no_room_left():
    activations = Activations(5 * MB, MB // 2)
    fits = [probe(20, 120, activations), probe(200, 480, activations)]

    assert size_that_fills(860 * MB, fits) == pytest.approx((860 - 80) / (2 + 0.8 * 0.5))


def test_waste_is_bounded():
    activations = Activations(5 * MB, 10 * MB)
    fits = [probe(20, 120, activations), probe(200, 480, activations)]

    assert size_that_fills(1040 * MB, fits) == pytest.approx((1040 - 150 - 80) / 2)


@pytest.mark.parametrize(("limit", "filled"), [(500, 500 * 0.88), (2000, 1850)])
def test_usual_waste_where_the_layers_say_nothing(limit, filled):
    fits = [probe(limit / 20, limit / 20), probe(limit / 2, limit / 2)]

    assert size_that_fills(limit * MB, fits) == pytest.approx(filled)


def test_one_probe_is_followed_along_what_the_layers_put_out_but_not_all_the_way():
    reached = (1000 - 10) / (4 + 0.8 * 0.5)

    filled = size_that_fills(1000 * MB, [probe(10, 50, Activations(4 * MB, MB // 2))])
    assert filled == pytest.approx(10 + 0.9 * (reached - 10))


def test_one_probe_and_what_is_held_make_a_line_too():
    assert size_that_fills(1000 * MB, [probe(10, 50, held=30)]) == pytest.approx(10 + 0.9 * ((880 - 30) / 2 - 10))


def test_probes_close_together_make_no_line():
    activations = Activations(4 * MB, 0)
    fits = [probe(90, 300, activations), probe(100, 310, activations)]

    assert size_that_fills(510 * MB, fits) == pytest.approx(100 + 0.9 * 50)


def test_peak_that_does_not_grow_doubles_the_size():
    assert size_that_fills(1000 * MB, [probe(10, 50, held=50)]) == 20
