"""The picture of what tuning found."""

import importlib.util
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from pytest_batchguard.core.model import ImageSize
from pytest_batchguard.core.tuning import Largest, NoiseScale, Recommendation, SpeedPoint, Trial, Tuning
from pytest_batchguard.report import picture

GIB = 2**30
WHOLE = Tuning(
    guard="tests/test_x.py::test_model",
    image_size=ImageSize(180, 180),
    declared=(32, 64),
    largest=Largest(150, int(0.95 * GIB), GIB, 153, 4),
    peaks={32: GIB // 5, 128: int(0.8 * GIB), 150: int(0.95 * GIB)},
    curve=(SpeedPoint(32, 80, 1, 0.9, 1.1), SpeedPoint(64, 90, 2, 1.9, 2.1)),
    plateau=32,
    noise=(NoiseScale(None, None, None, 20), NoiseScale(41.2, 20.0, None, 20)),
    trials=(Trial(32, 1024, 32, 0.001, 0.5), Trial(64, 1024, 16, 0.0014, 0.6)),
    recommended=Recommendation(32, 0.001, "square root", (), ()),
)
BARE = Tuning("tests/test_x.py::test_step", ImageSize(8, 8), (4,))


def test_without_matplotlib_a_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    line = picture.draw_beside(tmp_path / "batchguard-tune.yaml", [WHOLE], str)

    assert line == "no picture was drawn: pip install 'pytest-batchguard[report]'"
    assert list(tmp_path.iterdir()) == []


def test_picture_that_cannot_be_drawn_loses_nothing_else(monkeypatch, tmp_path):
    def fail(*_):
        raise AttributeError("module 'numpy' has no attribute 'core'")

    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: "there")
    monkeypatch.setattr(picture, "draw", fail)

    line = picture.draw_beside(tmp_path / "batchguard-tune.yaml", [WHOLE], str)

    assert line == "no picture was drawn: AttributeError: module 'numpy' has no attribute 'core'"


@pytest.mark.parametrize("tunings", [[WHOLE], [BARE], [WHOLE, BARE, replace(WHOLE, largest=None)]])
def test_picture_lies_beside_the_file_and_is_svg(tunings, tmp_path):
    pytest.importorskip("matplotlib")

    line = picture.draw_beside(tmp_path / "batchguard-tune.yaml", tunings, lambda path: path.name)

    assert line == "drawn: batchguard-tune.svg"
    assert ET.parse(tmp_path / "batchguard-tune.svg").getroot().tag.endswith("svg")


def test_noise_scale_is_drawn_where_nothing_was_validated(tmp_path):
    pytest.importorskip("matplotlib")
    picture.draw(tmp_path / "noise.svg", [replace(WHOLE, trials=())])
    picture.draw(tmp_path / "nothing.svg", [replace(WHOLE, trials=(), noise=())])

    assert "<!-- noise scale 41" in (tmp_path / "noise.svg").read_text()
    assert "<!-- not measured -->" not in (tmp_path / "noise.svg").read_text()
    assert "<!-- not measured -->" in (tmp_path / "nothing.svg").read_text()


def test_same_findings_make_the_same_picture(tmp_path):
    pytest.importorskip("matplotlib")
    picture.draw(tmp_path / "one.svg", [WHOLE])
    picture.draw(tmp_path / "two.svg", [WHOLE])

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
