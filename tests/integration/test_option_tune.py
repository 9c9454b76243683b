"""`--batchguard-tune`: what fits, what is fast and what learns, at each image size, from real trainings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import yaml

from tests.integration.project import DEVICE, INTERRUPTIBLE, environment, text_of, wait_for_writer

GUARDS = """
import pytest
import tiny

def network(guard):
    import keras

    large = [keras.layers.UpSampling2D(32), keras.layers.Rescaling(0.5), keras.layers.AveragePooling2D(32)]
    layers = [keras.Input((*guard.image_size, 1)), *large, keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.01)

    def rate(labels, logits):
        return keras.ops.convert_to_tensor(optimizer.learning_rate)

    model.compile(optimizer, loss, metrics=["accuracy", rate])
    return model

@pytest.mark.batchguard([4, 16], 8)
def test_model(batchguard):
    import itertools
    import keras

    photos = tiny.photos(batchguard, batches=2)
    without_end = (tiny.photos(batchguard) for _ in itertools.count())
    sets_the_rate = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01)
    wants_the_validation = keras.callbacks.ModelCheckpoint("{val_loss}.keras")
    batchguard.train(network(batchguard), photos, without_end, callbacks=[sets_the_rate, wants_the_validation])
    assert batchguard.batch_size in {4, 16}, "asserts of the test's own are for the declared sizes"

@pytest.mark.batchguard(8, 8)
def test_step(batchguard):
    import numpy as np

    weights = []
    data = np.zeros((20, *batchguard.image_size, 1), "float32")
    batchguard.train_step(lambda batch: weights.append(0) or 1.0 / len(weights), data)

@pytest.mark.batchguard(8, 8)
def test_broken(batchguard):
    raise ValueError("nothing to tune")

@pytest.mark.skip(reason="not today")
@pytest.mark.batchguard(8, 8)
def test_skipped(batchguard):
    raise AssertionError

def test_other():
    raise AssertionError("no guard, so nothing to tune")
"""
BUDGET = "--batchguard-memory-budget=16MB"
TUNE = ("--batchguard-tune", BUDGET, "--batchguard-tune-multiple=8", "--batchguard-tune-time-limit=10")


@pytest.fixture(scope="module")
def project(new_project):
    return new_project(test_it=GUARDS)


@pytest.fixture(scope="module")
def tuned(project):
    return project.run(*TUNE, "-rs")


@pytest.fixture(scope="module")
def found(tuned, project):
    file = yaml.safe_load((project.folder / "batchguard-tune.yaml").read_text())
    assert list(file["devices"]) == [DEVICE.key]
    return file["devices"][DEVICE.key]["guards"]


def test_each_guard_is_tuned_once_for_each_image_size(tuned, found):
    assert set(found) == {"test_it.py::test_model", "test_it.py::test_step"}
    assert list(found["test_it.py::test_model"]) == ["8x8"]
    assert list(found["test_it.py::test_step"]) == ["8x8"]
    assert tuned.outcomes() == {"passed": 2, "failed": 1, "skipped": 1, "deselected": 1}


def test_largest_batch_was_trained_and_the_next_one_runs_out_of_memory(found):
    largest = found["test_it.py::test_model"]["8x8"]["largest"]

    assert largest["limit_bytes"] == 16_000_000
    assert largest["peak_bytes"] <= 16_000_000
    assert largest["batch_size"] < largest["smallest_failing"]
    assert largest["smallest_failing"] == largest["batch_size"] + 8
    assert largest["batch_size"] % 8 == 0


def test_data_bounds_the_batch(found):
    largest = found["test_it.py::test_step"]["8x8"]["largest"]

    assert largest["batch_size"] == 16  # of 20 images
    assert "smallest_failing" not in largest
    assert largest["reason"] == "the data has no more images"


def test_speeds_are_measured_up_to_the_plateau_and_at_the_declared_sizes(found):
    points = found["test_it.py::test_model"]["8x8"]["throughput"]

    assert {4, 16} <= {point["batch_size"] for point in points}
    assert all(point["images_per_second"] > 0 for point in points)
    assert all(point["pace_interval"][0] <= point["pace"] <= point["pace_interval"][1] for point in points)


def test_noise_is_sampled_before_and_after_training(found):
    noise = found["test_it.py::test_model"]["8x8"]["noise_scale"]

    assert [each["at"] for each in noise] == ["initialisation", "trained"]
    assert [each["samples"] for each in noise] == [8, 8]  # the fewest, as the data has but two batches


def test_candidates_are_validated_at_equal_work(found):
    trials = found["test_it.py::test_model"]["8x8"]["validation"]

    assert {4, 16} <= {trial["batch_size"] for trial in trials}
    assert all(trial["loss"] > 0 and 0 <= trial["metrics"]["accuracy"] <= 1 for trial in trials)
    rates = {trial["batch_size"]: trial["learning_rate"] for trial in trials}
    assert rates[16] == pytest.approx(4 * rates[4])


def test_rate_that_a_callback_sets_is_scaled_too(found):
    for trial in found["test_it.py::test_model"]["8x8"]["validation"]:
        assert trial["metrics"]["rate"] == pytest.approx(trial["learning_rate"])


def test_recommended_size_was_timed_and_fits(found):
    entry = found["test_it.py::test_model"]["8x8"]

    assert entry["recommended"]["batch_size"] <= entry["largest"]["batch_size"]
    assert entry["recommended"]["batch_size"] in {point["batch_size"] for point in entry["throughput"]}
    assert "linear (SGD: Goyal et al. 2017)" in entry["recommended"]["rule"]
    assert any("fits" in reason for reason in entry["recommended"]["reasons"])


def test_hand_written_step_says_what_cannot_be_had(found):
    assert found["test_it.py::test_step"]["8x8"]["not_measured"] == [
        "gradient noise scale: not available for a hand-written step",
        "validation: not available for a hand-written step",
    ]


def test_guard_that_fails_fails_the_run_and_says_why(tuned):
    assert tuned.exit_code == 1
    assert "test_broken" in "".join(line for line in tuned.stdout.lines if line.startswith("____"))
    assert "ValueError: nothing to tune" in text_of(tuned.stdout.lines)


def test_guard_that_skips_itself_is_skipped(tuned):
    tuned.stdout.fnmatch_lines(["SKIPPED*not today"])


def test_summary_shows_table_reasons_and_file(tuned):
    text = text_of(tuned.section("batchguard tuned for "))

    assert "guard largest plateau noise scale use learning rate declared" in text
    assert "test_model at 8x8" in text
    assert "runs out of memory" in text
    assert "written: batchguard-tune.yaml" in text


def test_header_says_that_this_run_tunes(tuned):
    tuned.stdout.fnmatch_lines([f"batchguard: tuning, {DEVICE.key}, *, budget 15.3 MiB"])


def test_rerun_takes_up_known_probes_until_the_code_changes(tuned, found, project):
    arguments = (*TUNE, "-k", "test_step")
    file = project.folder / "batchguard-tune.yaml"

    assert project.run(*arguments).exit_code == 0
    assert yaml.safe_load(file.read_text())["devices"][DEVICE.key]["guards"] == found

    project.write({"test_it.py": GUARDS + "\n# changed\n"})
    assert project.run(*arguments).exit_code == 0
    assert yaml.safe_load(file.read_text())["devices"][DEVICE.key]["guards"] != found


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--batchguard-update"],
            "--batchguard-tune: tuning judges and records nothing; leave --batchguard-update out",
        ),
        (["--batchguard-against=HEAD"], "leave --batchguard-against out"),
        (["--batchguard-json=x.json"], "leave --batchguard-json out"),
        (["--pdb"], "leave --pdb and --trace out"),
        (["--batchguard-tune-multiple=0"], "--batchguard-tune-multiple: found '0'"),
        (["--batchguard-tune-time-limit=never"], "--batchguard-tune-time-limit: found 'never'"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(project, arguments, complaint):
    run = project.run("--batchguard-tune", *arguments)

    assert run.exit_code == 4
    assert complaint in text_of(run.stderr.lines)


def test_foreign_file_is_refused_and_kept(new_project):
    project = new_project(test_it=GUARDS)
    project.write({"batchguard-tune.yaml": "mine: true\n"})

    run = project.run("--batchguard-tune")

    assert run.exit_code == 4
    assert "batchguard-tune.yaml: not a tuning file" in text_of(run.stderr.lines)
    assert (project.folder / "batchguard-tune.yaml").read_text() == "mine: true\n"


def test_interrupt_keeps_what_was_measured_and_says_what_is_missing(new_project):
    waits = """
    import pathlib
    import pytest
    import tiny

    @pytest.mark.batchguard(4, 8)
    def test_it(batchguard):
        if len(list(pathlib.Path(".").glob("run-*"))) == 1:
            pathlib.Path("gate").write_text("")  # read by the test
            pathlib.Path("gate").write_text("")  # read by nobody: waits to be interrupted
        pathlib.Path("run-1").touch()
        photos = tiny.photos(batchguard)
        batchguard.train(tiny.network(batchguard), (photos[0][:4], photos[1][:4]))
    """
    project = new_project(test_it=waits)
    gate = project.folder / "gate"
    os.mkfifo(gate)
    command = [sys.executable, "-c", INTERRUPTIBLE, "--batchguard-tune", BUDGET]
    with subprocess.Popen(command, cwd=project.folder, env=environment(), stdout=subprocess.PIPE, text=True) as run:
        try:
            wait_for_writer(gate)
            run.send_signal(signal.SIGINT)
            output, _ = run.communicate(timeout=60)
        finally:
            run.kill()

    text = " ".join(output.split())
    assert "not measured: the throughput curve: the run was interrupted" in text
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    entry = yaml.safe_load((project.folder / "batchguard-tune.yaml").read_text())["devices"][DEVICE.key]["guards"]
    assert entry["test_it.py::test_it"]["8x8"]["largest"]["batch_size"] == 4


def test_guard_that_skips_itself_at_some_size_ends_the_search_there(new_project):
    guard = """
        import pytest, tiny

        @pytest.mark.batchguard(4, 8)
        def test_few(batchguard):
            if batchguard.batch_size > 32:
                pytest.skip("enough")
            photos = tiny.photos(batchguard, 1 + 512 // batchguard.batch_size)
            batchguard.train(tiny.network(batchguard), photos)
    """
    project = new_project(test_few=guard)

    run = project.run("--batchguard-tune", "--batchguard-tune-time-limit=5")

    assert run.outcomes() == {"passed": 1}
    (sizes,) = yaml.safe_load((project.folder / "batchguard-tune.yaml").read_text())["devices"].values()
    largest = sizes["guards"]["test_few.py::test_few"]["8x8"]["largest"]
    assert 4 <= largest["batch_size"] <= 32
    assert "the guard skipped itself" in largest["reason"]
