"""Where a line of peaks reaches a limit, of which 89 % can be used."""

import pytest

from pytest_batchguard.tuning.memory_line import Probe, size_that_fills

MB = 10**6


def probe(size, peak, held=0, activation_bytes=None):
    return Probe(size, True, peak * MB, held * MB, activation_bytes)


def filled(limit, *fits):
    return size_that_fills(limit * MB, fits)


def test_two_probes_make_a_line():
    assert filled(1000, probe(20, 120), probe(200, 480)) == pytest.approx((890 - 80) / 2)


def test_line_is_followed_all_the_way_to_a_size_that_is_near_and_not_to_one_that_is_far():
    assert filled(1000, probe(20, 120), probe(100, 280)) == pytest.approx(100 + 0.9 * ((890 - 80) / 2 - 100))


def test_one_probe_is_followed_along_what_the_layers_put_out_but_not_all_the_way():
    assert filled(1000, probe(10, 50, activation_bytes=4 * MB)) == pytest.approx(10 + 0.9 * (890 - 50) / 4)


def test_one_probe_and_what_is_held_make_a_line_too():
    assert filled(1000, probe(10, 50, held=30)) == pytest.approx(10 + 0.9 * (890 - 50) / 2)


def test_probes_close_together_make_no_line():
    fits = [probe(90, 300, activation_bytes=4 * MB), probe(100, 310, activation_bytes=4 * MB)]
    assert filled(1000, *fits) == pytest.approx(100 + 0.9 * (890 - 310) / 4)


def test_peak_that_does_not_grow_doubles_the_size():
    assert filled(1000, probe(10, 50, held=50)) == 20
