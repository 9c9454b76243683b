"""Changes as people make them, planted in a copy of the sample project: the guard sees each and says what it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SAMPLE_PROJECT = Path(__file__).parents[2] / "sample_project"
SMALL_CASE = "tests/test_training_guard.py::test_classifier_trains_at_32[b64-32x32]"
ROUGHLY = ("--batchguard", "--batchguard-throughput-tolerance", "100%")
"""For changes that are not about speed, whose measuring then ends early."""
LOOSELY = ("--batchguard-throughput-tolerance", "50%")
"""The same where speed is judged: the tests beside these are busy neighbours, and the planted change is far larger."""
SLOW_AUGMENTATION = """
    def augment(images, labels):
        noise = tf.random.normal((1100, 1100))
        return images + 1e-9 * tf.reduce_mean(noise @ noise @ noise), labels

    return digits.map(augment)
"""


@dataclass(frozen=True)
class Run:
    """What one guarded run of a project came to."""

    exit_code: int
    output: str
    failures: int


def run_guards(project: Path, *arguments: str) -> Run:
    junit = project / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml", str(junit), *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300, check=False)
    suite = ET.parse(junit).getroot().find("testsuite")
    return Run(done.returncode, done.stdout, int(suite.attrib["failures"]))


def plant(project: Path, file: str, pattern: str, replacement: str) -> None:
    path = project / file
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
    assert count == 1, f"{pattern!r} stands {count} times in {file}"
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def recorded_project(tmp_path_factory):
    """A copy of the sample project with a baseline of its own, taken here and now."""
    project = tmp_path_factory.mktemp("recorded") / "project"
    shutil.copytree(SAMPLE_PROJECT, project, ignore=shutil.ignore_patterns("batchguard-baselines", "__pycache__"))
    run = run_guards(project, SMALL_CASE, "--batchguard-update", "--batchguard-repeats", "3", *LOOSELY)
    assert run.exit_code == 0, run.output
    return project


@pytest.fixture
def project(recorded_project, tmp_path):
    """The recorded project, free to be changed."""
    return Path(shutil.copytree(recorded_project, tmp_path / "project"))


def test_unchanged_project_passes(project):
    run = run_guards(project, SMALL_CASE, "--batchguard", "--batchguard-strict", *LOOSELY)
    assert (run.exit_code, run.failures) == (0, 0), run.output
    assert re.search(r"test_classifier_trains_at_32\[b64-32x32\]\s+passed", run.output)


def test_wider_model_is_a_memory_regression_that_names_the_parameters(project):
    plant(project, "digits_classifier/model.py", r"FIRST_FILTERS = 8", "FIRST_FILTERS = 16")
    run = run_guards(project, SMALL_CASE, *ROUGHLY)
    assert (run.exit_code, run.failures) == (1, 1), run.output
    assert "regressed: peak memory" in run.output
    assert re.search(r"parameters 11,570 → [\d,]+", run.output)
    assert "attempt 2: regressed" in run.output


def test_slower_pipeline_is_a_throughput_regression_that_names_the_pipeline(project):
    plant(project, "digits_classifier/data.py", r"    return tf\.keras", "    digits = tf.keras")
    with (project / "digits_classifier/data.py").open("a", encoding="utf-8") as file:
        file.write(SLOW_AUGMENTATION)
    run = run_guards(project, SMALL_CASE, "--batchguard", *LOOSELY)
    assert (run.exit_code, run.failures) == (1, 1), run.output
    assert "regressed: pace" in run.output
    assert "input-bound" in run.output
    failure = " ".join(run.output.split())
    assert re.search(r"timed alone, the input pipeline \(\+\d+ %\) became slower, the model \(.*? %\) did not", failure)


def test_frozen_optimizer_no_longer_learns(project):
    plant(project, "digits_classifier/model.py", r"Adam\(1e-3\)", "Adam(0.0)")
    run = run_guards(project, SMALL_CASE, *ROUGHLY)
    assert (run.exit_code, run.failures) == (1, 1), run.output
    assert "loss decrease" in run.output
    assert "learning rate 0.001 → 0.0" in run.output


def test_diverging_learning_rate_is_unhealthy(project):
    plant(project, "digits_classifier/model.py", r"Adam\(1e-3\)", "SGD(1e4)")
    run = run_guards(project, SMALL_CASE, *ROUGHLY)
    assert (run.exit_code, run.failures) == (1, 1), run.output
    assert "unhealthy: " in run.output
    assert "optimizer Adam → SGD" in run.output


def test_batch_over_the_budget_does_not_fit(project):
    plant(project, "tests/test_training_guard.py", r"batch_size=\[64, 128\]", "batch_size=[64, 1024]")
    run = run_guards(project, *ROUGHLY, "--batchguard-memory-budget", "60MiB", "-k", "at_32")
    assert (run.exit_code, run.failures) == (1, 1), run.output
    assert re.search(r"does-not-fit: out of memory: no room for a tensor of\s+shape", run.output)
    assert "the budget is 60 MiB" in " ".join(run.output.split())
    assert re.search(r"test_classifier_trains_at_32\[b64-32x32\]\s+passed", run.output), "the other case is unharmed"
