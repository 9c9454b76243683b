"""A user's project in a folder of its own, and pytest run in it the way a user runs it.

Starting TensorFlow costs seconds, so a module runs one project once and its tests look at one outcome from many sides.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from pytest_batchguard.measure.device import cpu_device

DEVICE = cpu_device()
"""Every project trains on the CPU, whatever the machine has."""

TINY = '''
"""Few parameters, few pixels, and one batch again and again, so that the loss falls at every step."""

def photos(guard, batches=1):
    import numpy as np

    chance = np.random.default_rng(0)
    count = guard.batch_size * batches
    return chance.random((count, *guard.image_size, 1), "float32"), chance.integers(0, 3, count)

def network(guard, **compiled):
    import keras

    layers = [keras.Input((*guard.image_size, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    compiled = {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True), **compiled}
    model.compile(**{"optimizer": keras.optimizers.SGD(0.05), **compiled})
    return model

def train(guard, **compiled):
    return guard.train(network(guard, **compiled), photos(guard))
'''

INI = {
    "batchguard_steps": "4",
    "batchguard_warmup": "2",
    "batchguard_repeats": "1",
    "batchguard_throughput_tolerance": "5",
    "batchguard_memory_tolerance": "2",
}
"""Short runs, and tolerances that no noise reaches."""

INTERRUPTIBLE = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by whatever was started in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored by whatever was started with nohup
sys.exit(pytest.main())
"""
"""pytest in a process that can be interrupted, wherever it was started from."""

_LONGEST_RUN_SECONDS = 300
_RULE = re.compile(r"(?P<sign>[=_])(?P=sign)+ (?P<title>.+) (?P=sign)+")
_WIDTH = "120"


@dataclass(frozen=True)
class Run:
    """What one run of pytest came to."""

    exit_code: int
    stdout: pytest.LineMatcher
    stderr: pytest.LineMatcher
    junit: Mapping[str, ET.Element] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def outcomes(self) -> dict[str, int]:
        """Return the counts of pytest's last line."""
        return pytest.RunResult.parse_summary_nouns(self.stdout.lines)

    def section(self, title: str) -> list[str]:
        """Return the lines under the one heading that begins with `title`, down to the next heading."""
        headings = [(place, _RULE.fullmatch(line)) for place, line in enumerate(self.stdout.lines)]
        places = [(place, match["title"]) for place, match in headings if match]
        (begin,) = [place for place, found in places if found.startswith(title)]
        end = next((place for place, _ in places if place > begin), len(self.stdout.lines))
        return self.stdout.lines[begin + 1 : end]

    def summary(self) -> list[str]:
        """Return the lines of batchguard's own section at the end."""
        return self.section("batchguard on ")

    def figures_of(self, name: str) -> dict[str, Any]:
        """Return what the JSON file says of the one case whose id ends with `name`."""
        (found,) = [case for case in self.figures["cases"] if case["node_id"].endswith(name)]
        return found


@dataclass(frozen=True)
class Project:
    """A folder with tests of a user's and a tiny thing to train."""

    folder: Path

    def write(self, files: Mapping[str, str]) -> None:
        """Write files by their name."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")

    def run(
        self,
        *arguments: str,
        stdin: str = "",
        ini: Mapping[str, str] | None = None,
        on_gpu: bool = False,
        timeout_seconds: float = _LONGEST_RUN_SECONDS,
    ) -> Run:
        """Run pytest here in a process of its own; `ini` is set beside the usual keys."""
        settings = [f"{key}={value}" for key, value in {**INI, **(ini or {})}.items()]
        options = [word for setting in settings for word in ("-o", setting)]
        files = {name: self.folder / f"{name}.out" for name in ("junit", "figures")}
        for path in files.values():
            path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", f"--junitxml={files['junit']}", *options, *arguments]
        judges = (
            any(argument.startswith("--batchguard") for argument in arguments) and "--batchguard-tune" not in arguments
        )
        if judges and not any(argument.startswith("--batchguard-json") for argument in arguments):
            command.append(f"--batchguard-json={files['figures']}")
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(on_gpu=on_gpu),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        sys.stdout.write(ended.stdout)  # shown by pytest where a test about this run fails
        sys.stderr.write(ended.stderr)
        return Run(
            exit_code=ended.returncode,
            stdout=pytest.LineMatcher(ended.stdout.splitlines()),
            stderr=pytest.LineMatcher(ended.stderr.splitlines()),
            junit=_test_cases(files["junit"]),
            figures=json.loads(files["figures"].read_text()) if files["figures"].exists() else {},
        )

    @property
    def baselines_path(self) -> Path:
        """Where the CPU's baselines are kept if nothing else is said."""
        return self.folder / "batchguard-baselines" / f"{DEVICE.key}.yaml"

    def baselines(self) -> dict[str, Any]:
        """Return the baselines file as any other reader of YAML sees it."""
        return yaml.safe_load(self.baselines_path.read_text(encoding="utf-8"))

    def accept(self, cases: Mapping[str, Mapping[str, Any]]) -> None:
        """Write a baselines file with these cases, as if it had been accepted some time ago."""
        head = {"key": DEVICE.key, "name": DEVICE.name, "memory_bytes": DEVICE.memory_bytes}
        self.baselines_path.parent.mkdir(exist_ok=True)
        plain = json.loads(json.dumps({"schema": 1, "device": head, "cases": cases}))  # nothing shared, so no aliases
        self.baselines_path.write_text(yaml.safe_dump(plain))


def wait_for_writer(fifo: Path) -> None:
    """Return when somebody has written to a named pipe; whoever fails before that does not hang the tests."""
    reader = threading.Thread(target=fifo.read_text, daemon=True)
    reader.start()
    reader.join(_LONGEST_RUN_SECONDS)
    assert not reader.is_alive(), f"nobody wrote to {fifo}"


def text_of(lines: list[str]) -> str:
    """Return lines as one text, wrapped or not."""
    return " ".join(" ".join(lines).split())


def environment(*, on_gpu: bool = False) -> dict[str, str]:
    """Return an environment without the outer pytest's traces, without GPUs unless asked for, with a fixed width."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    cards = {} if on_gpu else {"CUDA_VISIBLE_DEVICES": ""}
    return {**kept, **cards, "COLUMNS": _WIDTH, "PY_COLORS": "0", "TF_CPP_MIN_LOG_LEVEL": "2"}


def _test_cases(path: Path) -> dict[str, ET.Element]:
    if not path.exists():
        return {}
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    return {case.get("name", ""): case for case in root.iter("testcase")}
