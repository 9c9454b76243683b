"""What tuning found, as YAML beside the project: by device, guard and image size; what was not tuned anew stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pytest_batchguard.core.model import Device
from pytest_batchguard.core.plain import to_plain
from pytest_batchguard.core.tuning import NoiseScale, SpeedPoint, Trial, Tuning
from pytest_batchguard.core.units import round_figures
from pytest_batchguard.errors import TuningFileError
from pytest_batchguard.storage.whole_file import locked, may_replace, refuse_duplicates, replace_file

SCHEMA = 1
_HEAD = """\
# Batch sizes found by `pytest --batchguard-tune`, which replaces the entries of what it tunes.
# Comments are not kept.
"""
_WIDTH = 120


def check(path: Path) -> None:
    """Make sure, before anything is measured, that the file can be brought up to date.

    Raises:
        TuningFileError: What is there is not a tuning file of this version, or nothing can be written there.
    """
    _read(path)
    if not may_replace(path):
        raise TuningFileError(f"{path}: cannot be written: no permission")


def update(path: Path, device: Device, tunings: Sequence[Tuning], date: str, interrupted: Tuning | None = None) -> None:
    """Write what was found on a device; other devices, guards and image sizes stay.

    Args:
        path: Of the file.
        device: What was tuned for.
        tunings: What was found.
        date: Of today.
        interrupted: The one of `tunings` that did not come to its end; it takes no place of an earlier one that did.

    Raises:
        TuningFileError: The file as it is now cannot be read, or the new one cannot be written.
    """
    try:
        with locked(path):
            data = _read(path) or {"schema": SCHEMA, "devices": {}}
            known = data["devices"].setdefault(device.key, {"name": device.name, "memory_bytes": device.memory_bytes})
            guards = known.setdefault("guards", {})
            for tuning in tunings:
                sizes = guards.setdefault(tuning.guard, {})
                size = str(tuning.image_size)
                if tuning is not interrupted or "recommended" not in sizes.get(size, {}):
                    sizes[size] = {**_entry(tuning), "date": date}
            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=None)
            replace_file(path, _HEAD + text)
    except OSError as error:
        raise TuningFileError(f"{path}: cannot be written: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:  # the latter is a ValueError too
        raise TuningFileError(f"{path}: cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError is a date that there is not
        raise TuningFileError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return {}
    refuse_duplicates(path, root, TuningFileError)
    if not isinstance(data, dict) or not isinstance(data.get("devices"), dict):
        raise TuningFileError(f"{path}: not a tuning file of pytest-batchguard: it has no `devices`; move it away")
    if data.get("schema") != SCHEMA:
        found = data.get("schema")
        raise TuningFileError(
            f"{path}: schema: found {found!r}, allowed: {SCHEMA}; a newer pytest-batchguard wrote it?"
        )
    for key, device in data["devices"].items():
        _check_mapping(path, device, "devices", key)
        _check_mapping(path, device.get("guards", {}), "devices", key, "guards")
        for guard, sizes in device.get("guards", {}).items():
            _check_mapping(path, sizes, "devices", key, "guards", guard)
            for size, entry in sizes.items():
                _check_mapping(path, entry, "devices", key, "guards", guard, size)
    return data


def _check_mapping(path: Path, found: Any, *keys: Any) -> None:
    if not isinstance(found, dict):
        raise TuningFileError(f"{path}: {' → '.join(map(str, keys))}: found {found!r}, allowed: a mapping")


def _entry(tuning: Tuning) -> dict[str, Any]:
    parts = {
        "declared": list(tuning.declared),
        "largest": to_plain(tuning.largest) if tuning.largest else None,
        "throughput": [_speed(point) for point in tuning.curve],
        "plateau": tuning.plateau,
        "noise_scale": [_noise(*pair) for pair in zip(("initialisation", "trained"), tuning.noise, strict=False)],
        "validation": [_trial(trial) for trial in tuning.trials],
        "recommended": to_plain(tuning.recommended) if tuning.recommended else None,
        "not_measured": list(tuning.missing),
    }
    entry: dict[str, Any] = round_figures({name: part for name, part in parts.items() if part not in (None, [])})
    return entry


def _speed(point: SpeedPoint) -> dict[str, Any]:
    return {
        "batch_size": point.batch_size,
        "images_per_second": point.images_per_second,
        "pace": point.pace,
        "pace_interval": [point.pace_low, point.pace_high],
        **({"waiting_share": point.waiting_share} if point.waiting_share is not None else {}),
    }


def _noise(when: str, noise: NoiseScale) -> dict[str, Any]:
    if noise.images is None:
        return {"at": when, "images": "undetermined", "samples": noise.samples}
    return {"at": when, "images": noise.images, "interval": [noise.low, noise.high], "samples": noise.samples}


def _trial(trial: Trial) -> dict[str, Any]:
    return {name: part for name, part in to_plain(trial).items() if part != {}}
