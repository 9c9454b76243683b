"""What tuning says on the terminal."""

from dataclasses import replace

import pytest

from pytest_batchguard.core.model import ImageSize
from pytest_batchguard.core.tuning import Largest, NoiseScale, Recommendation, SpeedPoint, Trial, Tuning
from pytest_batchguard.report.tuning_lines import noise_text, summary_lines, titles

GIB = 2**30
TUNING = Tuning(
    guard="tests/test_x.py::TestSuite::test_model",
    image_size=ImageSize(180, 180),
    declared=(32, 64),
    largest=Largest(160, int(0.98 * GIB), GIB, 164, 4),
    curve=(SpeedPoint(32, 123.4, 2, 1.9, 2.1), SpeedPoint(64, 1810.0, 3, 3, 3)),
    plateau=64,
    noise=(NoiseScale(None, None, None, 20), NoiseScale(41.2, 20.0, 90.0, 20)),
    recommended=Recommendation(64, 0.00141, "square root (a source)", ("it fits", "it is fast"), ("more memory",)),
    missing=("validation: the guard passes no validation_data to train()",),
)


def text_of(*tunings, width=80):
    return "\n".join(summary_lines(tunings, width))


def test_table_shows_one_line_for_each_guard_and_size():
    rows = [line.split("  ") for line in summary_lines([TUNING], 120)]

    assert [cell.strip() for cell in rows[0] if cell] == [
        "guard",
        "largest",
        "plateau",
        "noise scale",
        "use",
        "learning rate",
        "declared",
    ]
    assert [cell.strip() for cell in rows[1] if cell] == [
        "test_model at 180x180",
        "160",
        "64",
        "41.2 (20–90)",
        "64",
        "0.00141",
        "32, 64",
    ]


def test_reasons_follow_with_what_would_change_them_and_what_is_missing():
    text = text_of(TUNING)

    assert "test_model at 180x180:" in text
    assert "the largest batch that fits 1 GiB is 160, with 2 % headroom" in text
    assert "164 runs out of memory (4 trainings)" in " ".join(text.split())
    assert "throughput: 32: 123 images/s ± 5 %, 64: 1,810 images/s ± 0 %" in text
    assert "use 64:" in text
    assert "- it is fast" in text
    assert "- learning rate 0.00141: square root (a source)" in text
    assert "- it would change: more memory" in text
    assert "not measured: validation" in text


def test_what_ended_the_search_is_told_beside_what_runs_out_of_memory():
    crashed = replace(TUNING.largest, reason="a batch of 162 ended the search: it was killed")
    text = " ".join(text_of(replace(TUNING, largest=crashed)).split())

    assert "164 runs out of memory; a batch of 162 ended the search: it was killed (4 trainings)" in text


def test_declared_sizes_are_compared_in_yardsticks():
    text = " ".join(text_of(replace(TUNING, declared=(32, 64, 512))).split())

    assert "declared 32 trains -25 % images/s by pace, compared with 64" in text
    assert "declared 64" not in text
    assert "declared 512 does not fit" in text


def test_validation_shows_loss_and_metrics_side_by_side():
    trials = (Trial(32, 2048, 64, 0.1, 0.5, {"accuracy": 0.91}), Trial(64, 2048, 32, 0.1, 0.6, {"accuracy": 0.9}))
    text = " ".join(text_of(replace(TUNING, trials=trials)).split())

    assert "validated after 2,048 images: 32: loss 0.500, accuracy 0.91; 64: loss 0.600, accuracy 0.9" in text


def test_search_that_the_data_ended_says_so():
    by_data = replace(TUNING, largest=Largest(160, GIB // 2, GIB, None, 2, "the data has no more images"))

    assert "the data has no more images" in " ".join(text_of(by_data).split())
    assert "runs out of memory" not in text_of(by_data)


def test_part_that_was_not_measured_shows_as_a_dash():
    bare = Tuning("tests/test_x.py::test_model", ImageSize(8, 8), (4,))

    assert summary_lines([bare], 120)[1].split() == ["test_model", "at", "8x8", "–", "–", "–", "–", "–", "4"]


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, summary_lines([TUNING, TUNING], width))) <= width


@pytest.mark.parametrize(
    ("noise", "text"),
    [
        (NoiseScale(41.2, 20, 90, 9), "41.2 (20–90)"),
        (NoiseScale(41.2, -3, None, 9), "41.2 (0–∞)"),
        (NoiseScale(None, None, None, 9), "undetermined"),
    ],
)
def test_noise_scale_is_shown_with_its_interval(noise, text):
    assert noise_text(noise) == text


def test_guards_of_one_name_are_told_apart_by_their_files():
    other = replace(TUNING, guard=TUNING.guard.replace("test_x", "test_y"))
    assert titles([TUNING]) == ["test_model at 180x180"]
    assert titles([TUNING, other]) == [
        "tests/test_x.py::TestSuite::test_model at 180x180",
        "tests/test_y.py::TestSuite::test_model at 180x180",
    ]


def test_line_with_many_declared_sizes_and_a_wide_noise_scale_has_eighty_characters():
    noise = NoiseScale(1234.0, 1100.0, 1400.0, 20)
    tuning = replace(TUNING, declared=(8, 16, 32, 64, 128, 256, 512), noise=(noise,))
    lines = summary_lines([tuning], 80)
    assert max(map(len, lines)) <= 80
    assert lines[2].endswith("8 to 512, 7 sizes")
