import re
from types import SimpleNamespace

import pytest

from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.plugin.markers import GuardOptions, parametrize
from tests.unit.plugin.configuration import mark

ARGUMENTS = (
    "batch_size, image_size, cases, steps, warmup, seed, timeout, memory_budget, max_memory, min_throughput, "
    "min_loss_decrease, throughput_tolerance, memory_tolerance, loss_tolerance"
)


def case_ids(*arguments, **named):
    return [case.id for case in GuardOptions.from_marker(mark(*arguments, **named)).declared_cases()]


def refusal(*arguments, **named):
    with pytest.raises(ConfigurationError) as caught:
        GuardOptions.from_marker(mark(*arguments, **named)).declared_cases()
    return str(caught.value)


# Cases


@pytest.mark.parametrize(
    ("batch_size", "image_size", "ids"),
    [
        (32, 180, ["b32-180x180"]),
        (32, (180, 320), ["b32-180x320"]),
        ([32, 64], 180, ["b32-180x180", "b64-180x180"]),
        (32, [180, (32, 48)], ["b32-180x180", "b32-32x48"]),
        ([32, 64], [(180, 180), 32], ["b32-180x180", "b32-32x32", "b64-180x180", "b64-32x32"]),
        ([64, 32], 180, ["b64-180x180", "b32-180x180"]),
        ([32, 32], [180, (180, 180)], ["b32-180x180"]),
    ],
)
def test_cases_are_the_product_of_the_sizes_each_once_and_as_declared(batch_size, image_size, ids):
    assert case_ids(batch_size, image_size) == ids
    assert case_ids(batch_size=batch_size, image_size=image_size) == ids


def test_cases_can_be_named_as_pairs():
    assert case_ids(cases=[(32, 180), (128, (32, 48)), (32, 180)]) == ["b32-180x180", "b128-32x48"]


@pytest.mark.parametrize("value", [0, -1, 1.5, "32", True, None, (32, 64), [32, 0], [[32]]])
def test_batch_size_that_is_none_is_refused(value):
    assert refusal(value, 180).startswith("batch_size")


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, "180", True, None, (180,), (180, 180, 3), (180, 0), (True, 180), [180, "x"], [[180, 180]]]
)
def test_image_size_that_is_none_is_refused(value):
    assert refusal(32, value).startswith("image_size")


def test_refusal_says_what_was_found_and_what_is_allowed():
    assert refusal(0, 180) == "batch_size: found 0, allowed: a positive int, or a list of these"
    assert refusal(32, (180,)) == (
        "image_size: found (180,), allowed: a positive int (square), a (height, width) pair, or a list of these"
    )


def test_sizes_that_are_missing_are_named():
    assert refusal() == "batch_size is missing; give batch_size and image_size, or cases"
    assert refusal(32) == "image_size is missing; give batch_size and image_size, or cases"


@pytest.mark.parametrize(("batch_size", "image_size"), [([], 180), (32, [])])
def test_empty_list_of_sizes_is_refused(batch_size, image_size):
    assert refusal(batch_size, image_size) == "batch_size and image_size must name at least one size each"


@pytest.mark.parametrize("sizes", [{"batch_size": 32}, {"image_size": 180}])
def test_cases_beside_sizes_are_refused(sizes):
    assert refusal(cases=[(32, 180)], **sizes) == "give either cases, or batch_size and image_size, not both"


@pytest.mark.parametrize("cases", [[], 5, "ab", [32], [(32,)], [(32, 180, 3)]])
def test_cases_that_are_no_pairs_are_refused(cases):
    assert refusal(cases=cases).startswith("cases: found ")
    assert "(batch_size, image_size) pairs" in refusal(cases=cases)


@pytest.mark.parametrize(("pair", "name"), [((0, 180), "batch_size"), ((32, 0), "image_size")])
def test_size_in_a_pair_that_is_none_is_refused_by_name(pair, name):
    assert refusal(cases=[pair]).startswith(f"{name}: found 0")


# Arguments


def test_unknown_argument_is_refused_with_those_that_are_known():
    assert refusal(32, 180, tolerance=0.1) == f"unknown argument 'tolerance', allowed: {ARGUMENTS}"


def test_third_positional_argument_is_refused():
    assert "found 3 positional arguments" in refusal(32, 180, 20)


def test_argument_given_twice_is_refused():
    assert refusal(32, 180, batch_size=64) == "argument 'batch_size' is given twice"


def test_what_is_left_out_is_left_to_flags_ini_and_defaults():
    options = GuardOptions.from_marker(mark(32, 180))
    assert {name: getattr(options, name) for name in ARGUMENTS.split(", ")[2:]} == dict.fromkeys(
        ARGUMENTS.split(", ")[2:]
    )


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("steps", 4, 4),
        ("warmup", 1, 1),
        ("seed", 0, 0),
        ("timeout", 5, 5.0),
        ("timeout", 0.5, 0.5),
        ("memory_budget", 4096, 4096),
        ("memory_budget", "12GB", "12GB"),
        ("max_memory", "80%", "80%"),
        ("min_throughput", 0.1, 0.1),
        ("min_loss_decrease", 0, 0.0),
        ("min_loss_decrease", -0.5, -0.5),
        ("throughput_tolerance", "10%", 0.1),
        ("memory_tolerance", 0, 0.0),
        ("loss_tolerance", 1, 1.0),
        ("loss_tolerance", None, None),
    ],
)
def test_argument_that_is_good_is_kept(name, given, kept):
    assert getattr(GuardOptions.from_marker(mark(32, 180, **{name: given})), name) == kept


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("steps", 3),
        ("steps", 20.0),
        ("steps", True),
        ("steps", "20"),
        ("warmup", 0),
        ("seed", -1),
        ("seed", 2**32),
        ("timeout", 0),
        ("timeout", 1e7),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", float("nan")),
        ("timeout", float("inf")),
        ("memory_budget", 0),
        ("memory_budget", "12 potatoes"),
        ("memory_budget", 1.5),
        ("max_memory", "101%"),
        ("max_memory", []),
        ("min_throughput", 0),
        ("min_throughput", "800"),
        ("min_throughput", float("nan")),
        ("min_loss_decrease", "10%"),
        ("min_loss_decrease", True),
        ("min_loss_decrease", float("nan")),
        ("throughput_tolerance", -0.1),
        ("memory_tolerance", "ten"),
        ("loss_tolerance", 11),
    ],
)
def test_argument_that_is_not_good_is_refused_by_name_with_what_is_allowed(name, given):
    message = refusal(32, 180, **{name: given})
    assert message.startswith(f"{name}: ")
    assert repr(given) in message
    assert re.search("allowed: |is not a|more than the device has", message)


# Collection


class Metafunc:
    """What pytest hands to parametrize with, as far as it is used."""

    def __init__(self, *fixtures):
        self.definition = SimpleNamespace(nodeid="tests/test_x.py::test_y", own_markers=[mark(1, 8)])
        self.fixturenames = fixtures
        self.calls = []

    def parametrize(self, name, values, *, ids, indirect):
        self.calls.append((name, [value.id for value in values], ids, indirect))


def test_guard_becomes_its_cases_with_ids_from_the_declared_sizes():
    metafunc = Metafunc("batchguard", "tmp_path")
    parametrize(metafunc, mark([1, 2], 8), tunes=False)
    assert metafunc.calls == [("batchguard", ["b1-8x8", "b2-8x8"], ["b1-8x8", "b2-8x8"], True)]


def test_guard_whose_batch_size_is_to_be_found_has_a_case_for_each_image_size():
    metafunc = Metafunc("batchguard")
    parametrize(metafunc, mark([4, 2], [8, 16]), tunes=True)
    assert metafunc.calls == [("batchguard", ["b4-8x8", "b4-16x16"], ["8x8", "16x16"], True)]


def test_guard_with_two_markers_is_a_collection_error():
    metafunc = Metafunc("batchguard")
    metafunc.definition.own_markers *= 2
    with pytest.raises(pytest.fail.Exception, match=r"tests/test_x\.py::test_y: found several batchguard markers"):
        parametrize(metafunc, mark(1, 8), tunes=False)


def test_guard_whose_marker_is_wrong_is_a_collection_error_that_names_the_test():
    metafunc = Metafunc("batchguard")
    with pytest.raises(
        pytest.fail.Exception, match=r"tests/test_x\.py::test_y: batchguard marker: batch_size: found 0"
    ):
        parametrize(metafunc, mark(0, 8), tunes=False)
    assert metafunc.calls == []


def test_guard_that_does_not_take_the_fixture_is_a_collection_error():
    with pytest.raises(pytest.fail.Exception, match="does not take the fixture `batchguard`"):
        parametrize(Metafunc("tmp_path"), mark(1, 8), tunes=False)
