"""A bad option or ini key ends the run with exit code 4, saying where it stands, what it was and what is allowed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

PLAIN = """
def test_plain():
    pass
"""
NO_SERVERS = ("-o", "batchguard_start_method=spawn")
"""Nothing here trains, so no process server needs starting."""

WITH_VALUE = [
    ("batchguard_steps", "3", "found '3', allowed: a whole number from 4 up"),
    ("batchguard_steps", "many", "found 'many', allowed: a whole number from 4 up"),
    ("batchguard_steps", "4.0", "found '4.0', allowed: a whole number from 4 up"),
    ("batchguard_steps", "4²", "found '4²', allowed: a whole number from 4 up"),
    ("batchguard_warmup", "0", "found '0', allowed: a whole number from 1 up"),
    ("batchguard_seed", "-1", "found '-1', allowed: a whole number from 0 to 4294967295"),
    ("batchguard_repeats", "0", "found '0', allowed: a whole number from 1 up"),
    ("batchguard_timeout", "0", "found '0', allowed: seconds, more than 0 and at most 1000000"),
    ("batchguard_timeout", "soon", "found 'soon', allowed: seconds, more than 0 and at most 1000000"),
    ("batchguard_timeout", "nan", "found 'nan', allowed: seconds, more than 0 and at most 1000000"),
    ("batchguard_timeout", "inf", "found 'inf', allowed: seconds, more than 0 and at most 1000000"),
    ("batchguard_throughput_tolerance", "-0.1", "'-0.1' is not a fraction such as 0.1 or a percentage such as 10%"),
    ("batchguard_memory_tolerance", "11", "'11' is not a fraction*"),
    ("batchguard_loss_tolerance", "a bit", "'a bit' is not a fraction*"),
    ("batchguard_memory_budget", "12", "'12' is not a size such as 12GB, 16GiB, 900MiB or 80%"),
    ("batchguard_memory_budget", "101%", "'101%' is more than the device has*"),
    ("batchguard_memory_budget", "0GB", "'0GB' is no memory at all*"),
    ("batchguard_device", "tpu", "found 'tpu', allowed: auto, cpu, gpu or gpu:N"),
    ("batchguard_device", "gpu:", "found 'gpu:', allowed: auto, cpu, gpu or gpu:N"),
    ("batchguard_device", "gpu", "gpu is not there; NVIDIA's driver shows no GPU"),
    ("batchguard_device", "gpu:3", "gpu:3 is not there; NVIDIA's driver shows no GPU"),
]
EMPTY = [
    (key, "", "found nothing, allowed: a text")
    for key in ("batchguard_against", "batchguard_baselines", "batchguard_json")
]
"""As a variable of CI's is where it is not set; in an ini file that is the same as not given."""

SWITCHES = (
    "batchguard",
    "batchguard_update",
    "batchguard_update_new",
    "batchguard_prune",
    "batchguard_require_gpu",
    "batchguard_strict",
)
KINDS_OF_WRITING = ("--batchguard-update", "--batchguard-update-new", "--batchguard-prune")


def flag_of(key: str) -> str:
    return "--" + key.replace("_", "-")


def assert_refused(pytester: pytest.Pytester, arguments: list[str], complaint: str) -> None:
    pytester.makepyfile(test_it=PLAIN)

    result = pytester.runpytest(*NO_SERVERS, *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {complaint}"])
    result.stderr.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*test_it.py*")
    assert [path.name for path in pytester.path.iterdir() if "batchguard" in path.name] == []


@pytest.mark.parametrize(("key", "text", "complaint"), [*WITH_VALUE, *EMPTY])
def test_bad_value_of_a_flag_is_refused(pytester, key, text, complaint):
    assert_refused(pytester, ["--batchguard-update", flag_of(key), text], f"{flag_of(key)}: {complaint}")


@pytest.mark.parametrize(("key", "text", "complaint"), WITH_VALUE)
def test_bad_value_of_an_ini_key_is_refused_naming_the_key(pytester, key, text, complaint):
    assert_refused(pytester, ["--batchguard-update", "-o", f"{key}={text}"], f"*{key}: {complaint}")


@pytest.mark.parametrize("key", SWITCHES)
def test_ini_key_of_a_switch_takes_true_or_false_only(pytester, key):
    arguments = ["--batchguard-update", "-o", f"{key}=perhaps"]

    assert_refused(pytester, arguments, f"ini key {key}: found 'perhaps', allowed: true or false")


def test_ini_key_of_the_start_method_names_the_ways_there_are(pytester):
    arguments = ["--batchguard", "-o", "batchguard_start_method=thread"]

    assert_refused(pytester, arguments, "ini key batchguard_start_method: found 'thread', allowed: auto, fork or spawn")


@pytest.mark.parametrize("given", [["--batchguard-require-gpu"], ["-o", "batchguard_require_gpu=true"]])
def test_required_gpu_that_is_not_there_ends_the_run(pytester, given):
    assert_refused(pytester, ["--batchguard", *given], "*require*gpu: found *; a GPU is needed*")


@pytest.mark.parametrize("flag", ["--batchguard-update", "--batchguard-update-new"])
def test_recording_in_pytests_own_process_is_refused(pytester, flag):
    assert_refused(pytester, [flag, "--pdb"], f"{flag}: baselines want fresh processes; leave --pdb and --trace out")


def test_setting_up_without_running_is_refused(pytester):
    assert_refused(
        pytester, ["--batchguard", "--setup-only"], "--setup-only runs no test, so there is nothing to guard*"
    )


@pytest.mark.parametrize("flag", KINDS_OF_WRITING)
def test_folder_of_baselines_below_a_file_is_refused_before_anything_is_trained(pytester, flag):
    pytester.makefile(".txt", notes="a regular file")

    assert_refused(
        pytester,
        [flag, "--batchguard-baselines", "notes.txt/kept"],
        "*notes.txt/kept*: cannot be *notes.txt*",
    )


def test_flag_does_not_swallow_the_path_behind_it(pytester):
    pytester.makepyfile(test_it=PLAIN, test_other="raise AssertionError('collected')")

    result = pytester.runpytest("--batchguard", "test_it.py", *NO_SERVERS)

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("key", ["batchguard_steps = 6", "batchguard_strict = true", "batchguard_timeout = 2.5"])
def test_ini_key_in_the_native_table_of_pyproject_takes_tomls_own_types(pytester, key):
    pytester.makepyprojecttoml(f"[tool.pytest]\n{key}\n")
    pytester.makepyfile(test_it=PLAIN)

    result = pytester.runpytest("--batchguard", *NO_SERVERS)

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("number", ["batchguard_steps = 6", "batchguard_strict = true"])
def test_ini_key_in_the_classic_table_of_pyproject_takes_tomls_own_types(pytester, number):
    pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{number}\n")
    pytester.makepyfile(test_it=PLAIN)

    result = pytester.runpytest("--batchguard", *NO_SERVERS)

    result.assert_outcomes(passed=1)


def test_help_names_every_flag_and_its_ini_key(pytester):
    shown = pytester.runpytest("--help").stdout.str()

    for key in (*SWITCHES, *(key for key, _, _ in WITH_VALUE), "batchguard_json", "batchguard_baselines"):
        assert flag_of(key) in shown
        assert f"  {key}" in shown


if find_spec("xdist"):

    @pytest.mark.parametrize("arguments", [["-n", "2"], ["-n", "1"], ["--dist", "load", "--tx", "2*popen"]])
    def test_tests_side_by_side_are_refused(pytester, arguments):
        assert_refused(pytester, ["--batchguard", *arguments], "*one case at a time*run them without -n, or with -n 0")

    def test_way_to_distribute_tests_is_no_harm_where_nothing_is_distributed(pytester):
        pytester.makepyfile(test_it=PLAIN)

        pytester.runpytest("--batchguard", "--dist", "loadfile", *NO_SERVERS).assert_outcomes(passed=1)

    def test_tests_side_by_side_are_none_of_our_business_without_guards(pytester):
        pytester.makepyfile(test_it=PLAIN)

        pytester.runpytest_subprocess("-n", "2").assert_outcomes(passed=1)
