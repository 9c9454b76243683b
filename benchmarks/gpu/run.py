"""Everything that has to be seen on a GPU, in under 20 minutes: one command, one JSON file.

    python benchmarks/gpu/run.py [STEP …] [--minutes M] [--kinds KIND …]

Writes benchmarks/results/gpu-<device key>.json after every step and goes on after one that fails. A step that has used
up its share of the time says what it left out; steps asked for by name share it evenly. Steps that only ask for memory
may run beside one another, for one kind of model each. `--device cpu` runs the same on a CPU: to see that the script
works, and to see how well the peaks there foretell a GPU's.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parents[1]))

from lab import Bench, work_on
from record import RESULTS

from pytest_batchguard.core.judge import judge
from pytest_batchguard.core.model import Device, FailureKind, Limits, Measurement, Provenance, Verdict
from pytest_batchguard.core.plain import to_plain
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.core.repeats import combine
from pytest_batchguard.measure.device import choose_device, cpu_device
from pytest_batchguard.measure.nvml import driver_versions, gpu_use, opened_nvml
from pytest_batchguard.tuning.memory_line import Probe
from pytest_batchguard.tuning.search import SizeSearch

REPOSITORY = Path(__file__).parents[2]
GIB = 2**30
KINDS = ("digits", "mobilenet", "resnet")
SIZES = (32, 96, 180, 224)
BATCHES = (32, 128, 256)
FAR_TOO_LARGE = 2**13
BATCH_WITH_XLA = 128
"""XLA compiles some models for half a minute; one size shows what it changes."""
BUDGETS = (8, 24, 0, 16)
"""To tune within, in GiB; 0 is the whole card."""
PROCESSES = 10
SPEED_RUNS = 20
BARE_EVERY = 4
SECONDS_TO_FREE = 5.0
SLOWDOWN = 0.05
SPEED = {"digits": (32, 256, True), "resnet": (96, 128, False)}
"""Image size, batch size and XLA, by kind, of what is timed: small kernels one after the other, and a card at work."""
FORWARD_SHARE = 1 / 3
"""A prediction's share of a step, by its arithmetic."""

GUARDS = """
import pytest

def build(kind, size, policy, jit):
    import keras

    keras.mixed_precision.set_global_policy(policy)
    if kind == "digits":
        from digits_classifier.model import build_classifier
        model, channels = build_classifier(size), 1
    else:
        application = keras.applications.MobileNetV2 if kind == "mobilenet" else keras.applications.ResNet50
        model, channels = application(input_shape=(*size, 3), weights=None, classes=10), 3
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile="auto" if jit else False)
    return model, channels

def endless(batch_size, image_size, channels):
    import tensorflow as tf

    images = tf.random.stateless_uniform((batch_size, *image_size, channels), (0, 1))
    labels = tf.random.stateless_uniform((batch_size,), (0, 2), 0, 10, tf.int32)
    return tf.data.Dataset.from_tensors((images, labels)).repeat()

@pytest.mark.parametrize("slowdown", [0.0, {slowdown}])
@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("kind", {kinds})
@pytest.mark.batchguard(1, {sizes})
def test_model(batchguard, kind, policy, jit, slowdown):
    model, channels = build(kind, batchguard.image_size, policy, jit)
    data = endless(batchguard.batch_size, batchguard.image_size, channels)
    if slowdown:
        predict_more(model, round(slowdown / {forward_share} * batchguard.batch_size))
    batchguard.train(model, data)

def predict_more(model, images):
    import tensorflow as tf

    train_step = model.train_step

    def slower(data):
        logs = train_step(data)
        more = model(data[0][:images], training=False)
        return {**logs, "loss": logs["loss"] + 1e-30 * tf.reduce_sum(tf.cast(more, "float32"))}

    model.train_step = slower
"""
BARE_FIT = """
import sys, time
sys.path[:0] = {module_path}
from test_guards import build, endless

kind, size, batch, jit = {bare}
model, channels = build(kind, (size, size), "float32", jit)
data = endless(batch, (size, size), channels)
model.fit(data, steps_per_epoch=50, verbose=0)
begin = time.perf_counter()
model.fit(data, steps_per_epoch=50, verbose=0)
steps = max(50, round(150 / (time.perf_counter() - begin)))
begin = time.perf_counter()
model.fit(data, steps_per_epoch=steps, verbose=0)
print(steps * batch / (time.perf_counter() - begin))
"""

STEP_PEAKS = """
import sys
sys.path[:0] = {module_path}
import keras, tensorflow as tf
from test_guards import build, endless

kind, size, batch, jit, device = {asked}
peaks = []

class Peaks(keras.callbacks.Callback):
    def on_train_batch_end(self, step, logs):
        float(logs["loss"])
        peaks.append(tf.config.experimental.get_memory_info(device)["peak"])
        tf.config.experimental.reset_memory_stats(device)

model, channels = build(kind, (size, size), "float32", jit)
data = endless(batch, (size, size), channels)
model.fit(data, steps_per_epoch=6, verbose=0, callbacks=[Peaks()])
print(*peaks)
"""

Step = Callable[["Host"], dict[str, Any]]


class Host:
    """The machine, the guards on it and the time that is left.

    Args:
        device: What to train on.
        kinds: Of models, for the steps that go through them.
        budgets: Memory budgets to tune within; `None` is the whole card.
        seconds: For all steps together.

    Attributes:
        save: Keeps what the present step has found so far.
    """

    def __init__(self, device: Device, kinds: Sequence[str], budgets: Sequence[int | None], seconds: float) -> None:
        self.device = device
        self.kinds = kinds
        self.budgets = budgets
        self.benches: dict[tuple[str, int, str, bool, float], Bench] = {}
        self.save: Callable[[dict[str, Any]], None] = lambda _found: None
        self._end = time.monotonic() + seconds
        self._step_end = self._end

    def add(self, bench: Bench) -> None:
        """Take a guard."""
        chosen = bench.parameters
        key = (chosen["kind"], bench.case.image_size.height, chosen["policy"], chosen["jit"], chosen["slowdown"])
        self.benches[key] = bench

    def begin_step(self, share: float) -> None:
        """Give the next step a share of the time that is left."""
        now = time.monotonic()
        self._step_end = now + share * max(0.0, self._end - now)

    @property
    def is_late(self) -> bool:
        """Whether the step has used up its share."""
        return time.monotonic() > self._step_end

    def bench(self, kind: str, size: int, *, policy: str = "float32", jit: bool = True, slowdown: float = 0.0) -> Bench:
        """Return a guard."""
        return self.benches[kind, size, policy, jit, slowdown]

    def used_bytes(self) -> int | None:
        """Return what everybody holds of the card."""
        if self.device.uuid is None:
            return None
        with opened_nvml() as pynvml:
            return gpu_use(pynvml, self.device.uuid, os.getpid()).used_bytes

    @property
    def whole(self) -> Pass:
        """The pass that times a training."""
        return Pass.WHOLE if self.device.is_gpu else Pass.THROUGHPUT


def measured(bench: Bench, kind: Pass, batch_size: int, **changes: Any) -> dict[str, Any]:
    """Return figures, failure and time of one process."""
    begin = time.monotonic()
    attempt = bench.measure(kind, batch_size, **changes)
    found = attempt.measurement or Measurement(batch_size, bench.case.image_size)
    figures: dict[str, Any] = {"batch_size": batch_size, "seconds": round(time.monotonic() - begin, 2)}
    for part in ("memory", "activation_bytes", "failure", "model", "notes"):
        value = getattr(found, part)
        if value:
            figures[part] = to_plain(value)
    if found.throughput:
        throughput = found.throughput
        figures["images_per_second"] = throughput.images_per_second
        figures["pace"] = throughput.pace
        figures["yardstick_share"] = sum(throughput.yardstick_seconds) / sum(throughput.step_seconds)
    return figures


def memory(host: Host) -> dict[str, Any]:
    """Peak, NVML's figures for process and card, by model, batch, precision and XLA."""
    found, left_out = [], []
    batches = [(batch, False) for batch in BATCHES] + [(BATCH_WITH_XLA, True)]
    for kind, (batch, jit), policy in product(host.kinds, batches, ("float32", "mixed_float16")):
        setting = {"kind": kind, "policy": policy, "xla": jit}
        if host.is_late:
            left_out.append({**setting, "batch_size": batch})
            continue
        bench = host.bench(kind, 224, policy=policy, jit=jit)
        found.append({**setting, **measured(bench, Pass.MEMORY, batch)})
        host.save({"runs": found})
    return {"runs": found, "left_out": left_out}


def spread(host: Host) -> dict[str, Any]:
    """The peak of one program in fresh processes."""
    found: dict[str, Any] = {}
    for kind in host.kinds:
        peaks: list[int] = []
        while len(peaks) < PROCESSES and not host.is_late:
            peaks.append(measured(host.bench(kind, 96, jit=False), Pass.MEMORY, 32)["memory"]["peak_bytes"])
            found[kind] = {"peaks": peaks, "spread": (max(peaks) - min(peaks)) / median(peaks)}
            host.save(found)
    return found


def budget(host: Host) -> dict[str, Any]:
    """A limit that is kept and one that is not: the real error, and how far NVML is above the limit."""
    bench = host.bench("resnet", 224, jit=False)
    limit = 8 * GIB
    found: dict[str, Any] = {"limit_bytes": limit}
    for name, size in (("fits", 32), ("does_not_fit", 1024)):
        found[name] = measured(bench, Pass.MEMORY, size, budget_bytes=limit)
        host.save(found)
    return found


def out_of_memory(host: Host) -> dict[str, Any]:
    """Far too large, and a little too large, with and without XLA; the case after it is unharmed."""
    found: dict[str, Any] = {"used_before": host.used_bytes()}
    search, probes = _searched(host, host.bench("resnet", 224, jit=False), None)
    found["probes without xla"] = probes
    for jit in (False, True):
        bench = host.bench("resnet", 224, jit=jit)
        tried = found[f"xla {jit}"] = {}
        just = search.smallest_failing or FAR_TOO_LARGE
        for name, size in (("far_too_large", FAR_TOO_LARGE), ("next_case", 32), ("just_too_large", just)):
            if not host.is_late:
                tried[name] = measured(bench, Pass.MEMORY, size)
                host.save(found)
    found["used_after"] = host.used_bytes()
    return found


def isolation(host: Host) -> dict[str, Any]:
    """Memory of the card before, after a case, and after one that was killed."""
    found: dict[str, Any] = {"before": host.used_bytes()}
    found["case"] = measured(host.bench("digits", 32), Pass.MEMORY, 64)
    found["after_case"] = host.used_bytes()
    killed = "import os, signal, tensorflow as tf\nx = tf.zeros((2**28,))\nos.kill(os.getpid(), signal.SIGKILL)\n"
    ended = subprocess.run([sys.executable, "-c", killed], check=False, capture_output=True, env=_growing())
    found["killed"] = ended.returncode == -signal.SIGKILL
    found["after_killed"] = host.used_bytes()
    begin = time.monotonic()
    while host.used_bytes() != found["before"] and time.monotonic() - begin < SECONDS_TO_FREE:
        pass
    found["seconds_to_free"] = time.monotonic() - begin
    return found


def throughput(host: Host) -> dict[str, Any]:
    """How far pace and images per second vary, against a bare loop, and how a 5 % slowdown is judged."""
    return {kind: _timed(host, kind) for kind in host.kinds if kind in SPEED}


def _timed(host: Host, kind: str) -> dict[str, Any]:
    size, batch, jit = SPEED[kind]
    usual: list[Measurement | None] = []
    slow: list[Measurement | None] = []
    bare: list[float] = []
    seconds = 0.0
    for number in range(SPEED_RUNS):
        if host.is_late:
            break
        begin = time.monotonic()
        usual.append(host.bench(kind, size, jit=jit).measure(host.whole, batch).measurement)
        seconds += time.monotonic() - begin
        if number % 2:
            slow.append(host.bench(kind, size, jit=jit, slowdown=SLOWDOWN).measure(host.whole, batch).measurement)
        if number % BARE_EVERY == 0:
            bare.append(_bare_images_per_second(host, kind))
        timed = [to_plain(each.throughput) for each in usual if each and each.throughput]
        host.save({kind: {"bare_fit": bare, "usual": timed}})
    timed_runs, slowed_runs = (_timed_alone(host, measurements) for measurements in (usual, slow))
    runs = [each.throughput for each in timed_runs if each.throughput]
    slowed = [each.throughput for each in slowed_runs if each.throughput]
    rates = [each.images_per_second for each in runs]
    paces = [each.pace for each in runs]
    found: dict[str, Any] = {
        "seconds_a_run": seconds / len(usual),
        "bare_fit": bare,
        "usual": [to_plain(each) for each in runs],
        "slowed": [to_plain(each) for each in slowed],
        "failures": [to_plain(each.failure) for each in (*usual, *slow) if each and each.failure],
    }
    if len(runs) > 2:
        found["against_bare"] = median(rates) / median(bare) - 1
        found["variation"] = {"images_per_second": stdev(rates) / fmean(rates), "pace": stdev(paces) / fmean(paces)}
        found["false_alarms"] = {
            str(tolerance): _alarms(timed_runs, timed_runs, tolerance) for tolerance in (0.05, 0.1)
        }
        found["slowdown_seen"] = {
            str(tolerance): _alarms(timed_runs, slowed_runs, tolerance) for tolerance in (0.025, 0.05)
        }
    return found


def _bare_images_per_second(host: Host, kind: str) -> float:
    return _printed_by(host, BARE_FIT.replace("{bare}", repr((kind, *SPEED[kind]))))[-1]


def _printed_by(host: Host, program: str, **environment: str) -> list[float]:
    """Run a program that may import the guards on the host's device; return the numbers in its last line."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_guards.py").write_text(_guards(), encoding="utf-8")
        program = program.replace("{module_path}", repr([folder, *map(str, _module_path())]))
        command = [sys.executable, "-c", program]
        device = {"CUDA_VISIBLE_DEVICES": host.device.uuid or "-1"}
        environment = {**os.environ, **device, **environment}
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return [float(word) for word in ended.stdout.splitlines()[-1].split()]


def step_peaks(host: Host) -> dict[str, Any]:
    """The peak of every step by itself: what of it is the first step's alone, as ways to convolve are tried there."""
    found: dict[str, Any] = {}
    allocator = {"TF_CPU_ALLOCATOR_USE_BFC": "1", "TF_ENABLE_ONEDNN_OPTS": "0", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    device = "GPU:0" if host.device.is_gpu else "CPU:0"
    for kind, jit, size in product(host.kinds, (False, True), (96, 224)):
        if not host.is_late:
            program = STEP_PEAKS.replace("{asked}", repr((kind, size, 32, jit, device)))
            found[f"{kind} {size} xla {jit}"] = _printed_by(host, program, **allocator)
            host.save(found)
    return found


def _timed_alone(host: Host, measurements: Sequence[Measurement | None]) -> list[Measurement]:
    """Return what was timed, with nothing else to judge, and with the host that the guard's own runs name."""
    provenance = Provenance(host=cpu_device().key if host.device.is_gpu else None)
    return [
        replace(each, memory=None, loss=None, breakdown=None, provenance=provenance)
        for each in measurements
        if each and each.throughput
    ]


def _alarms(accepted: Sequence[Measurement], judged: Sequence[Measurement], tolerance: float) -> float | None:
    """Return the share of pairs in which one attempt against one baseline is a regression."""
    limits = Limits(throughput_tolerance=tolerance)
    verdicts = [judge(run, combine([base]), limits).verdict for base in accepted for run in judged if run is not base]
    return verdicts.count(Verdict.REGRESSED) / len(verdicts) if verdicts else None


def tuning(host: Host) -> dict[str, Any]:
    """The largest batch of every model at every size, on the whole card and within budgets."""
    found, left_out = [], []
    for limit, size, kind in product(host.budgets, reversed(SIZES), host.kinds):
        asked = {"kind": kind, "size": size, "budget_bytes": limit}
        if host.is_late:
            left_out.append(asked)
            continue
        begin = time.monotonic()
        search, probes = _searched(host, host.bench(kind, size, jit=False), limit)
        largest = search.largest
        found.append(
            {
                **asked,
                "largest": largest.batch_size if largest else None,
                "peak_bytes": largest.peak_bytes if largest else None,
                "smallest_failing": search.smallest_failing,
                "is_complete": search.next_size() is None,
                "probes": probes,
                "seconds": round(time.monotonic() - begin, 1),
            }
        )
        host.save({"searches": found})
    return {"searches": found, "left_out": left_out}


def _searched(host: Host, bench: Bench, budget: int | None) -> tuple[SizeSearch, list[dict[str, Any]]]:
    """Search the largest batch; return the search, at its end or as far as time allowed, and what it measured."""
    search = SizeSearch(32, budget or host.device.memory_bytes)
    probes: list[dict[str, Any]] = []
    while not host.is_late and (size := search.next_size()) is not None:
        figures = measured(bench, Pass.MEMORY, size, budget_bytes=budget)
        probes.append(figures)
        failure = figures.get("failure")
        if failure is not None and failure["kind"] != FailureKind.OOM.value:
            raise RuntimeError(f"{bench.name} at {size}: {failure}")
        peak = figures.get("memory", {})
        known = (peak.get("peak_bytes"), peak.get("held_bytes"), figures.get("activation_bytes"))
        search.add(Probe(size, failure is None, *known))
    return search, probes


def devices(host: Host) -> dict[str, Any]:
    """Key, provenance, and what other orders of `CUDA_VISIBLE_DEVICES` show."""
    found: dict[str, Any] = {"device": to_plain(host.device)}
    with opened_nvml() as pynvml:
        if pynvml is None or host.device.uuid is None:
            return found
        found["driver"], found["cuda"] = driver_versions(pynvml)
    for asked in ("0", host.device.uuid, host.device.uuid[:12], "7,0", ""):
        seen = choose_device("auto", {"CUDA_VISIBLE_DEVICES": asked})
        found[f"CUDA_VISIBLE_DEVICES={asked}"] = seen.key
    other = "import sys, tensorflow as tf\nx = tf.zeros((2**26,))\nprint('held', flush=True)\nsys.stdin.read()\n"
    command = [sys.executable, "-c", other]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=_growing()) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        found["beside_another_process"] = measured(host.bench("digits", 32), Pass.MEMORY, 64)
        neighbour.kill()
    return found


def _growing() -> dict[str, str]:
    """Return an environment in which TensorFlow takes of the card what it needs."""
    return {**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


STEPS: dict[str, tuple[Step, float]] = {
    "devices": (devices, 0.1),
    "isolation": (isolation, 0.1),
    "step_peaks": (step_peaks, 0.15),
    "budget": (budget, 0.1),
    "throughput": (throughput, 0.3),
    "out_of_memory": (out_of_memory, 0.3),
    "memory": (memory, 0.5),
    "spread": (spread, 0.4),
    "tuning": (tuning, 0.95),
}
"""Each with its share of the time that is then left, where all are run."""


def _guards() -> str:
    values = {"{slowdown}": repr(SLOWDOWN), "{kinds}": repr(list(KINDS)), "{sizes}": repr(list(SIZES))}
    values["{forward_share}"] = repr(FORWARD_SHARE)
    guards = GUARDS
    for name, value in values.items():
        guards = guards.replace(name, value)
    return guards


def _module_path() -> list[Path]:
    return [REPOSITORY / "sample_project", REPOSITORY / "benchmarks", REPOSITORY]


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}; all unless given")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="of models; all unless given")
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS, metavar="GIB", help="0 is the whole card")
    parser.add_argument("--device", default="gpu")
    arguments = parser.parse_args()
    unknown = set(arguments.steps) - set(STEPS)
    if unknown:
        parser.error(f"unknown steps {sorted(unknown)}, allowed: {', '.join(STEPS)}")
    device = choose_device(arguments.device, os.environ)
    budgets = [GIB * budget or None for budget in arguments.budgets]
    host = Host(device, arguments.kinds, budgets, 60 * arguments.minutes)
    total = len(KINDS) * len(SIZES) * 8

    def work(bench: Bench) -> None:
        host.add(bench)
        if len(host.benches) == total:
            asked = arguments.steps or list(STEPS)
            for number, name in enumerate(asked):
                _run_step(host, name, 1 / (len(asked) - number) if arguments.steps else STEPS[name][1])

    work_on(_guards(), host.device, work, _module_path())


def _run_step(host: Host, name: str, share: float) -> None:
    step, _share = STEPS[name]
    host.begin_step(share)
    key = name if set(host.kinds) == set(KINDS) else f"{name} {' '.join(host.kinds)}"
    path = RESULTS / f"gpu-{host.device.key}.json"
    saved: dict[str, Any] = {}

    def save(found: dict[str, Any]) -> None:
        saved.update(found)
        _write(path, key, saved)

    host.save = save
    begin = time.monotonic()
    try:
        found = step(host)
    except Exception:
        found = {**saved, "failed": traceback.format_exc()}
    found["step_seconds"] = round(time.monotonic() - begin, 1)
    _write(path, key, found)
    print(key, "failed" if "failed" in found else "done", found["step_seconds"], "s", flush=True)


def _write(path: Path, key: str, found: dict[str, Any]) -> None:
    with FileLock(f"{path}.lock"):
        results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**results, key: found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
