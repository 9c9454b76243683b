"""The marker `batchguard`: its arguments, checked, and the cases it declares."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_batchguard.core.model import Case, ImageSize
from pytest_batchguard.core.units import parse_fraction, parse_size
from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.plugin.options import LARGEST_SEED, LONGEST_TIMEOUT, range_text

_IMAGE_SIZE_ALLOWED = "a positive int (square), a (height, width) pair, or a list of these"
_PAIR = 2


@dataclass(frozen=True)
class GuardOptions:
    """What one marker says; `None` is what it leaves to flags, ini and defaults.

    Attributes are named after the marker's arguments; sizes stay text, since a percentage needs the device.
    """

    batch_size: Any = None
    image_size: Any = None
    cases: Any = None
    steps: int | None = None
    warmup: int | None = None
    seed: int | None = None
    timeout: float | None = None
    memory_budget: str | int | None = None
    max_memory: str | int | None = None
    min_throughput: float | None = None
    min_loss_decrease: float | None = None
    throughput_tolerance: float | None = None
    memory_tolerance: float | None = None
    loss_tolerance: float | None = None

    @classmethod
    def from_marker(cls, marker: pytest.Mark) -> GuardOptions:
        """Return the marker's arguments, checked.

        Raises:
            ConfigurationError: Names the argument, what was found and what is allowed.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if len(marker.args) > _PAIR:
            raise ConfigurationError(
                f"found {len(marker.args)} positional arguments, allowed: batch_size and image_size, the rest by name"
            )
        given = dict(zip(names, marker.args, strict=False))
        for name, argument in marker.kwargs.items():
            if name not in names:
                raise ConfigurationError(f"unknown argument {name!r}, allowed: {', '.join(names)}")
            if name in given:
                raise ConfigurationError(f"argument {name!r} is given twice")
            given[name] = argument
        checked = {
            name: _CHECKS[name](name, argument) if name in _CHECKS and argument is not None else argument
            for name, argument in given.items()
        }
        return cls(**checked)

    def declared_cases(self) -> list[Case]:
        """Return the product of the sizes, or the named pairs, each once and in the order declared.

        Raises:
            ConfigurationError: A size is missing or is none.
        """
        if self.cases is not None:
            return _named_cases(self)
        for name in ("batch_size", "image_size"):
            if getattr(self, name) is None:
                raise ConfigurationError(f"{name} is missing; give batch_size and image_size, or cases")
        batch_sizes = self.batch_size if isinstance(self.batch_size, list) else [self.batch_size]
        image_sizes = self.image_size if isinstance(self.image_size, list) else [self.image_size]
        if not batch_sizes or not image_sizes:
            raise ConfigurationError("batch_size and image_size must name at least one size each")
        pairs = itertools.product(map(_batch_size, batch_sizes), map(_image_size, image_sizes))
        return _once(Case(batch_size, image_size) for batch_size, image_size in pairs)


def _named_cases(options: GuardOptions) -> list[Case]:
    if options.batch_size is not None or options.image_size is not None:
        raise ConfigurationError("give either cases, or batch_size and image_size, not both")
    if not isinstance(options.cases, (list, tuple)) or not options.cases:
        raise ConfigurationError(f"cases: found {options.cases!r}, allowed: a list of (batch_size, image_size) pairs")
    cases = []
    for pair in options.cases:
        if not isinstance(pair, (list, tuple)) or len(pair) != _PAIR:
            raise ConfigurationError(f"cases: found {pair!r}, allowed: (batch_size, image_size) pairs")
        cases.append(Case(_batch_size(pair[0]), _image_size(pair[1])))
    return _once(cases)


def _once(cases: Any) -> list[Case]:
    return list(dict.fromkeys(cases))


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _batch_size(value: Any) -> int:
    if not _is_positive_int(value):
        raise ConfigurationError(f"batch_size: found {value!r}, allowed: a positive int, or a list of these")
    return int(value)


def _image_size(value: Any) -> ImageSize:
    if _is_positive_int(value):
        return ImageSize(value, value)
    if isinstance(value, tuple) and len(value) == _PAIR and all(map(_is_positive_int, value)):
        return ImageSize(*value)
    raise ConfigurationError(f"image_size: found {value!r}, allowed: {_IMAGE_SIZE_ALLOWED}")


def _count(smallest: int, largest: float = math.inf) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
            raise ConfigurationError(f"{name}: found {value!r}, allowed: an int {range_text(smallest, largest)}")
        return value

    return check


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigurationError(f"{name}: found {value!r}, allowed: a number")
    return float(value)


def _positive(name: str, value: Any) -> float:
    if _number(name, value) <= 0:
        raise ConfigurationError(f"{name}: found {value!r}, allowed: a number above 0")
    return float(value)


def _timeout(name: str, value: Any) -> float:
    if _positive(name, value) > LONGEST_TIMEOUT:
        raise ConfigurationError(f"{name}: found {value!r}, allowed: seconds, at most {LONGEST_TIMEOUT}")
    return float(value)


def _size(name: str, value: Any) -> str | int:
    if _is_positive_int(value):
        return int(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: found {value!r}, allowed: bytes or a size such as 12GB, 16GiB or 80%")
    try:
        parse_size(value, total_bytes=1 << 40)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    return value


def _tolerance(name: str, value: Any) -> float:
    try:
        return parse_fraction(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "steps": _count(4),
    "warmup": _count(1),
    "seed": _count(0, LARGEST_SEED),
    "timeout": _timeout,
    "memory_budget": _size,
    "max_memory": _size,
    "min_throughput": _positive,
    "min_loss_decrease": _number,
    "throughput_tolerance": _tolerance,
    "memory_tolerance": _tolerance,
    "loss_tolerance": _tolerance,
}


def case_of(item: pytest.Item) -> Case | None:
    """Return the case that an item is; `None` where it is none."""
    if item.get_closest_marker("batchguard") is None:
        return None
    case = getattr(getattr(item, "callspec", None), "params", {}).get("batchguard")
    return case if isinstance(case, Case) else None


def parametrize(metafunc: pytest.Metafunc, marker: pytest.Mark, *, tunes: bool) -> None:
    """Turn one guard into its cases; what is wrong with its marker is a collection error.

    Args:
        metafunc: The guard.
        marker: Its marker.
        tunes: Whether batch sizes are to be found: then there is one case for each image size, with the first batch
            size that is declared for it.
    """
    name = metafunc.definition.nodeid
    if "batchguard" not in metafunc.fixturenames:
        pytest.fail(f"{name}: the guard does not take the fixture `batchguard`, so it cannot train", pytrace=False)
    if sum(marker.name == "batchguard" for marker in metafunc.definition.own_markers) > 1:
        pytest.fail(f"{name}: found several batchguard markers, allowed: one; see its argument `cases`", pytrace=False)
    complaint = ""
    try:
        cases = GuardOptions.from_marker(marker).declared_cases()
    except ConfigurationError as error:
        complaint = f"{name}: batchguard marker: {error}"
    if complaint:  # outside the handler, or pytest would show the error twice
        pytest.fail(complaint, pytrace=False)
    if tunes:
        cases = list({case.image_size: case for case in reversed(cases)}.values())[::-1]
        ids = [str(case.image_size) for case in cases]
    else:
        ids = [case.id for case in cases]
    metafunc.parametrize("batchguard", cases, ids=ids, indirect=True)
