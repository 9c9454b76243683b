"""`--batchguard-update`: what was measured and is healthy becomes the baseline; every other byte stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml

from pytest_batchguard.measure.handoff import between_cores
from tests.integration.project import DEVICE, text_of

GUARDS = """
import math
import pytest
import tiny

@pytest.mark.batchguard([4, 8], 8)
def test_healthy(batchguard):
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8)
def test_unhealthy(batchguard):
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x * math.nan, y))

@pytest.mark.batchguard(4, 8)
def test_fails_by_itself(batchguard):
    assert tiny.train(batchguard).batch_size == 5

@pytest.mark.batchguard(4, 8)
@pytest.mark.xfail
def test_fails_as_expected(batchguard):
    assert tiny.train(batchguard).batch_size == 5
"""
SMALL, LARGE = "test_it.py::test_healthy[b4-8x8]", "test_it.py::test_healthy[b8-8x8]"
SPOILS_THE_FILE = """
import pathlib
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    folder = pathlib.Path("batchguard-baselines")
    folder.mkdir(exist_ok=True)
    (folder / f"{batchguard.device.key}.yaml").write_text("cases: [")
    tiny.train(batchguard)
"""
BY_HAND = f"""\
# our own words above
schema: 1
device: {{key: {DEVICE.key}, name: "a CPU",   memory_bytes: 1000}}

cases:
  # why this one is here
  test_gone.py::test_gone[b4-8x8]:
    memory:   {{peak_bytes: 1000}}   # odd spacing
    loss:
      first: 2.0
      last: 1.0
      decrease: 0.5
      curve: [2.0, 1.0]
  test_it.py::test_healthy[b4-8x8]:
    memory: {{peak_bytes: 30000, spread: 0.0}}
    throughput: {{images_per_second: 1000.0, pace: 0.5, yardstick: 1}}
    loss: {{first: 2.0, last: 1.0, decrease: 0.5, curve: [2.0, 1.0]}}
  "test_it.py::test_unhealthy[b4-8x8]":
    memory: {{peak_bytes: 40000}}

# our own words below
"""


@pytest.fixture(scope="module")
def project(new_project):
    return new_project(test_it=GUARDS)


@pytest.fixture(scope="module")
def first(project):
    """The first update ever, with one measuring each."""
    return project.run("--batchguard-update", "-rA")


@pytest.fixture(scope="module")
def written(first, project):
    return project.baselines()


@pytest.fixture(scope="module")
def compared(written, project):
    """A comparison after the update, in which the larger case alone is new again."""
    text = project.baselines_path.read_text()
    place = text.index(f"  {LARGE}")
    project.baselines_path.write_text(text[:place])
    return project.run("--batchguard-update-new", "-rA", "test_it.py::test_healthy")


@pytest.fixture(scope="module")
def amended(new_project):
    """One case of a file with other people's entries is updated, by ini keys, two processes each."""
    project = new_project(test_it=GUARDS)
    project.baselines_path.parent.mkdir()
    project.baselines_path.write_text(BY_HAND)
    ini = {"batchguard_update": "true", "batchguard_repeats": "2"}
    run = project.run("--batchguard-seed=3", "test_it.py::test_healthy[b4-8x8]", ini=ini)
    return run, project


def test_healthy_cases_are_recorded(written):
    assert {SMALL, LARGE} <= set(written["cases"])


def test_file_has_the_outline_that_other_programs_may_rely_on(written):
    assert list(written) == ["schema", "device", "cases"]
    assert written["schema"] == 1
    assert written["device"] == {"key": DEVICE.key, "name": DEVICE.name, "memory_bytes": DEVICE.memory_bytes}
    parts = ["memory", "throughput", "breakdown", "loss", "model", "recorded_with"]
    assert list(written["cases"][SMALL]) == parts


def test_entry_holds_the_figures_under_their_names(written):
    case = written["cases"][SMALL]

    assert case["memory"]["peak_bytes"] > 0
    assert set(case["memory"]) == {"peak_bytes", "spread"}
    timed = {"handoff_seconds"} if between_cores() else set()
    assert set(case["throughput"]) == {"images_per_second", "pace", "yardstick", "mix", "spread", "runs"} | timed
    assert set(case["breakdown"]) == {"pipeline_seconds", "model_seconds", "step_seconds"}
    assert case["loss"]["first"] > case["loss"]["last"]
    assert 0 < case["loss"]["decrease"] < 1
    assert len(case["loss"]["curve"]) == 6
    assert {"parameters": 195, "trainable": 195, "dtype_policy": "float32", "optimizer": "SGD"}.items() <= case[
        "model"
    ].items()
    assert {"date", "tensorflow", "keras", "python"} <= set(case["recorded_with"])


def test_header_says_which_command_writes_the_file(written, project):
    first_line = project.baselines_path.read_text().splitlines()[0]

    assert first_line.startswith(f"# Baselines of pytest-batchguard for {DEVICE.key}. Written by `pytest --batchguard-")


def test_figures_are_rounded_to_what_is_significant(first, written, project):
    numbers = re.findall(r"\d+\.\d+", str(written["cases"][SMALL]["throughput"]))

    assert numbers
    assert all(len(number.replace(".", "").strip("0")) <= 4 for number in numbers)


@pytest.mark.parametrize("name", ["test_unhealthy", "test_fails_by_itself", "test_fails_as_expected"])
def test_case_that_is_not_healthy_is_not_recorded(written, name):
    assert not [case for case in written["cases"] if name in case]


def test_update_with_failures_fails_all_the_same(first):
    assert first.exit_code == pytest.ExitCode.TESTS_FAILED
    first.stdout.fnmatch_lines(["*= 2 failed, 2 passed, 1 xfailed* in *"])


def test_update_prints_what_it_wrote(first):
    pytest.LineMatcher(first.summary()).fnmatch_lines(
        [f"wrote batchguard-baselines/{DEVICE.key}.yaml", "*peak memory*", "test_healthy[[]b4-8x8]*KiB*"]
    )
    assert "NOTHING WAS COMPARED" not in text_of(first.summary())


def test_no_file_but_the_baselines_is_left_in_the_folder(first, project):
    assert [path.name for path in project.baselines_path.parent.iterdir()] == [project.baselines_path.name]


def test_next_run_compares_with_what_was_recorded(compared):
    known = compared.figures_of("test_healthy[b4-8x8]")

    assert compared.exit_code == pytest.ExitCode.OK
    assert known["judgement"]["verdict"] == "passed"
    assert {"peak_memory", "pace", "loss_decrease"} <= {check["quantity"] for check in known["judgement"]["checks"]}
    assert "recorded" not in known


def test_update_new_records_only_cases_without_a_baseline(compared, written, project):
    after = project.baselines()["cases"]

    assert LARGE in after
    assert after[SMALL] == written["cases"][SMALL]
    pytest.LineMatcher(compared.summary()).fnmatch_lines(["test_healthy[[]b8-8x8]*recorded*"])


def test_update_of_one_case_leaves_every_other_byte(amended):
    run, project = amended
    after = project.baselines_path.read_text()
    begin, end = BY_HAND.index(f"  {SMALL}"), BY_HAND.index('  "test_it.py::test_unhealthy')

    assert run.exit_code == pytest.ExitCode.OK
    assert after.startswith(BY_HAND[:begin])
    assert after.endswith(BY_HAND[end:])
    assert after != BY_HAND
    assert yaml.safe_load(after)["cases"][SMALL]["model"]["parameters"] == 195


def test_update_prints_old_and_new(amended):
    run, _ = amended

    pytest.LineMatcher(run.summary()).fnmatch_lines(["test_healthy[[]b4-8x8]*29.3 KiB → *KiB*1,000 → *50 % → *%"])


def test_update_measures_in_as_many_processes_as_asked_and_keeps_their_spread(amended):
    _, project = amended
    case = project.baselines()["cases"][SMALL]

    assert case["throughput"]["spread"] > 0
    assert case["memory"]["spread"] >= 0


IN_ROUNDS = """
import pathlib
import random
import pytest
import tiny

NAMES = list({"bird", "cat", "dog", "fish", "horse", "snake"})
DRAWN = random.random()

@pytest.fixture
def scale():
    import numpy as np
    return DRAWN + np.random.rand() + NAMES.index("dog")

@pytest.mark.batchguard([4, 8], 8)
def test_it(scale, batchguard):
    with pathlib.Path("order").open("a") as file:
        file.write(f"{batchguard.batch_size} ")
    pathlib.Path("hash").write_text(str(hash("dog")))
    x, y = tiny.photos(batchguard)
    batchguard.train(tiny.network(batchguard), (x * scale, y))
"""


@pytest.fixture(scope="module")
def rounds(new_project):
    project = new_project(test_it=IN_ROUNDS)
    run = project.run("--batchguard-update", ini={"batchguard_repeats": "2"})
    return project, run


def test_cases_are_measured_in_rounds(rounds):
    project, run = rounds
    a_process_for_each_pass = 2
    order = (project.folder / "order").read_text().split()
    assert order == [size for size in ("4", "8", "4", "8") for _ in range(a_process_for_each_pass)]
    run.stdout.fnmatch_lines(["batchguard: measuring, round 1 of 2"])


def test_spread_is_recorded_and_the_tolerance_in_force_is_printed(rounds):
    project, run = rounds
    cases = project.baselines()["cases"].values()
    assert all(len(case["throughput"]["runs"]) in (1, 2) and case["throughput"]["spread"] < 1 for case in cases)
    run.stdout.fnmatch_lines(["throughput tolerance: 500 %*"])


def test_what_is_drawn_before_the_fixture_is_seeded_too(rounds):
    project, _ = rounds
    assert [case["loss"]["spread"] for case in project.baselines()["cases"].values()] == [0.0, 0.0]


@pytest.mark.skipif(os.environ.get("PYTHONHASHSEED", "random") != "random", reason="the seed that is set is kept")
def test_set_of_texts_has_one_order_in_every_run(rounds):
    project, _ = rounds
    seeded = {**os.environ, "PYTHONHASHSEED": "0"}
    told = subprocess.run([sys.executable, "-c", "print(hash('dog'))"], env=seeded, capture_output=True, check=True)
    assert (project.folder / "hash").read_text() == told.stdout.decode().strip()


def test_file_that_cannot_be_written_at_the_end_fails_the_run_and_nothing_is_called_recorded(new_project):
    project = new_project(test_it=SPOILS_THE_FILE)

    run = project.run("--batchguard-update")

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert "recorded" not in run.figures_of("test_guard[b4-8x8]")
    summary = text_of(run.summary())
    assert "NO BASELINE WAS WRITTEN" in summary
    assert "recorded" not in summary
    assert project.baselines_path.read_text() == "cases: ["
