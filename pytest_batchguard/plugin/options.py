"""Every option as one row: its flag, its ini key, its default and how it is read.

A flag beats a marker, a marker beats ini, ini beats the default. Loaded with every pytest run, so it imports nothing
heavy; values are parsed only when guards run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pytest_batchguard.errors import ConfigurationError

LARGEST_SEED = 2**32 - 1
"""That NumPy takes."""

LONGEST_TIMEOUT = 10**6
"""Seconds: eleven days."""


class Option(NamedTuple):
    """One option.

    Attributes:
        name: The ini key; the flag is the same with dashes.
        read: Turns the text of flag or ini key into the value; raises `ConfigurationError`.
        default: The value where neither is given.
        metavar: What the flag takes; `None` for a switch.
        help: For `pytest --help`.
        has_flag: Whether there is a flag beside the ini key.
    """

    name: str
    read: Callable[[str], Any]
    default: Any
    metavar: str | None
    help: str
    has_flag: bool = True

    @property
    def flag(self) -> str:
        """The flag, as in `--batchguard-update-new`."""
        return "--" + self.name.replace("_", "-")


def _switch(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"0", "false", "no", "off", ""}:
        return False
    raise ConfigurationError(f"found {text!r}, allowed: true or false")


def _count(smallest: int, largest: float = math.inf) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if text.strip().isdecimal() else -1
        if not smallest <= number <= largest:
            raise ConfigurationError(f"found {text!r}, allowed: a whole number {range_text(smallest, largest)}")
        return number

    return read


def range_text(smallest: int, largest: float) -> str:
    """Return a range for messages: `from 4 up`, `from 0 to 9`."""
    return f"from {smallest} up" if math.isinf(largest) else f"from {smallest} to {largest}"


def _text(text: str) -> str:
    if not text:
        raise ConfigurationError("found nothing, allowed: a text")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise ConfigurationError(f"found {text!r}, allowed: seconds, more than 0 and at most {LONGEST_TIMEOUT}")
    return seconds


def _fraction(text: str) -> float:
    from pytest_batchguard.core.units import parse_fraction

    return parse_fraction(text)


def _start_method(text: str) -> str:
    if text not in {"auto", "fork", "spawn"}:
        raise ConfigurationError(f"found {text!r}, allowed: auto, fork or spawn")
    return text


OPTIONS = (
    Option("batchguard", _switch, False, None, "train the guarded cases and judge them against the baselines"),
    Option("batchguard_update", _switch, False, None, "the same, and record what was measured as the new baselines"),
    Option("batchguard_update_new", _switch, False, None, "the same, and record the cases that have no baseline"),
    Option("batchguard_prune", _switch, False, None, "after a green run, drop baselines whose case no longer exists"),
    Option(
        "batchguard_against", _text, None, "REF", "compare with this commit, trained in turn, and with no baselines"
    ),
    Option("batchguard_tune", _switch, False, None, "find what fits, what is fast, what learns, at each image size"),
    Option("batchguard_tune_multiple", _count(1), 1, "N", "tune over multiples of N; tensor cores like 8"),
    Option(
        "batchguard_tune_time_limit",
        _seconds,
        30.0,
        "SECONDS",
        "time for the trainings that are validated, about",
    ),
    Option("batchguard_tune_fresh", _switch, False, None, "tune from nothing, leaving aside what an earlier run found"),
    Option("batchguard_baselines", _text, "batchguard-baselines", "DIR", "folder of the baselines, from the rootdir"),
    Option("batchguard_device", str, "auto", "DEVICE", "auto, cpu, gpu or gpu:N"),
    Option("batchguard_require_gpu", _switch, False, None, "stop unless there is a GPU to train on"),
    Option("batchguard_memory_budget", str, None, "SIZE", "memory a case may use: 12GB, 16GiB or 80%%"),
    Option("batchguard_strict", _switch, False, None, "fail cases without a baseline and inconclusive ones"),
    Option("batchguard_json", _text, None, "FILE", "write every figure and verdict to FILE"),
    Option("batchguard_steps", _count(4), 20, "N", "training steps to measure"),
    Option("batchguard_warmup", _count(1), 5, "N", "training steps before"),
    Option("batchguard_seed", _count(0, LARGEST_SEED), 0, "N", "seed of Python, NumPy and TensorFlow"),
    Option("batchguard_repeats", _count(1), 5, "N", "fresh processes that an update measures each case in"),
    Option("batchguard_timeout", _seconds, 300.0, "SECONDS", "longest time for one process of a case"),
    Option("batchguard_throughput_tolerance", _fraction, 0.1, "SHARE", "how much slower a case may get: 0.1 or 10%%"),
    Option("batchguard_memory_tolerance", _fraction, 0.05, "SHARE", "how much more memory a case may use"),
    Option("batchguard_loss_tolerance", _fraction, 0.3, "SHARE", "how much of the loss decrease may be missing"),
    Option(
        "batchguard_start_method",
        _start_method,
        "auto",
        "HOW",
        "how processes start: auto, fork or spawn",
        has_flag=False,
    ),
)
_BY_NAME = {option.name: option for option in OPTIONS}
WRITING = ("batchguard_update", "batchguard_update_new", "batchguard_prune")
"""The options that change the baselines."""

_RUNNING = ("batchguard", *WRITING, "batchguard_against", "batchguard_tune")


def add_options(parser: pytest.Parser) -> None:
    """Add every option to pytest's parser."""
    group = parser.getgroup("batchguard", "guard training: memory, throughput, loss")
    for option in OPTIONS:
        _add_ini(parser, option)
        if not option.has_flag:
            continue
        if option.metavar is None:
            group.addoption(option.flag, action="store_true", default=None, dest=option.name, help=option.help)
        else:
            group.addoption(option.flag, metavar=option.metavar, default=None, dest=option.name, help=option.help)


def _add_ini(parser: pytest.Parser, option: Option) -> None:
    flag = f" (ini key of {option.flag})" if option.has_flag else ""
    text = f"{option.help}{flag}".replace("%%", "%")
    scalar: Any = str | bool | int | float
    try:
        # pytest's native TOML table may then say 20 as well as "20"; what is read is text all the same.
        parser.addini(option.name, text, type=scalar, default=None)
    except (AssertionError, TypeError, ValueError):  # pytest before 9.2 knows no such choice
        parser.addini(option.name, text, default=None)


def source(config: pytest.Config, name: str) -> str:
    """Return where an option's value comes from, for messages."""
    option = _BY_NAME[name]
    return option.flag if flag_value(config, name) is not None else f"ini key {name}"


def guards_run(config: pytest.Config) -> bool:
    """Return whether any option asks to run the guards."""
    return any(value(config, name) for name in _RUNNING)


def check_all(config: pytest.Config) -> None:
    """Read every option that was given, so that a bad one ends the run before anything is measured.

    Raises:
        pytest.UsageError: Names the flag or ini key, what was found and what is allowed.
    """
    for option in OPTIONS:
        flag_value(config, option.name)
        ini_value(config, option.name)


def value(config: pytest.Config, name: str) -> Any:
    """Return an option's value: flag, else ini, else default."""
    given = flag_value(config, name)
    return given if given is not None else ini_value(config, name)


def is_given(config: pytest.Config, name: str) -> bool:
    """Return whether flag or ini say anything of an option."""
    return flag_value(config, name) is not None or config.getini(name) not in {None, ""}


def flag_value(config: pytest.Config, name: str) -> Any:
    """Return what the flag says, read; `None` where it was not given."""
    option = _BY_NAME[name]
    given = config.getoption(name, None) if option.has_flag else None
    if given is None or option.metavar is None:
        return given
    return _read(option, given, option.flag)


def ini_value(config: pytest.Config, name: str) -> Any:
    """Return what the ini key says, read, or the default."""
    option = _BY_NAME[name]
    given = config.getini(name)
    return option.default if given is None or given == "" else _read(option, str(given), f"ini key {name}")


def _read(option: Option, text: str, source: str) -> Any:
    try:
        return option.read(text)
    except ConfigurationError as error:
        raise pytest.UsageError(f"{source}: {error}") from None
