"""The marker: which cases it declares, what they are called, and what is refused."""

from __future__ import annotations

import pytest

GUARD = """
import pytest

@pytest.mark.batchguard({arguments})
def test_guard(batchguard):
    pass
"""
CLASS_OF_GUARDS = """
import pytest

@pytest.mark.batchguard(4, 8)
class TestGuards:
    def test_as_the_class_says(self, batchguard):
        pass

    @pytest.mark.batchguard(2, 6)
    def test_as_it_says_itself(self, batchguard):
        pass
"""
BESIDE_OTHER_PARAMETERS = """
import pytest

@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.batchguard([4, 8], 8)
def test_guard(batchguard, optimizer):
    pass
"""
BY_USEFIXTURES = """
import pytest

@pytest.mark.usefixtures("batchguard")
@pytest.mark.batchguard(4, 8)
def test_guard(request):
    pass
"""
THROUGH_A_PROJECT_FIXTURE = """
import pytest

@pytest.fixture
def trained(batchguard):
    pass

@pytest.mark.batchguard(4, 8)
def test_guard(trained):
    pass
"""
WITHOUT_FIXTURE = """
import pytest

@pytest.mark.batchguard(4, 8)
def test_guard():
    pass
"""
UNITTEST = """
import unittest
import pytest

class TestGuards(unittest.TestCase):
    @pytest.mark.batchguard(4, 8)
    def test_guard(self):
        pass
"""

ON_A_PARAMETER = """
import pytest

@pytest.mark.parametrize("kind", [pytest.param("small", marks=pytest.mark.batchguard(4, 8))])
def test_guard(kind):
    pass
"""
LATE = """
import pytest

def test_guard():
    pass
"""
MARKS_LATE = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.batchguard(4, 8))
"""

REFUSED = [
    ("4, 8, epochs=3", "unknown argument 'epochs', allowed: batch_size, image_size, *loss_tolerance"),
    ("4, 8, 20", "found 3 positional arguments, allowed: batch_size and image_size, the rest by name"),
    ("4, 8, batch_size=2", "argument 'batch_size' is given twice"),
    ("batch_size=0, image_size=8", "batch_size: found 0, allowed: a positive int, or a list of these"),
    ("batch_size=[4, -1], image_size=8", "batch_size: found -1, allowed: a positive int, or a list of these"),
    ("batch_size=True, image_size=8", "batch_size: found True, allowed: a positive int*"),
    ("batch_size=4.0, image_size=8", "batch_size: found 4.0, allowed: a positive int*"),
    ("batch_size='4', image_size=8", "batch_size: found '4', allowed: a positive int*"),
    ("4, (8, 8, 3)", "image_size: found (8, 8, 3), allowed: a positive int (square), a (height, width) pair*"),
    ("4, (8, 0)", "image_size: found (8, 0), allowed: *"),
    ("4, False", "image_size: found False, allowed: *"),
    ("4, -8", "image_size: found -8, allowed: *"),
    ("[], 8", "batch_size*at least one size*"),
    ("4, []", "*image_size*at least one size*"),
    ("4", "image_size is missing; give batch_size and image_size, or cases"),
    ("image_size=8", "batch_size is missing; give batch_size and image_size, or cases"),
    ("4, 8, cases=[(4, 8)]", "give either cases, or batch_size and image_size, not both"),
    ("cases=[]", "cases: found [[][]], allowed: a list of (batch_size, image_size) pairs"),
    ("cases=[(4, 8, 1)]", "cases: found (4, 8, 1), allowed: (batch_size, image_size) pairs"),
    ("cases=[(0, 8)]", "batch_size: found 0, allowed: *"),
    ("4, 8, steps=3", "steps: found 3, allowed: an int from 4 up"),
    ("4, 8, steps=True", "steps: found True, allowed: an int from 4 up"),
    ("4, 8, warmup=0", "warmup: found 0, allowed: an int from 1 up"),
    ("4, 8, seed=-1", "seed: found -1, allowed: an int from 0 to 4294967295"),
    ("4, 8, timeout=0", "timeout: found 0, allowed: a number above 0"),
    ("4, 8, timeout=float('nan')", "timeout: found nan, allowed: *"),
    ("4, 8, memory_budget='80'", "memory_budget: '80' is not a size such as 12GB, 16GiB, 900MiB or 80%"),
    ("4, 8, memory_budget='101%'", "memory_budget: '101%' is more than the device has*"),
    ("4, 8, max_memory=0", "max_memory: found 0, allowed: bytes or a size such as 12GB, 16GiB or 80%"),
    ("4, 8, min_throughput='fast'", "min_throughput: found 'fast', allowed: a number"),
    ("4, 8, min_throughput=0", "min_throughput: found 0, allowed: a number above 0"),
    ("4, 8, min_loss_decrease='much'", "min_loss_decrease: found 'much', allowed: a number"),
    ("4, 8, throughput_tolerance=-0.1", "throughput_tolerance: -0.1 is not a fraction such as 0.1*"),
    ("4, 8, memory_tolerance='ten'", "memory_tolerance: 'ten' is not a fraction such as 0.1 or a percentage*"),
    ("4, 8, loss_tolerance=11", "loss_tolerance: 11 is not a fraction such as 0.1 or a percentage*"),
]


def collected(pytester: pytest.Pytester, source: str) -> list[str]:
    """Return the ids of the tests that pytest collects of a file with this source."""
    pytester.makepyfile(test_it=source)
    items, _ = pytester.inline_genitems()
    return [item.nodeid.partition("::")[2] for item in items]


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        ("batch_size=32, image_size=(180, 120)", ["b32-180x120"]),
        ("32, 180", ["b32-180x180"]),
        ("[32, 64], [(180, 120), 32]", ["b32-180x120", "b32-32x32", "b64-180x120", "b64-32x32"]),
        ("cases=[(32, 180), (128, (32, 24))]", ["b32-180x180", "b128-32x24"]),
        ("[4, 8, 4], 8", ["b4-8x8", "b8-8x8"]),
        ("4, 8, steps=4, warmup=1, seed=0, timeout=0.5", ["b4-8x8"]),
        ("4, 8, memory_budget='80%', max_memory=2**30, min_throughput=1, min_loss_decrease=-0.5", ["b4-8x8"]),
        ("4, 8, throughput_tolerance='10%', memory_tolerance=0, loss_tolerance=1.0", ["b4-8x8"]),
    ],
)
def test_cases_are_the_declared_sizes_and_nothing_else_is_in_their_ids(pytester, arguments, cases):
    found = collected(pytester, GUARD.format(arguments=arguments))

    assert found == [f"test_guard[{case}]" for case in cases]


def test_cases_multiply_with_other_parameters(pytester):
    assert sorted(collected(pytester, BESIDE_OTHER_PARAMETERS)) == [
        "test_guard[adam-b4-8x8]",
        "test_guard[adam-b8-8x8]",
        "test_guard[sgd-b4-8x8]",
        "test_guard[sgd-b8-8x8]",
    ]


def test_marker_on_a_class_guards_each_of_its_tests_unless_they_say_otherwise(pytester):
    assert collected(pytester, CLASS_OF_GUARDS) == [
        "TestGuards::test_as_the_class_says[b4-8x8]",
        "TestGuards::test_as_it_says_itself[b2-6x6]",
    ]


@pytest.mark.parametrize("source", [BY_USEFIXTURES, THROUGH_A_PROJECT_FIXTURE])
def test_fixture_may_be_taken_indirectly(pytester, source):
    assert collected(pytester, source) == ["test_guard[b4-8x8]"]


@pytest.fixture(scope="module", params=[(), ("--batchguard", "--collect-only")], ids=["plain", "with-guards"])
def refused(request, new_project):
    """One run over a file for each of the refused markers."""
    files = {f"test_{place}": GUARD.format(arguments=arguments) for place, (arguments, _) in enumerate(REFUSED)}
    return new_project(**files).run(*request.param)


@pytest.mark.parametrize("place", range(len(REFUSED)), ids=[arguments for arguments, _ in REFUSED])
def test_bad_argument_is_a_collection_error_naming_the_test_what_was_found_and_what_is_allowed(refused, place):
    error = refused.section(f"ERROR collecting test_{place}.py")

    pytest.LineMatcher(error).fnmatch_lines([f"test_{place}.py::test_guard: batchguard marker: {REFUSED[place][1]}"])


def test_bad_arguments_end_the_run_before_anything_is_trained(refused):
    assert refused.exit_code == pytest.ExitCode.INTERRUPTED
    refused.stdout.fnmatch_lines(["*Interrupted: * errors during collection*"])


def test_complaint_about_a_bad_argument_is_one_line(refused):
    assert len(refused.section("ERROR collecting test_0.py")) == 1


def test_smallest_and_largest_arguments_that_are_allowed_are_taken(pytester):
    arguments = "1, 1, steps=4, warmup=1, seed=0, loss_tolerance=10, memory_tolerance=0, memory_budget='100%'"

    assert collected(pytester, GUARD.format(arguments=arguments)) == ["test_guard[b1-1x1]"]


def test_guard_that_does_not_take_the_fixture_is_a_collection_error(pytester):
    pytester.makepyfile(test_it=WITHOUT_FIXTURE)

    result = pytester.runpytest()

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["test_it.py::test_guard: the guard does not take the fixture `batchguard`*"])


def test_guard_in_a_unittest_class_is_refused_and_does_not_end_the_run(pytester):
    """Such a test takes no fixtures, so there is nothing for it to train with."""
    pytester.makepyfile(test_it=UNITTEST)

    result = pytester.runpytest("--batchguard", "-o", "batchguard_start_method=spawn")

    assert result.ret in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED}
    result.stdout.fnmatch_lines(["*TestGuards::test_guard*fixture `batchguard`*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.mark.parametrize("flags", [[], ["--batchguard", "-o", "batchguard_start_method=spawn"]])
def test_fixture_in_a_test_without_marker_is_an_error_that_says_what_to_add(pytester, flags):
    pytester.makepyfile(test_it="def test_unmarked(batchguard):\n    pass\n")

    result = pytester.runpytest(*flags)

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["E*test_it.py::test_unmarked takes the fixture `batchguard` without the marker: add @pytest.mark.batchguard*"]
    )


def test_marker_is_known_to_strict_pytest_and_described(pytester):
    pytester.makepyfile(test_it=GUARD.format(arguments="4, 8"))

    assert pytester.runpytest("--strict-markers").ret == pytest.ExitCode.OK
    pytester.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.batchguard(batch_size, image_size, [*], *"])


@pytest.mark.parametrize("flag", ["--batchguard", "--batchguard-update", "--batchguard-tune"])
@pytest.mark.parametrize(("source", "conftest"), [(ON_A_PARAMETER, ""), (LATE, MARKS_LATE)], ids=["parameter", "late"])
def test_marker_that_makes_no_case_is_a_failed_test_that_says_so(project, flag, source, conftest):
    project.write({"test_it.py": source, "conftest.py": conftest})

    run = project.run(flag, ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(["*the marker batchguard came too late for its cases: put it on the test function"])
