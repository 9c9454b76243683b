"""`--batchguard-baselines DIR` and the other files a run may be asked to write."""

from __future__ import annotations

import json

import pytest

from tests.integration.project import DEVICE, text_of

GUARD = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    print("the guard prints")
    tiny.train(batchguard)
"""
CASE = "test_it.py::test_guard[b4-8x8]"


@pytest.fixture(scope="module")
def project(new_project):
    project = new_project()
    project.write({"tests/test_it.py": GUARD})
    return project


@pytest.fixture(scope="module")
def run(project):
    """From the root, into a folder that is not there yet."""
    return project.run("--batchguard-update", "--batchguard-baselines", "kept/here", "--batchguard-json=out/all.json")


def test_baselines_are_written_to_the_folder_that_was_named(run, project):
    assert run.exit_code == pytest.ExitCode.OK
    assert (project.folder / "kept" / "here" / f"{DEVICE.key}.yaml").exists()
    assert not project.baselines_path.exists()


def test_what_a_passed_guard_printed_is_not_shown(run):
    assert "the guard prints" not in text_of([*run.stdout.lines, *run.stderr.lines])


def test_json_file_holds_device_figures_and_verdict_of_each_case(run, project):
    found = json.loads((project.folder / "out" / "all.json").read_text())
    (case,) = found["cases"]

    assert found["schema"] == 1
    assert found["device"]["key"] == DEVICE.key
    assert case["node_id"] == f"tests/{CASE}"
    assert case["judgement"]["verdict"] == "passed"
    assert case["measurement"]["memory"]["peak_bytes"] > 0
    assert case["measurement"]["throughput"]["images_per_second"] > 0
    assert len(case["measurement"]["loss"]["curve"]) == 6
    assert case["measurement"]["provenance"]["tensorflow"]
    assert case["recorded"]["memory"]["peak_bytes"] > 0


def test_ini_key_names_the_folder_too_and_both_are_looked_up_from_the_root(run, project):
    """Run from a folder below, the case and its baseline keep their names."""
    ini = {"batchguard_baselines": "kept/here", "batchguard_strict": "true"}
    below = type(project)(project.folder / "tests")

    again = below.run("--batchguard", "--pdb", "--rootdir", "..", "-c", "../pytest.ini", ini=ini)

    assert again.exit_code == pytest.ExitCode.OK
    assert again.figures_of(CASE)["judgement"]["verdict"] == "passed"


def test_json_file_that_cannot_be_written_is_refused_before_anything_is_trained(pytester):
    pytester.makepyfile(test_it="def test_plain():\n    pass\n")
    pytester.mkdir("out")

    result = pytester.runpytest("--batchguard", "--batchguard-json", "out", "-o", "batchguard_start_method=spawn")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *--batchguard-json*out*"])
