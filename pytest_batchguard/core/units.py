"""Sizes, rates and percentages: parse what people write, format what they read."""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any

from pytest_batchguard.errors import ConfigurationError

_MULTIPLES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE = re.compile(r"\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[A-Za-z]+|%)\s*")
_SIZE_ALLOWED = "a size such as 12GB, 16GiB, 900MiB or 80%"
_TOLERANCE_ALLOWED = "a fraction such as 0.1 or a percentage such as 10%"


def parse_size(text: str, total_bytes: int | None = None) -> int:
    """Return the bytes that `text` names.

    Args:
        text: `12GB` (powers of 1000), `16GiB` (powers of 1024) or `80%` of `total_bytes`.
        total_bytes: What a percentage is taken of, in bytes.

    Raises:
        ConfigurationError: `text` is not a positive size, or a percentage of an unknown total or above 100 %.
    """
    match = _SIZE.fullmatch(text)
    unit = match["unit"].lower() if match else ""
    if match is None or (unit != "%" and unit not in _MULTIPLES):
        raise ConfigurationError(f"{text!r} is not {_SIZE_ALLOWED}")
    number = float(match["number"])
    if unit == "%":
        if number > 100:  # noqa: PLR2004 -- a percentage
            raise ConfigurationError(f"{text!r} is more than the device has; {_SIZE_ALLOWED} is allowed")
        if total_bytes is None:
            raise ConfigurationError(f"{text!r} needs the device's memory, which could not be read; give bytes")
        size = int(total_bytes * number / 100)
    else:
        size = int(number * _MULTIPLES[unit])
    if size <= 0:
        raise ConfigurationError(f"{text!r} is no memory at all; {_SIZE_ALLOWED} is allowed")
    return size


def parse_fraction(value: object) -> float:
    """Return a tolerance as a fraction: `0.1`, `"0.1"` and `"10%"` are all 0.1.

    Raises:
        ConfigurationError: It is not a number from 0 up to 10 (1000 %).
    """
    number = math.nan
    if isinstance(value, str):
        text = value.strip()
        with contextlib.suppress(ValueError):
            number = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
    if not 0 <= number <= 10:  # noqa: PLR2004 -- ten times the baseline tolerates anything
        raise ConfigurationError(f"{value!r} is not {_TOLERANCE_ALLOWED}")
    return number


def format_bytes(size: float) -> str:
    """Format bytes as people read them on a card: `316 MiB`, `1.42 GiB`."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(size) >= unit:
            number = size / unit
            return f"{number:.0f} {name}" if abs(number) >= 100 else f"{number:.3g} {name}"  # noqa: PLR2004
    return f"{size:.0f} B"


def format_rate(images_per_second: float) -> str:
    """Format a throughput: `812 images/s`, `14.2 images/s`."""
    return f"{format_number(images_per_second)} images/s"


def format_change(ratio: float) -> str:
    """Format `measured / baseline` as a signed percentage: 1.12 is `+12 %`."""
    percent = (ratio - 1) * 100
    return f"{percent:+.1f} %" if abs(percent) < 10 else f"{percent:+.0f} %"  # noqa: PLR2004


def format_percent(fraction: float) -> str:
    """Format a fraction: 0.385 is `38.5 %`."""
    return f"{format_number(fraction * 100)} %"


def format_seconds(seconds: float) -> str:
    """Format a duration: `12.4 ms`, `3.10 s`."""
    if abs(seconds) < 1:
        return f"{format_number(seconds * 1000)} ms"
    return f"{format_number(seconds)} s"


def format_loss(loss: float) -> str:
    """Format a loss to three significant digits; not-a-number and infinity by name."""
    return f"{loss:#.3g}".removesuffix(".") if math.isfinite(loss) else str(loss)


def round_significant(number: float, digits: int = 4) -> float:
    """Round to significant digits; what is not finite stays as it is."""
    return float(f"{number:.{digits}g}") if math.isfinite(number) else number


def round_figures(value: Any) -> Any:
    """Round every float in plain data to significant digits."""
    if isinstance(value, float):
        return round_significant(value)
    if isinstance(value, dict):
        return {key: round_figures(item) for key, item in value.items()}
    if isinstance(value, list):
        return [round_figures(item) for item in value]
    return value


def format_number(number: float) -> str:
    """Format a bare number to three significant digits, whole ones in full: `3.24`, `3,310`."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"  # noqa: PLR2004
