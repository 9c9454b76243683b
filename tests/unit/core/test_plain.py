import enum
import json
from dataclasses import dataclass

import pytest

from pytest_batchguard.core.figures import MemoryFigures
from pytest_batchguard.core.model import (
    Baseline,
    CaseResult,
    Device,
    Failure,
    FailureKind,
    Judgement,
    Measurement,
    Verdict,
)
from pytest_batchguard.core.plain import PlainDataError, from_plain, to_plain
from tests.unit.samples import GPU, full_baseline, judgement, measurement, pace_check, result


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


@dataclass(frozen=True)
class Drawing:
    title: str
    points: tuple[Point, ...] = ()
    corner: tuple[int, int] | None = None
    colour: Colour = Colour.RED
    closed: bool = False
    origin: Point | None = None


def problem(data, cls=Drawing):
    with pytest.raises(PlainDataError) as caught:
        from_plain(cls, data)
    return caught.value.path, caught.value.problem


@pytest.mark.parametrize(
    "value",
    [
        GPU,
        full_baseline(),
        measurement(failure=Failure(FailureKind.OOM, "no room", phase="training"), notes=("a", "b")),
        judgement(Verdict.REGRESSED, checks=(pace_check(),)),
        result(Verdict.REGRESSED, checks=(pace_check(),), attempts=(judgement(), judgement(Verdict.REGRESSED))),
    ],
)
def test_what_goes_out_comes_back_equal_even_through_json(value):
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


def test_plain_data_has_no_classes_of_ours():
    plain = to_plain(Drawing("a", (Point(1, 2.5),), (3, 4), Colour.BLUE))
    assert plain == {
        "title": "a",
        "points": [{"x": 1, "y": 2.5}],
        "corner": [3, 4],
        "colour": "blue",
        "closed": False,
    }


def test_what_was_not_measured_is_left_out_and_never_zero():
    assert to_plain(MemoryFigures(5)) == {"peak_bytes": 5}


def test_dictionary_keys_become_texts():
    assert to_plain({1: (2, 3)}) == {"1": [2, 3]}


def test_whole_number_serves_where_a_number_is_wanted():
    point = from_plain(Point, {"x": 1, "y": 2})
    assert point == Point(1, 2.0)
    assert isinstance(point.y, float)


def test_null_serves_where_a_value_may_be_missing():
    assert from_plain(Drawing, {"title": "a", "origin": None}).origin is None


def test_unknown_key_is_named_with_its_path_and_what_is_allowed():
    assert problem({"title": "a", "points": [{"x": 1}, {"x": 1, "z": 2}]}) == (
        ("points", "1", "z"),
        "unknown key, allowed: x, y",
    )


def test_missing_key_is_named():
    assert problem({"points": []}) == (("title",), "is missing")


@pytest.mark.parametrize(
    ("data", "path", "said"),
    [
        ({"title": 5}, ("title",), "found 5, allowed: a text"),
        ({"title": "a", "closed": 1}, ("closed",), "found 1, allowed: true or false"),
        ({"title": "a", "points": [{"x": 1.5}]}, ("points", "0", "x"), "found 1.5, allowed: an integer"),
        ({"title": "a", "points": [{"x": True}]}, ("points", "0", "x"), "found True, allowed: an integer"),
        ({"title": "a", "points": [{"x": 1, "y": True}]}, ("points", "0", "y"), "found True, allowed: a number"),
        ({"title": "a", "points": [{"x": 1, "y": "2"}]}, ("points", "0", "y"), "found '2', allowed: a number"),
        ({"title": "a", "points": "no"}, ("points",), "found 'no', allowed: a list"),
        ({"title": "a", "corner": [1]}, ("corner",), "found 1 entries, allowed: 2"),
        ({"title": "a", "colour": "green"}, ("colour",), "found 'green', allowed: red, blue"),
        ({"title": "a", "origin": 7}, ("origin",), "found 7, allowed: a mapping"),
        ({"title": None}, ("title",), "found None, allowed: a text"),
        ([], (), "found [], allowed: a mapping"),
    ],
)
def test_value_of_another_type_is_refused_by_path(data, path, said):
    assert problem(data) == (path, said)


def test_unhashable_value_in_an_enumeration_is_refused_like_any_other():
    assert problem({"title": "a", "colour": ["red"]})[0] == ("colour",)


def test_message_spells_the_path():
    with pytest.raises(PlainDataError, match=r"points\.0\.x: found 'a', allowed: an integer"):
        from_plain(Drawing, {"title": "a", "points": [{"x": "a"}]})
    with pytest.raises(PlainDataError, match="the top level: found 3, allowed: a mapping"):
        from_plain(Drawing, 3)


def test_path_that_led_here_is_put_in_front():
    with pytest.raises(PlainDataError) as caught:
        from_plain(Point, {"x": "a"}, ("cases", "one"))
    assert caught.value.path == ("cases", "one", "x")


@pytest.mark.parametrize("cls", [Baseline, CaseResult, Device, Judgement, Measurement])
def test_every_word_of_the_model_refuses_foreign_data(cls):
    assert problem({"rubbish": 1}, cls)[0] == ("rubbish",)
