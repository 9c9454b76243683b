import pytest

from pytest_batchguard.core.quantities import QUANTITIES

LOWER_IS_BETTER = {"budget", "max_memory", "peak_memory", "pace", "diverged_loss", "largest_loss"}


@pytest.mark.parametrize("name", QUANTITIES)
def test_direction_of_every_quantity(name):
    assert QUANTITIES[name].lower_is_better is (name in LOWER_IS_BETTER)


@pytest.mark.parametrize(
    ("name", "figure", "text"),
    [
        ("peak_memory", 331_661_312, "316 MiB"),
        ("min_throughput", 812.4, "812 images/s"),
        ("pace", 2.787, "2.79 yardsticks"),
        ("finite_loss", 19.0, "19"),
        ("diverged_loss", 2.31, "2.31"),
        ("largest_loss", 2.31, "2.31"),
        ("loss_decrease", 0.385, "38.5 %"),
    ],
)
def test_figure_is_shown_with_its_unit(name, figure, text):
    assert QUANTITIES[name].format(figure) == text


def test_pace_of_a_large_model_is_shown_without_an_exponent():
    assert QUANTITIES["pace"].format(3310.0).replace(",", "") == "3310 yardsticks"
