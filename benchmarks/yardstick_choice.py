"""Why the yardstick is what it is: how far pace varies over fresh processes, by its size and by who stands still.

    python benchmarks/yardstick_choice.py

Trains the sample project's classifier in fresh processes, in turn with candidates for the yardstick, and writes
benchmarks/results/yardstick_choice.md.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from record import record, table

from pytest_batchguard.core.model import Case, ImageSize
from pytest_batchguard.core.plan import Pass, Plan
from pytest_batchguard.isolation import messages
from pytest_batchguard.isolation.job import Job
from pytest_batchguard.isolation.launch import Child, ForkLauncher
from pytest_batchguard.measure.device import cpu_device

SAMPLE_PROJECT = Path(__file__).parents[1] / "sample_project"
CASES = (Case(64, ImageSize(32, 32)), Case(32, ImageSize(180, 180)))
PROCESSES = 8
WINDOWS = 14
WINDOW_SECONDS = 0.15
READING_SECONDS = 0.08


@dataclass(frozen=True)
class Player:
    """A process that works when it is asked and, where `is_stopped`, stands still otherwise."""

    child: Child
    inbox: messages.Inbox
    is_stopped: bool

    def ready(self) -> None:
        """Wait until it is warmed up."""
        self._answer()
        if self.is_stopped:
            self.child.pause()

    def seconds(self) -> float:
        """Let it work; return its mean time of a step."""
        if self.is_stopped:
            self.child.resume()
        self.child.channel.sendall(messages.encode({"kind": "go"}))
        seconds = float(self._answer()["seconds"])
        if self.is_stopped:
            self.child.pause()
        return seconds

    def close(self) -> None:
        """Kill it."""
        self.child.kill()
        self.child.channel.close()

    def _answer(self) -> dict[str, Any]:
        answer = self.inbox.next_message()
        if answer["kind"] != "answer":
            raise RuntimeError(str(answer))
        return answer


def train_classifier(case: Case, link: Any) -> None:
    """Train the sample project's classifier, a window of unbroken steps whenever asked; the entry of a job."""
    import keras
    from digits_classifier.data import load_digits
    from digits_classifier.model import build_classifier

    size = (case.image_size.height, case.image_size.width)
    keras.utils.set_random_seed(0)
    model = build_classifier(size)
    data = load_digits(size, case.batch_size).repeat()
    model.fit(data, steps_per_epoch=10**6, verbose=0, callbacks=_windows(keras, model, link))


def train_standard(case: Case, link: Any) -> None:
    """Take steps of the yardstick's standard training whenever asked; the entry of a job."""
    from pytest_batchguard.training import yardstick_kernel

    yardstick = yardstick_kernel.build(Plan(case, Pass.THROUGHPUT, cpu_device(), 0, 0, 0, 0.1))
    seconds = 0.0
    while True:
        link.ask({"kind": "answer", "seconds": seconds})
        seconds = yardstick.read(READING_SECONDS).seconds


def _windows(keras: Any, model: Any, link: Any) -> Any:
    class Windows(keras.callbacks.CallbackList):
        seen, in_window, length, begin, last = 0, 0, 0, 0.0, 0.0

        def on_train_batch_end(self, _batch: int, logs: Any = None) -> None:
            self.seen += 1
            self.in_window += 1
            if self.length == 0:
                float(logs["loss"])
                now = time.perf_counter()
                if self.seen == 8:
                    self.length = max(2, int(WINDOW_SECONDS / (now - self.last)))
                    self.pause(0.0)
                self.last = now
            elif self.begin == 0:
                float(logs["loss"])
                self.in_window, self.begin = 0, time.perf_counter()
            elif self.in_window >= self.length:
                float(logs["loss"])
                self.pause((time.perf_counter() - self.begin) / self.in_window)

        def pause(self, seconds: float) -> None:
            link.ask({"kind": "answer", "seconds": seconds})
            self.begin = 0.0

    return Windows([], add_history=True, model=model)


def variation(windows: list[list[float]], readings: list[list[float]]) -> float:
    """Return the coefficient of variation of the pace over processes; readings lie before and after each window."""
    paces = [
        median(window / ((before + after) / 2) for window, before, after in zip(each, beside, beside[1:], strict=False))
        for each, beside in zip(windows, readings, strict=True)
    ]
    return stdev(paces) / fmean(paces)


def compare(launcher: ForkLauncher, folder: str, case: Case, candidates: dict[str, tuple[str, Case, bool]]) -> Any:
    """Return the variation of the seconds, and of the pace by each candidate: entry, size, whether it is stopped."""
    players = {name: launch(launcher, folder, *candidate) for name, candidate in candidates.items()}
    windows: list[list[float]] = []
    readings: dict[str, list[list[float]]] = {name: [] for name in candidates}
    for _ in range(PROCESSES):
        stops = all(is_stopped for _, _, is_stopped in candidates.values())
        trainee = launch(launcher, folder, "train_classifier", case, stops)
        beside = [{name: player.seconds() for name, player in players.items()}]
        windows.append([])
        for _ in range(WINDOWS):
            windows[-1].append(trainee.seconds())
            beside.append({name: player.seconds() for name, player in players.items()})
        trainee.close()
        for name in candidates:
            readings[name].append([reading[name] for reading in beside])
    for player in players.values():
        player.close()
    raw = [median(each) for each in windows]
    return stdev(raw) / fmean(raw), {name: variation(windows, readings[name]) for name in candidates}


def launch(launcher: ForkLauncher, folder: str, entry: str, case: Case, is_stopped: bool) -> Player:
    """Start a process and wait until it is warmed up."""
    job = Job(
        entry=f"yardstick_choice:{entry}",
        payload=case,
        module_path=(str(Path(__file__).parent), str(SAMPLE_PROJECT), *sys.path),
        output_path=str(Path(folder, "output")),
    )
    child = launcher.launch(job)
    player = Player(child, messages.Inbox(child.channel), is_stopped)
    player.ready()
    return player


def main() -> None:
    """Measure and record."""
    size_rows, turn_rows = [], []
    with tempfile.TemporaryDirectory() as folder:
        launcher = ForkLauncher(("tensorflow", "keras"), {}, sys.path, str(Path(folder, "server")))
        for case in CASES:
            sizes = {
                f"{share}": ("train_standard", Case(case.batch_size // share, case.image_size), True)
                for share in (1, 2, 4, 8)
            }
            raw, found = compare(launcher, folder, case, sizes)
            size_rows.append([case.id, _percent(raw), *map(_percent, found.values())])
            ways = itertools.product((False, True), ("train_standard", "train_classifier"))
            alone = [compare(launcher, folder, case, {"": (entry, case, stops)})[1][""] for stops, entry in ways]
            turn_rows.append([case.id, *map(_percent, alone)])
        launcher.close()
    text = (
        f"Coefficient of variation of the pace over {PROCESSES} fresh processes of one program, {WINDOWS} windows each"
    )
    record(
        "yardstick_choice",
        "python benchmarks/yardstick_choice.py",
        [
            f"{text}, by the yardstick's batch size (all timed beside every window, all stopped otherwise):",
            "",
            *table(["case", "the seconds", "the case's batch", "½", "¼", "⅛"], size_rows),
            "",
            f"{text}, by what it is timed against, and by what the other process does meanwhile:",
            "",
            *table(
                [
                    "case",
                    "waits: standard training",
                    "waits: the same program",
                    "stopped: standard",
                    "stopped: the same",
                ],
                turn_rows,
            ),
        ],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
