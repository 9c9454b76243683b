import math
from itertools import accumulate

import pytest

from pytest_batchguard.measure.loss import undo_running_mean


def running_means(values):
    return [total / count for count, total in enumerate(accumulate(values), 1)]


@pytest.mark.parametrize("values", [[], [3.0], [4.0, 2.0], [2.3, 2.5, 0.1, 7.0, -1.0], [0.0, 0.0, 5.0]])
def test_undoing_the_running_mean_gives_the_values_back(values):
    assert undo_running_mean(running_means(values)) == pytest.approx(values)


def test_loss_that_jumps_late_is_seen_at_its_step():
    values = [1.0] * 50 + [100.0]
    assert undo_running_mean(running_means(values))[-1] == pytest.approx(100.0)


def test_loss_that_is_not_a_number_once_is_none_ever_after():
    values = undo_running_mean([2.0, math.nan, math.nan])
    assert values[0] == 2.0
    assert all(map(math.isnan, values[1:]))
