"""A budget is enforced by the allocator: what does not fit fails with the allocator's own reason, and alone."""

from __future__ import annotations

import pytest

from tests.integration.project import text_of

GUARDS = """
import keras
import pytest
import tiny

@pytest.mark.batchguard(4, 64)
def test_wide(batchguard):
    layers = [keras.layers.Conv2D(512, 3, padding="same", activation="relu"), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((*batchguard.image_size, 1)), *layers, keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batchguard.train(model, tiny.photos(batchguard))

@pytest.mark.batchguard(4, 8)
def test_heavy_before_training(batchguard):
    keras.layers.Dense(200_000).build((None, 64))

@pytest.mark.batchguard(4, 8)
def test_narrow(batchguard):
    tiny.train(batchguard)
"""


@pytest.fixture(scope="module")
def run(new_project):
    return new_project(test_fit=GUARDS).run("--batchguard", "-rA", "--batchguard-memory-budget", "30MiB")


@pytest.mark.parametrize("name", ["test_wide[b4-64x64]", "test_heavy_before_training[b4-8x8]"])
def test_what_needs_more_than_the_budget_does_not_fit(run, name):
    failure = text_of(run.section(name))

    assert run.figures_of(name)["judgement"]["verdict"] == "does-not-fit"
    assert run.figures_of(name)["measurement"]["failure"]["kind"] == "oom"
    pytest.LineMatcher([failure]).fnmatch_lines(
        ["does-not-fit: out of memory: no room for a tensor of shape [[]*], float*; the budget is 30 MiB*"]
    )


@pytest.mark.parametrize("name", ["test_wide[b4-64x64]", "test_heavy_before_training[b4-8x8]"])
def test_message_about_what_does_not_fit_is_short(run, name):
    assert len(run.section(name)) < 15


def test_next_case_is_unharmed(run):
    run.stdout.fnmatch_lines(["PASSED test_fit.py::test_narrow[[]b4-8x8]"])


def test_table_shows_the_peak_beside_the_budget(run):
    pytest.LineMatcher(run.summary()).fnmatch_lines(["test_narrow[[]b4-8x8]*no-baseline*KiB of 30 MiB*"])


def test_run_fails(run):
    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
