"""How many trainings does the search for the largest batch take, and how close does it come? Real models, real memory.

    python benchmarks/search.py

Searches for three models at several image sizes and budgets. Every probe is a training in a process of its own under
a limit that the allocator enforces. Where the boundary truly lies is then found by bisection down to one image. Probes
are appended to benchmarks/results/search.jsonl.gz, so that a run that was ended goes on where it was; `--anew` begins
again. Beside it, on the same boundaries: what Lightning's and accelerate's rules would have trained and found. About an
hour from nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, median
from typing import Any

from lab import Bench, work_on
from record import RESULTS, record, table

from pytest_batchguard.core.model import FailureKind
from pytest_batchguard.core.plan import Pass
from pytest_batchguard.core.units import format_bytes, parse_size
from pytest_batchguard.measure.device import choose_device
from pytest_batchguard.tuning.memory_line import Probe
from pytest_batchguard.tuning.search import SizeSearch

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
PROBES = RESULTS / "search.jsonl.gz"
BUDGETS = {
    "digits": {
        32: ("300MB", "1GB", "2GB"),
        64: ("300MB", "1GB", "2GB"),
        96: ("300MB", "1GB", "4GB"),
        128: ("300MB", "1GB", "4GB"),
        180: ("300MB", "1GB"),
        224: ("300MB", "1GB"),
    },
    "mobilenet": {
        32: ("300MB", "1GB"),
        64: ("300MB", "1GB", "2GB"),
        96: ("300MB", "1GB", "4GB"),
        128: ("1GB", "2GB"),
        224: ("1GB", "4GB"),
    },
    "resnet": {32: ("1GB", "2GB", "4GB"), 64: ("1GB", "2GB"), 128: ("2GB", "4GB")},
}
START = 16
STARTS_OF_ACCELERATE = (128, 1024)

GUARDS = """
import pytest

def build(kind, size):
    import keras

    if kind == "digits":
        from digits_classifier.model import build_classifier
        return build_classifier(size), 1
    application = keras.applications.MobileNetV2 if kind == "mobilenet" else keras.applications.ResNet50
    model = application(input_shape=(*size, 3), weights=None, classes=10)
    optimizer = keras.optimizers.Adam() if kind == "mobilenet" else keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    return model, 3

@pytest.mark.parametrize("kind", {kinds})
@pytest.mark.batchguard(1, {sizes})
def test_model(batchguard, kind):
    import tensorflow as tf

    model, channels = build(kind, batchguard.image_size)
    images = tf.random.stateless_uniform((batchguard.batch_size, *batchguard.image_size, channels), (0, 1))
    labels = tf.zeros(batchguard.batch_size, tf.int32)
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    batchguard.train(model, data, data)
"""


class Prober:
    """Probes sizes of one model and image size under one budget, each once.

    Args:
        bench: The guard.
        budget: As in `BUDGETS`.
        known: What was probed so far; added to.
    """

    def __init__(self, bench: Bench, budget: str, known: dict[tuple[Any, ...], dict[str, Any]]) -> None:
        self._bench = bench
        self._budget = budget
        self._known = known

    def ask(self, size: int) -> Probe:
        """Return what comes of a size."""
        asked = (self._bench.parameters["kind"], self._bench.case.image_size.height, self._budget, size)
        if asked not in self._known:
            self._known[asked] = {"asked": asked, **self._measured(size)}
            with gzip.open(PROBES, "at", encoding="utf-8") as file:
                file.write(json.dumps(self._known[asked]) + "\n")
        return _probe(self._known[asked])

    def known(self) -> list[Probe]:
        """Return all that is known of this model, image size and budget."""
        key = (self._bench.parameters["kind"], self._bench.case.image_size.height, self._budget)
        return [_probe(line) for asked, line in self._known.items() if asked[:3] == key]

    def _measured(self, size: int) -> dict[str, Any]:
        budget_bytes = parse_size(self._budget)
        measurement = self._bench.measure(Pass.MEMORY, size, budget_bytes=budget_bytes).measurement
        failure = measurement.failure if measurement else None
        if measurement is None or (failure is not None and failure.kind is not FailureKind.OOM):
            raise RuntimeError(f"{self._bench.name} at {size}: neither trained nor out of memory: {failure}")
        memory = measurement.memory if failure is None else None
        return {
            "fits": failure is None,
            "peak_bytes": memory.peak_bytes if memory else None,
            "held_bytes": memory.held_bytes if memory else None,
            "activation_bytes": measurement.activation_bytes if failure is None else None,
        }


def _probe(line: dict[str, Any]) -> Probe:
    return Probe(line["asked"][3], line["fits"], line["peak_bytes"], line["held_bytes"], line["activation_bytes"])


def search_all(bench: Bench) -> None:
    """Search and bisect under every budget."""
    known = {tuple(line["asked"]): line for line in probes()}
    kind, size = bench.parameters["kind"], bench.case.image_size
    for budget in BUDGETS[kind].get(size.height, ()):
        prober = Prober(bench, budget, known)
        _, trail = searched(parse_size(budget), prober.ask)
        print(f"{kind} {size} {budget}: {trail}, truth {bisected(prober.known(), prober.ask)}", flush=True)


def probes() -> list[dict[str, Any]]:
    """Return what was probed so far."""
    if not PROBES.exists():
        return []
    with gzip.open(PROBES, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def searched(limit_bytes: int, ask: Callable[[int], Probe]) -> tuple[SizeSearch, list[int]]:
    """Search as tuning does; return the search and the sizes tried."""
    search = SizeSearch(START, limit_bytes)
    trail = []
    while (size := search.next_size()) is not None:
        trail.append(size)
        search.add(ask(size))
    return search, trail


def bisected(known: Iterable[Probe], ask: Callable[[int], Probe]) -> int:
    """Return the largest size that trains, found by bisection between what is known to train and to fail."""
    high = min((probe.batch_size for probe in known if not probe.fits), default=None)
    low = max((probe.batch_size for probe in known if probe.fits and (not high or probe.batch_size < high)), default=0)
    high = high or low + 1
    while high - low > 1:
        middle = (low + high) // 2
        if ask(middle).fits:
            low = middle
        else:
            high = middle
    return low


def lightning(boundary: int, *, binary: bool) -> tuple[int, int]:
    """Return trainings and size of Lightning's batch size finder: double from 2, then halve the gap if `binary`."""
    size, trainings, low = 2, 0, 0
    while True:
        trainings += 1
        if size > boundary:
            break
        low, size = size, size * 2
    high = size
    while binary and high - low > 1:
        trainings += 1
        middle = (low + high) // 2
        low, high = (middle, high) if middle <= boundary else (low, middle)
    return trainings, low


def accelerate(boundary: int, start: int) -> tuple[int, int]:
    """Return trainings and size of accelerate's `find_executable_batch_size`: times 0.9 until it trains."""
    size, trainings = start, 1
    while size > boundary and size > 0:
        size = int(size * 0.9)
        trainings += 1
    return trainings, size


def rows(known: dict[tuple[Any, ...], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for every search that has been made in full; replays it on the probes."""
    found = []
    for kind, sizes in BUDGETS.items():
        for side, budgets in sizes.items():
            for budget in budgets:
                here = {asked[3]: _probe(line) for asked, line in known.items() if asked[:3] == (kind, side, budget)}
                try:
                    search, trail = searched(parse_size(budget), here.__getitem__)
                    boundary = bisected(here.values(), here.__getitem__)
                except KeyError:
                    continue
                largest = search.largest
                found.append(
                    {
                        "search": f"{kind} {side}x{side}, {budget}",
                        "found": largest.batch_size if largest else 0,
                        "truth": boundary,
                        "trail": trail,
                        "peak_bytes": (largest.peak_bytes or 0) if largest else 0,
                    }
                )
    return found


def _missed(found: int, truth: int) -> str:
    return f"{1 - found / truth:.1%}" if truth else "–"


def main() -> None:
    """Probe what is missing, compare and record."""
    RESULTS.mkdir(exist_ok=True)
    if "--anew" in sys.argv:
        PROBES.unlink(missing_ok=True)
    sizes = sorted({side for sizes in BUDGETS.values() for side in sizes})
    guards = GUARDS.replace("{kinds}", repr(list(BUDGETS))).replace("{sizes}", repr(sizes))
    work_on(guards, choose_device("cpu", os.environ), search_all, [SAMPLE_PROJECT])
    report()


def report() -> None:
    """Compare what was searched so far and record it."""
    found = rows({tuple(line["asked"]): line for line in probes()})
    trainings = sorted(len(row["trail"]) for row in found)
    close = [row for row in found if row["truth"] - row["found"] <= max(1, 0.02 * row["truth"])]
    planned = sum(len(budgets) for sizes in BUDGETS.values() for budgets in sizes.values())
    usual = trainings[int(0.95 * len(trainings)) - 1]
    text = (
        f"{len(found)} of {planned} searches: median {median(trainings):g} trainings, mean {fmean(trainings):.1f}, "
        f"{usual} or fewer in 95 %, {trainings[-1]} at most; {len(close)} within 2 % or one image of the boundary."
    )
    head = ["search", "found", "boundary", "peak", "tried"]
    head += [
        "Lightning: power",
        "Lightning: binsearch",
        *(f"accelerate from {start}" for start in STARTS_OF_ACCELERATE),
    ]
    lines = [
        text,
        "The boundary is the largest size below the smallest one that was seen to fail; a size beyond it may train all",
        "the same, since what the allocator wastes is no even function of the size.",
        "",
        "The rules of others: trainings, and by how much the size they end at is too small.",
        "",
    ]
    body = []
    for row in found:
        truth = row["truth"]
        others = [lightning(truth, binary=False), lightning(truth, binary=True)]
        others += [accelerate(truth, start) for start in STARTS_OF_ACCELERATE]
        own = [row["search"], str(row["found"]), str(truth), format_bytes(row["peak_bytes"])]
        own.append(", ".join(map(str, row["trail"])))
        body.append([*own, *(f"{count}; {_missed(size, truth)}" for count, size in others)])
    record("search", "python benchmarks/search.py", [*lines, *table(head, body)])


if __name__ == "__main__":
    main()
