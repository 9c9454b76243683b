"""Flag beats marker beats ini, for what a case is trained with and for what it is judged by."""

from __future__ import annotations

import pytest

GUARDS = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_silent(batchguard):
    assert (batchguard.steps, batchguard.seed) == {silent}
    tiny.train(batchguard)

@pytest.mark.batchguard(4, 8, steps=6, warmup=3, seed=11, throughput_tolerance=0.2, memory_tolerance="30%",
                        loss_tolerance=1, memory_budget="2GB")
def test_speaking(batchguard):
    assert (batchguard.steps, batchguard.seed) == {speaking}
    tiny.train(batchguard)
"""
INI = {
    "batchguard_steps": "5",
    "batchguard_warmup": "1",
    "batchguard_seed": "10",
    "batchguard_throughput_tolerance": "4",
    "batchguard_memory_tolerance": "300%",
    "batchguard_loss_tolerance": "0.9",
    "batchguard_memory_budget": "1GB",
}
FLAGS = (
    "--batchguard-steps=7",
    "--batchguard-warmup=4",
    "--batchguard-seed=12",
    "--batchguard-throughput-tolerance=3",
    "--batchguard-memory-tolerance=2.5",
    "--batchguard-loss-tolerance=95%",
    "--batchguard-memory-budget=3GiB",
)


IN_THIS_PROCESS = "--pdb"
"""Trains in pytest's own process, which saves a green run the process servers."""


@pytest.fixture(scope="module")
def by_marker_or_ini(new_project):
    project = new_project(test_it=GUARDS.format(silent=(5, 10), speaking=(6, 11)))
    return project.run("--batchguard", IN_THIS_PROCESS, ini=INI)


@pytest.fixture(scope="module")
def by_flag(new_project):
    project = new_project(test_it=GUARDS.format(silent=(7, 12), speaking=(7, 12)))
    return project.run("--batchguard", IN_THIS_PROCESS, *FLAGS, "test_it.py::test_speaking", ini=INI)


def limits_of(run, name):
    limits = run.figures_of(f"{name}[b4-8x8]")["limits"]
    return [limits[f"{each}_tolerance"] for each in ("throughput", "memory", "loss")] + [limits["memory_budget"]]


def followed_steps_of(run, name):
    return len(run.figures_of(f"{name}[b4-8x8]")["measurement"]["loss"]["curve"])


def test_case_whose_marker_is_silent_goes_by_ini(by_marker_or_ini):
    assert limits_of(by_marker_or_ini, "test_silent") == [4.0, 3.0, 0.9, 10**9]
    assert followed_steps_of(by_marker_or_ini, "test_silent") == 1 + 5


def test_marker_beats_ini(by_marker_or_ini):
    assert limits_of(by_marker_or_ini, "test_speaking") == [0.2, 0.3, 1.0, 2 * 10**9]
    assert followed_steps_of(by_marker_or_ini, "test_speaking") == 3 + 6


def test_flag_beats_marker(by_flag):
    assert limits_of(by_flag, "test_speaking") == [3.0, 2.5, 0.95, 3 * 2**30]
    assert followed_steps_of(by_flag, "test_speaking") == 4 + 7


def test_guards_see_the_steps_and_the_seed_that_they_are_trained_with(by_marker_or_ini, by_flag):
    assert by_marker_or_ini.exit_code == by_flag.exit_code == pytest.ExitCode.OK


def test_header_says_within_which_budget_the_run_trains(by_flag):
    by_flag.stdout.fnmatch_lines(["batchguard: on*budget 3 GiB*"])
