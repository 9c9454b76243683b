"""What the plugin costs: installed but unused, a suite of small cases, the isolation of a case, the steps it times.

    python benchmarks/overhead.py

Prints and writes benchmarks/results/overhead.md.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from record import record, table

UNUSED_RUNS = 100
CASES = 8
SUITES = 3
TRAININGS = 5
SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"

UNUSED = """
import contextlib, gc, io, json, sys, time
import pytest

def seconds(*arguments):
    for name in [name for name in sys.modules if name.startswith("pytest_batchguard")]:
        del sys.modules[name]
    gc.collect()
    begin = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *arguments])
    return time.process_time() - begin

seconds()
without = ("-p", "no:batchguard")
runs = [(seconds(*without), seconds(), seconds(*without)) for _ in range(int(sys.argv[1]))]
print(json.dumps(list(zip(*runs))))
"""

PROJECT = """
import numpy
import pytest

def small_model():
    import keras

    model = keras.Sequential([
        keras.Input((32, 32, 1)),
        keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

def images(count=256):
    chance = numpy.random.default_rng(0)
    labels = chance.integers(0, 10, count)
    x = chance.normal(size=(count, 32, 32, 1)).astype("float32") + labels[:, None, None, None]
    return x, labels
"""

GUARDS = """
import pytest
from project import images, small_model

@pytest.mark.batchguard(batch_size=[4, 8, 12, 16, 20, 24, 28, 32], image_size=32)
def test_trains(batchguard):
    batchguard.train(small_model(), images())
"""

TIMES = """
import json, os, time
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    begin = time.perf_counter()
    try:
        return (yield)
    finally:
        who = "parent" if item.config.pluginmanager.has_plugin("batchguard-session") else "child"
        with open(os.environ["BENCHMARK_TIMES"], "a") as file:
            file.write(json.dumps([who, item.nodeid, time.perf_counter() - begin]) + "\\n")
"""

SCRIPT = """
import sys
from project import images, small_model

batch_size, steps = int(sys.argv[1]), int(sys.argv[2])
x, y = images()
model = small_model()
epochs = -(-steps * batch_size // len(x))
model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
"""

TIMED_GUARDS = """
import json, os, time
import pytest

@pytest.mark.batchguard(cases=[(64, 32), (128, 32), (32, 180)])
def test_trains(batchguard, request):
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    model, digits = build_classifier(batchguard.image_size), load_digits(batchguard.image_size, batchguard.batch_size)
    begin = time.perf_counter()
    batchguard.train(model, digits)
    with open(os.environ["BENCHMARK_TIMES"], "a") as file:
        file.write(json.dumps([request.node.name, time.perf_counter() - begin]) + "\\n")
"""

BARE = """
import sys, time
import tensorflow as tf
from digits_classifier.data import load_digits
from digits_classifier.model import build_classifier

batch_size, side, steps = map(int, sys.argv[1:])
model, digits = build_classifier((side, side)), load_digits((side, side), batch_size)
full = digits.filter(lambda images, labels: tf.shape(images)[0] == batch_size).repeat()
begin = time.perf_counter()
model.fit(full, steps_per_epoch=steps, verbose=0)
print(time.perf_counter() - begin)
"""


def unused() -> list[str]:
    """Return what the plugin adds to a run without guards, its import included."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [sys.executable, "-c", UNUSED, str(UNUSED_RUNS)]
        done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)
    before, used, after = json.loads(done.stdout.splitlines()[-1])
    added = [with_plugin - (low + high) / 2 for low, with_plugin, high in zip(before, used, after, strict=True)]
    noise = [second - first for first, second in zip(before, after, strict=True)]
    row = [f"{1000 * median(values):.1f} ms" for values in (before, added, noise)]
    return [
        f"Installed but unused, `pytest --collect-only` (medians of {UNUSED_RUNS} runs; target 5 ms):",
        "",
        *table(["a run without the plugin", "added by it", "a second run without it"], [row]),
    ]


def suite() -> list[str]:
    """Return the time of 8 small cases in one guarded run and in separate runs of Python."""
    guarded, plain, doubled, isolation = [], [], [], []
    for _ in range(SUITES):
        with tempfile.TemporaryDirectory() as folder:
            seconds, steps, added = _guarded_suite(Path(folder))
            guarded.append(seconds)
            isolation.append(added)
            training = sum(_script(folder, batch_size, count) for batch_size, count in steps.items())
            plain.append(training)
            doubled.append(training + sum(_script(folder, batch_size, 6) for batch_size in steps))
    rows = [
        ["one guarded run, both passes of every case", f"{median(guarded):.1f} s", ""],
        [
            "8 Python runs of the throughput pass's steps",
            f"{median(plain):.1f} s",
            f"{median(guarded) / median(plain):.2f}",
        ],
        [
            "16 Python runs of both passes' steps",
            f"{median(doubled):.1f} s",
            f"{median(guarded) / median(doubled):.2f}",
        ],
    ]
    return [
        f"{CASES} small cases (median of {SUITES}; target: at most half of separate runs of the same steps):",
        "",
        *table(["", "time", "guarded ÷ this"], rows),
        "",
        f"What isolation adds to a case, both passes together (target 0.5 s): {median(isolation):.2f} s",
    ]


def steps() -> list[str]:
    """Return the time of a throughput pass and of the same steps without a guard, both without imports."""
    rows = []
    guarded: dict[str, list[float]] = {}
    bare: dict[str, list[float]] = {}
    taken: dict[str, list[int]] = {}
    for _ in range(TRAININGS):
        for name, (seconds, count) in _guarded_trainings().items():
            batch, side = map(int, re.findall(r"\d+", name)[:2])
            guarded.setdefault(name, []).append(seconds)
            taken.setdefault(name, []).append(count)
            bare.setdefault(name, []).append(_bare(batch, side, count))
    for name, seconds in guarded.items():
        ratios = [one / other for one, other in zip(seconds, bare[name], strict=True)]
        rows.append(
            [
                name,
                f"{median(taken[name]):.0f}",
                f"{median(bare[name]):.1f} s",
                f"{median(seconds):.1f} s",
                f"{median(ratios):.2f}",
            ]
        )
    return [
        f"A throughput pass with yardstick and parts alone (medians of {TRAININGS}; target: twice the bare steps):",
        "",
        *table(["case", "steps", "bare `fit`", "guarded", "guarded ÷ bare"], rows),
    ]


def _guarded_trainings() -> dict[str, tuple[float, int]]:
    """Return the seconds and the steps of each case's throughput pass."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text(f"[pytest]\npythonpath = {SAMPLE_PROJECT}\n", encoding="utf-8")
        Path(folder, "test_guards.py").write_text(TIMED_GUARDS, encoding="utf-8")
        times = Path(folder, "times.txt")
        command = [sys.executable, "-m", "pytest", "-q", "--batchguard", "--batchguard-json", "figures.json"]
        environment = {**os.environ, "BENCHMARK_TIMES": str(times)}
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        # The memory pass writes a line too; the throughput pass follows it.
        seconds = dict(json.loads(line) for line in times.read_text(encoding="utf-8").splitlines())
        cases = json.loads(Path(folder, "figures.json").read_text(encoding="utf-8"))["cases"]
    names = {case["node_id"].rpartition("::")[2]: case["measurement"]["steps"] for case in cases}
    return {name: (seconds[name], count) for name, count in names.items()}


def _bare(batch_size: int, side: int, count: int) -> float:
    words = [sys.executable, "-c", BARE, *map(str, (batch_size, side, count))]
    done = subprocess.run(words, cwd=SAMPLE_PROJECT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(done.stdout.split()[-1])


def _guarded_suite(folder: Path) -> tuple[float, dict[int, int], float]:
    for name, text in {"project.py": PROJECT, "test_guards.py": GUARDS, "conftest.py": TIMES}.items():
        (folder / name).write_text(text, encoding="utf-8")
    times = folder / "times.txt"
    command = [sys.executable, "-m", "pytest", "-q", "--batchguard", "--batchguard-json", "figures.json"]
    begin = time.perf_counter()
    environment = {**os.environ, "BENCHMARK_TIMES": str(times)}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    steps = {case["measurement"]["batch_size"]: case["measurement"]["steps"] for case in figures["cases"]}
    added: dict[str, float] = {}
    for line in times.read_text(encoding="utf-8").splitlines():
        who, node_id, spent = json.loads(line)
        added[node_id] = added.get(node_id, 0.0) + (spent if who == "parent" else -spent)
    # The first case also waits for the servers to import TensorFlow.
    return seconds, steps, median(list(added.values())[1:])


def _script(folder: str, batch_size: int, steps: int) -> float:
    script = Path(folder, "script.py")
    script.write_text(SCRIPT, encoding="utf-8")
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, str(script), str(batch_size), str(steps)], cwd=folder, check=True, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - begin


if __name__ == "__main__":
    record("overhead", "python benchmarks/overhead.py", [*unused(), "", *suite(), "", *steps()])
