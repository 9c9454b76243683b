"""The baselines of one device: a YAML file read strictly and written so that only what changed changes.

A case's entry is a block of text. An update replaces the blocks of the cases it records and leaves every other
byte of the file as it was; it writes a temporary file, syncs it and renames it, under a file lock.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from pytest_batchguard.core.model import Baseline, Device
from pytest_batchguard.core.plain import PlainDataError, from_plain, to_plain
from pytest_batchguard.core.units import round_significant
from pytest_batchguard.errors import BaselineFileError

SCHEMA = 1
_TOP_LEVEL = ("schema", "device", "cases")
_PARTS = ("memory", "throughput", "loss", "model", "recorded_with")
_NOT_STORED = {
    "memory": ("host_peak_bytes", "device_used_bytes", "other_processes"),
    "throughput": ("pace_low", "pace_high", "window_steps", "step_seconds", "yardstick_seconds", "settled"),
}
_LOCK_SECONDS = 30


@dataclass(frozen=True)
class BaselineFile:
    """One device's file as it was read.

    Attributes:
        path: Where it is, or will be.
        cases: The accepted values by node id.
    """

    path: Path
    cases: Mapping[str, Baseline]


def path_for(directory: Path, device: Device) -> Path:
    """Return the file of `device` in the baselines folder."""
    return directory / f"{device.key}.yaml"


def read(path: Path) -> BaselineFile:
    """Read the file; one that does not exist holds no cases.

    Raises:
        BaselineFileError: It cannot be read or is not a baselines file; names the line and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return BaselineFile(path, {})
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineFileError(f"{path}: cannot be read: {error}") from error
    return BaselineFile(path, _parse(path, text))


def check_writable(directory: Path) -> None:
    """Make sure, before anything is measured, that the folder can be written to; creates nothing.

    Raises:
        BaselineFileError: It cannot.
    """
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not existing.is_dir():
        raise BaselineFileError(f"{directory}: cannot be written: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise BaselineFileError(f"{directory}: cannot be written: no permission to write in {existing}")


def update(path: Path, device: Device, recorded: Mapping[str, Baseline], dropped: Iterable[str] = ()) -> None:
    """Write the recorded cases and leave out the dropped ones; every other entry stays byte for byte.

    Args:
        path: The device's file.
        device: For the head of a new file.
        recorded: New values by node id.
        dropped: Node ids of entries to drop.

    Raises:
        BaselineFileError: The file as it is now cannot be read, or the new one cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock_path(path), timeout=_LOCK_SECONDS):
            text = _read_exactly(path) if path.exists() else ""
            _parse(path, text)
            _replace_file(path, _edited(text, device, recorded, set(dropped)))
    except OSError as error:
        raise BaselineFileError(f"{path}: cannot be written: {error}") from error


def _lock_path(path: Path) -> Path:
    """Return a lock file for `path` outside the project, so that none is left in the baselines folder."""
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pytest-batchguard-{name}.lock"


def _read_exactly(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _edited(text: str, device: Device, recorded: Mapping[str, Baseline], dropped: set[str]) -> str:
    head, blocks, tail = _split(text) if text.strip() else (_head(device), {}, "")
    blocks = {node_id: block for node_id, block in blocks.items() if node_id not in dropped}
    blocks |= {node_id: _block(node_id, baseline) for node_id, baseline in recorded.items()}
    return head + "".join(blocks[node_id] for node_id in sorted(blocks)) + tail


def _head(device: Device) -> str:
    plain = {"key": device.key, "name": device.name, "memory_bytes": device.memory_bytes}
    return (
        f"# Baselines of pytest-batchguard for {device.key}. Written by `pytest --batchguard-update`; "
        f"policy lives in markers and ini.\nschema: {SCHEMA}\ndevice: {_flow(plain)}\ncases:\n"
    )


def _split(text: str) -> tuple[str, dict[str, str], str]:
    """Return what stands before the cases, each case's lines, and what stands after."""
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    key_node, cases_node = next(pair for pair in root.value if pair[0].value == "cases")
    starts = [(key.value, key.start_mark.line) for key, _ in cases_node.value]
    if not starts or cases_node.flow_style:
        head = lines[: key_node.start_mark.line]
        return "".join(head) + "cases:\n", {}, "".join(lines[cases_node.end_mark.line + 1 :])
    # A block mapping's end mark is where the next token begins, behind blank lines and comments.
    end = _end_of_entries(lines, cases_node)
    bounds = [line for _, line in starts] + [end]
    blocks = {
        name: "".join(lines[begin:until]) for (name, _), begin, until in zip(starts, bounds, bounds[1:], strict=False)
    }
    return "".join(lines[: starts[0][1]]), blocks, "".join(lines[end:])


def _end_of_entries(lines: list[str], cases_node: Any) -> int:
    end = min(int(cases_node.end_mark.line), len(lines))
    if cases_node.end_mark.column:
        end = len(lines)
    return end


def _block(node_id: str, baseline: Baseline) -> str:
    plain = to_plain(baseline)
    for part, names in _NOT_STORED.items():
        for name in names:
            plain.get(part, {}).pop(name, None)
    key = yaml.safe_dump(node_id, allow_unicode=True, width=10_000).splitlines()[0]
    lines = [f"    {part}: {_flow(_rounded(plain[part]))}" for part in _PARTS if plain.get(part)]
    return "\n".join([f"  {key}:", *lines]) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round_significant(value)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value


def _flow(plain: dict[str, Any]) -> str:
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=100_000)
    return text.strip()


def _parse(path: Path, text: str) -> dict[str, Baseline]:
    try:
        data = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise BaselineFileError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return {}
    if not isinstance(data, dict) or "schema" not in data:
        raise BaselineFileError(f"{path}:1: not a baselines file of pytest-batchguard: it has no `schema`")
    if data["schema"] != SCHEMA:
        line = _line_of(root, ("schema",))
        raise BaselineFileError(
            f"{path}:{line}: schema: found {data['schema']!r}, allowed: {SCHEMA}; a newer pytest-batchguard wrote it?"
        )
    for key in data:
        if key not in _TOP_LEVEL:
            line = _line_of(root, (str(key),))
            raise BaselineFileError(f"{path}:{line}: {key}: unknown key, allowed: {', '.join(_TOP_LEVEL)}")
    cases = data.get("cases") or {}
    if not isinstance(cases, dict):
        raise BaselineFileError(f"{path}:{_line_of(root, ('cases',))}: cases: found {cases!r}, allowed: a mapping")
    return {str(node_id): _baseline(path, root, str(node_id), entry) for node_id, entry in cases.items()}


def _baseline(path: Path, root: Any, node_id: str, entry: Any) -> Baseline:
    try:
        return from_plain(Baseline, _with_text_dates(entry))
    except PlainDataError as error:
        line = _line_of(root, ("cases", node_id, *error.path))
        where = " → ".join(("cases", node_id, *error.path))
        raise BaselineFileError(f"{path}:{line}: {where}: {error.problem}") from error


def _with_text_dates(entry: Any) -> Any:
    """YAML reads `2026-11-22` as a date and an all-digit commit as a number; both are texts here."""
    if not isinstance(entry, dict) or not isinstance(entry.get("recorded_with"), dict):
        return entry
    made = {key: item if isinstance(item, bool) else str(item) for key, item in entry["recorded_with"].items()}
    return {**entry, "recorded_with": made}


def _line_of(root: Any, keys: tuple[str, ...]) -> int:
    """Return the line of the deepest of `keys` that the document has, counted from 1."""
    node, line = root, 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == key), None)
            if pair is None:
                break
            line = pair[0].start_mark.line + 1
            node = pair[1]
        elif isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
            node = node.value[int(key)]
            line = node.start_mark.line + 1
    return line


def _replace_file(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
