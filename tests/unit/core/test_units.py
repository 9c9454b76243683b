import math

import pytest

from pytest_batchguard.core import units
from pytest_batchguard.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512B", 512),
        ("3kB", 3_000),
        ("900MB", 900 * 10**6),
        ("12GB", 12 * 10**9),
        ("1TB", 10**12),
        ("3KiB", 3 * 2**10),
        ("900MiB", 900 * 2**20),
        ("16GiB", 16 * 2**30),
        ("1tib", 2**40),
        ("1.5 GiB", 3 * 2**29),
        ("  12gb  ", 12 * 10**9),
    ],
)
def test_size_is_read_in_powers_of_1000_and_of_1024(text, size):
    assert units.parse_size(text) == size


@pytest.mark.parametrize(("text", "size"), [("80%", 800), ("100%", 1000), ("0.1%", 1), ("50 %", 500)])
def test_percentage_is_taken_of_the_total(text, size):
    assert units.parse_size(text, total_bytes=1000) == size


@pytest.mark.parametrize("text", ["", "12", "GB", "12 potatoes", "-1GB", "1e9B", "12GB 3", "12G", "1.GB", "80 percent"])
def test_what_is_no_size_is_refused_with_an_example_of_one(text):
    with pytest.raises(ConfigurationError, match=r"is not a size such as 12GB, 16GiB, 900MiB or 80%") as caught:
        units.parse_size(text, total_bytes=1000)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["0GB", "0%", "0.5B"])
def test_size_of_nothing_is_refused(text):
    with pytest.raises(ConfigurationError, match="is no memory at all"):
        units.parse_size(text, total_bytes=1000)


def test_percentage_above_a_hundred_is_refused():
    with pytest.raises(ConfigurationError, match="'101%' is more than the device has"):
        units.parse_size("101%", total_bytes=1000)


def test_percentage_of_an_unknown_total_is_refused():
    with pytest.raises(ConfigurationError, match="needs the device's memory"):
        units.parse_size("80%")


@pytest.mark.parametrize(
    ("value", "fraction"),
    [(0.1, 0.1), ("0.1", 0.1), ("10%", 0.1), (" 10 %", 0.1), (0, 0.0), (1, 1.0), (10, 10.0), ("1000%", 10.0)],
)
def test_tolerance_is_read_as_fraction_or_percentage(value, fraction):
    assert units.parse_fraction(value) == pytest.approx(fraction)


@pytest.mark.parametrize(
    "value", [-0.01, "-1%", 10.01, "1001%", "nan", math.nan, "inf", "", "%", "ten", True, None, []]
)
def test_what_is_no_tolerance_is_refused(value):
    with pytest.raises(ConfigurationError, match=r"is not a fraction such as 0.1 or a percentage such as 10%"):
        units.parse_fraction(value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (331_661_312, "316 MiB"),
        (1_520_435_200, "1.42 GiB"),
        (2**20 * 99.4, "99.4 MiB"),
        (150_754_820_096, "140 GiB"),
        (5 * 2**40, "5120 GiB"),
    ],
)
def test_bytes_are_shown_in_binary_units(size, text):
    assert units.format_bytes(size) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(812.4, "812 images/s"), (14.23, "14.2 images/s"), (12_345.6, "12,346 images/s")]
)
def test_throughput_is_shown_in_images_per_second(rate, text):
    assert units.format_rate(rate) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.12, "+12 %"), (1.0, "+0.0 %"), (0.963, "-3.7 %"), (0.5, "-50 %"), (3.0, "+200 %")]
)
def test_change_is_signed(ratio, text):
    assert units.format_change(ratio) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.385, "38.5 %"), (0, "0 %"), (0.05, "5 %"), (-0.02, "-2 %")])
def test_fraction_is_shown_as_percentage(fraction, text):
    assert units.format_percent(fraction) == text


@pytest.mark.parametrize(("fraction", "text"), [(10.0, "1000 %"), (-15.0, "-1500 %")])
def test_large_fraction_is_shown_without_an_exponent(fraction, text):
    assert units.format_percent(fraction).replace(",", "") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0124, "12.4 ms"), (0.999, "999 ms"), (1.0, "1 s"), (3.104, "3.1 s"), (300, "300 s")]
)
def test_duration_is_shown_in_the_fitting_unit(seconds, text):
    assert units.format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("loss", "text"), [(2.3099, "2.31"), (2.0, "2.00"), (0.0123, "0.0123"), (math.nan, "nan"), (math.inf, "inf")]
)
def test_loss_is_shown_to_three_digits(loss, text):
    assert units.format_loss(loss) == text


def test_loss_of_three_whole_digits_has_no_dangling_point():
    assert units.format_loss(231.4) == "231"


def test_rounding_keeps_significant_digits():
    assert units.round_significant(812.4567) == 812.5
    assert units.round_significant(0.000123456) == 0.0001235
    assert units.round_significant(3_989_285.0, digits=2) == 4_000_000


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_rounding_leaves_infinity_alone(number):
    assert units.round_significant(number) == number


def test_rounding_leaves_not_a_number_alone():
    assert math.isnan(units.round_significant(math.nan))
