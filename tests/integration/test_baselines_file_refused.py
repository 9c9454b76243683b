"""A baselines file that cannot be trusted ends the run with exit code 4, naming file, line and key; it stays."""

from __future__ import annotations

import pytest

from tests.integration.project import DEVICE

GUARD = """
import pytest

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    raise AssertionError("a guard ran")
"""
GOOD = f"""\
# kept by hand
schema: 1
device: {{key: {DEVICE.key}, name: CPU, memory_bytes: 1000}}
cases:
  test_it.py::test_guard[b4-8x8]:
    memory: {{peak_bytes: 1000, spread: 0.01}}
    throughput: {{images_per_second: 10.0, pace: 1.0, yardstick: 1, spread: 0.01}}
    loss: {{first: 2.0, last: 1.0, decrease: 0.5, curve: [2.0, 1.0]}}
"""
NAME = f"{DEVICE.key}.yaml"


@pytest.mark.parametrize(
    ("found", "replaced", "complaint"),
    [
        ("schema: 1", "schema: [1", ":*is not YAML: *line 3*"),
        ("schema: 1\n", "", ":1: not a baselines file of pytest-batchguard: it has no `schema`"),
        ("schema: 1", "schema: 2", ":2: schema: found 2, allowed: 1; a newer pytest-batchguard wrote it?"),
        ("cases:", "kases:", ":4: kases: unknown key, allowed: schema, device, cases"),
        ("peak_bytes: 1000", "peak_bites: 1000", ":6: cases → * → memory → peak_bites: unknown key, allowed: *"),
        ("peak_bytes: 1000", "peak_bytes: much", ":6: cases → * → memory → peak_bytes: found 'much', allowed: an int*"),
        ("pace: 1.0, ", "", ":7: cases → * → throughput → pace: is missing"),
        ("    loss:", "    lose:", ":8: cases → test_it.py::test_guard[[]b4-8x8] → lose: unknown key, allowed: *"),
        ("curve: [2.0, 1.0]", "curve: [2.0, low]", ":8: cases → * → loss → curve → 1: found 'low', allowed: a number"),
        ("cases:\n", "cases: [a, b]\nmore:\n", "*"),
    ],
)
def test_file_that_cannot_be_trusted_is_refused_and_left_alone(pytester, found, replaced, complaint):
    pytester.makepyfile(test_it=GUARD)
    path = pytester.mkdir("batchguard-baselines") / NAME
    broken = GOOD.replace(found, replaced)
    path.write_text(broken)

    result = pytester.runpytest("--batchguard-update")

    assert broken != GOOD
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *batchguard-baselines/{NAME}{complaint}"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert path.read_text() == broken


@pytest.mark.parametrize("flag", ["--batchguard", "--batchguard-update-new", "--batchguard-prune"])
def test_foreign_yaml_is_refused(pytester, flag):
    path = pytester.mkdir("batchguard-baselines") / NAME
    path.write_text("services:\n  db: {image: postgres}\n")

    result = pytester.runpytest(flag)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{NAME}:1: not a baselines file of pytest-batchguard*"])


def test_file_that_is_not_text_is_refused(pytester):
    path = pytester.mkdir("batchguard-baselines") / NAME
    path.write_bytes(b"\xff\xfe\x00schema")

    result = pytester.runpytest("--batchguard")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{NAME}: cannot be read: *"])


def test_yaml_that_would_run_code_is_refused_and_runs_nothing(pytester):
    path = pytester.mkdir("batchguard-baselines") / NAME
    path.write_text("schema: !!python/object/apply:os.mkdir [made-by-yaml]\n")

    result = pytester.runpytest("--batchguard")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / "made-by-yaml").exists()


def test_case_named_twice_is_refused(pytester):
    """YAML's reader would silently take the last one."""
    head, _, entry = GOOD.partition("  test_it.py")
    path = pytester.mkdir("batchguard-baselines") / NAME
    path.write_text(f"{head}  test_it.py{entry}  test_it.py{entry}")

    result = pytester.runpytest("--batchguard", "-o", "batchguard_start_method=spawn")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{NAME}:*test_guard[[]b4-8x8]*"])


def test_file_of_another_device_is_none_of_this_runs_business(pytester):
    (pytester.mkdir("batchguard-baselines") / "another-device.yaml").write_text("schema: [")
    pytester.makepyfile(test_it="def test_plain():\n    pass\n")

    result = pytester.runpytest("--batchguard", "-o", "batchguard_start_method=spawn")

    result.assert_outcomes(passed=1)


def test_bad_file_does_not_matter_where_guards_do_not_run(pytester):
    (pytester.mkdir("batchguard-baselines") / NAME).write_text("schema: [")
    pytester.makepyfile(test_it=GUARD)

    assert pytester.runpytest().ret == pytest.ExitCode.OK
