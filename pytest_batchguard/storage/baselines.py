"""The baselines of one device: a YAML file read strictly and written so that only what changed changes.

A case's entry is a block of text. An update replaces the blocks of the cases it records and leaves every other
byte of the file as it was; it writes a temporary file, syncs it and renames it, under a file lock.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from pytest_batchguard.core.model import Baseline, Device
from pytest_batchguard.core.plain import PlainDataError, from_plain, to_plain
from pytest_batchguard.core.units import round_figures
from pytest_batchguard.errors import BaselineFileError
from pytest_batchguard.storage.whole_file import locked, may_replace, refuse_duplicates, replace_file

_T = TypeVar("_T")

SCHEMA = 1
_TOP_LEVEL = ("schema", "device", "cases")
_PARTS = ("memory", "throughput", "breakdown", "loss", "model", "recorded_with")
_NOT_STORED = {
    "memory": ("held_bytes", "host_peak_bytes", "device_used_bytes", "other_processes"),
    "throughput": (
        "core_pace",
        "pace_low",
        "pace_high",
        "window_steps",
        "step_seconds",
        "yardstick_seconds",
        "settled",
        "disturbances",
        "contention",
        "thermally_limited",
    ),
}
_ABOVE_ZERO = {
    "memory": ("peak_bytes",),
    "throughput": ("images_per_second", "pace", "runs", "handoff_seconds"),
    "breakdown": ("pipeline_seconds", "model_seconds", "step_seconds"),
}
_WIDE = 1_000_000
_LONGEST_SIMPLE_KEY = 1000  # YAML allows 1024 characters


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


def check_writable(path: Path) -> None:
    """Make sure, before anything is measured, that the file can be written; creates nothing.

    Args:
        path: Of the file, which may not be there, nor its folder.

    Raises:
        BaselineFileError: It cannot.
    """
    directory = path.parent
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not existing.is_dir():
        raise BaselineFileError(f"{directory}: cannot be written: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise BaselineFileError(f"{directory}: cannot be written: no permission to write in {existing}")
    if path.exists() and not may_replace(path):
        raise BaselineFileError(f"{path}: cannot be written: no permission to write it, or beside it")


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
        with locked(path):
            text = _read_exactly(path) if path.exists() else ""
            known = _parse(path, text)
            kept = {node_id: known[node_id] for node_id in known.keys() - set(dropped)}
            edited = _edited(text, device, kept, recorded)
            if not _holds(path, edited, {*kept, *recorded}):
                # Laid out by hand in a way that does not come in entries, such as one with anchors: written anew.
                edited = _edited("", device, {}, {**kept, **recorded})
                _parse(path, edited)
            replace_file(path, edited)
    except OSError as error:
        raise BaselineFileError(f"{path}: cannot be written: {error}") from error


def _read_exactly(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _holds(path: Path, text: str, node_ids: set[str]) -> bool:
    """Return whether a text can be read and has these cases."""
    try:
        return _parse(path, text).keys() == node_ids
    except BaselineFileError:
        return False


def _edited(text: str, device: Device, kept: Mapping[str, Baseline], recorded: Mapping[str, Baseline]) -> str:
    layout = _layout(text, device, kept)
    blocks = {node_id: block for node_id, block in layout.blocks.items() if node_id in kept}
    for node_id, baseline in recorded.items():
        old = blocks.get(node_id, _Block())
        blocks[node_id] = replace(old, entry=_entry(node_id, baseline, layout.indent))
    return layout.head + "".join(blocks[node_id].text for node_id in sorted(blocks)) + layout.tail


@dataclass(frozen=True)
class _Block:
    """One entry's lines, the comment right above them and the one that ends them."""

    comment: str = ""
    entry: str = ""
    remark: str = ""

    @property
    def text(self) -> str:
        return self.comment + self.entry + self.remark


@dataclass(frozen=True)
class _Layout:
    """A file's text in pieces that give the text again when put together."""

    head: str
    blocks: dict[str, _Block]
    tail: str
    indent: str = "  "


def _layout(text: str, device: Device, kept: Mapping[str, Baseline]) -> _Layout:
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if root is None:
        return _Layout("".join(lines) + _head(device), {}, "")
    found = [pair for pair in root.value if pair[0].value == "cases"]
    if not found:
        return _Layout("".join(lines) + "cases:\n", {}, "")
    key, cases = found[0]
    if not isinstance(cases, yaml.MappingNode) or not cases.value or cases.flow_style:
        until = cases.end_mark.line + (cases.end_mark.column > 0)
        blocks = {node_id: _Block("", _entry(node_id, baseline, "  ")) for node_id, baseline in kept.items()}
        return _Layout("".join(lines[: key.start_mark.line]) + "cases:\n", blocks, "".join(lines[until:]))
    return _block_layout(lines, cases)


def _block_layout(lines: list[str], cases: Any) -> _Layout:
    column = cases.start_mark.column
    end = len(lines) if cases.end_mark.column else min(cases.end_mark.line, len(lines))
    while _is_remark(lines[end - 1], column):
        end -= 1
    names = [key.value for key, _ in cases.value]
    keys = [key.start_mark.line for key, _ in cases.value]
    starts = []
    for line in keys:
        start = line
        while _is_remark(lines[start - 1], column):
            start -= 1
        starts.append(start)
    blocks = {
        name: _block(lines[start:key], lines[key:until])
        for name, start, key, until in zip(names, starts, keys, [*starts[1:], end], strict=True)
    }
    return _Layout("".join(lines[: starts[0]]), blocks, "".join(lines[end:]), " " * column)


def _block(comment: list[str], lines: list[str]) -> _Block:
    end = len(lines)
    while lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return _Block("".join(comment), "".join(lines[:end]), "".join(lines[end:]))


def _is_remark(line: str, column: int) -> bool:
    """Return whether a line is empty, or a comment on what follows; one that is indented deeper ends an entry."""
    text = line.lstrip()
    return not text or (text.startswith("#") and len(line) - len(text) <= column)


def _head(device: Device) -> str:
    plain = {"key": device.key, "name": device.name, "memory_bytes": device.memory_bytes}
    return (
        f"# Baselines of pytest-batchguard for {device.key}. Written by `pytest --batchguard-update`; "
        f"policy lives in markers and ini.\nschema: {SCHEMA}\ndevice: {_flow(plain)}\ncases:\n"
    )


def _entry(node_id: str, baseline: Baseline, indent: str) -> str:
    plain = to_plain(baseline)
    for part, names in _NOT_STORED.items():
        for name in names:
            plain.get(part, {}).pop(name, None)
    parts = {part: {name: item for name, item in plain.get(part, {}).items() if item != []} for part in _PARTS}
    key = json.dumps(node_id, ensure_ascii=False) if _must_be_quoted(node_id) else node_id
    head = f"{indent}{key}:" if len(key) < _LONGEST_SIMPLE_KEY else f"{indent}? {key}\n{indent}:"
    lines = [f"{indent}  {part}: {_flow(round_figures(figures))}" for part, figures in parts.items() if figures]
    return "\n".join([head, *lines]) + "\n"


def _must_be_quoted(node_id: str) -> bool:
    shown = yaml.safe_dump(node_id, allow_unicode=True, width=_WIDE).splitlines()[0]
    return shown != node_id or len(node_id) >= _LONGEST_SIMPLE_KEY


def _flow(plain: dict[str, Any]) -> str:
    text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=_WIDE)
    return text.strip()


def _parse(path: Path, text: str) -> dict[str, Baseline]:
    try:
        data = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError is a date that there is not
        raise BaselineFileError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return {}
    refuse_duplicates(path, root, BaselineFileError)
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
    if "device" in data:
        key = _checked(path, root, Device, data["device"], ("device",)).key
        if path.stem != key:
            problem = (
                f"found {key}, allowed: {path.stem}, as the file is named; the figures of one device are not another's"
            )
            raise BaselineFileError(_located(path, root, ("device", "key"), problem))
    cases = {} if data.get("cases") is None else data["cases"]
    if not isinstance(cases, dict):
        raise BaselineFileError(f"{path}:{_line_of(root, ('cases',))}: cases: found {cases!r}, allowed: a mapping")
    return {str(node_id): _baseline(path, root, str(node_id), entry) for node_id, entry in cases.items()}


def _baseline(path: Path, root: Any, node_id: str, entry: Any) -> Baseline:
    keys = ("cases", node_id)
    baseline = _checked(path, root, Baseline, _with_text_dates(entry), keys)
    if baseline.memory is None and baseline.throughput is None and baseline.loss is None:
        raise BaselineFileError(_located(path, root, keys, "found no figures, allowed: memory, throughput or loss"))
    for part, names in _ABOVE_ZERO.items():
        for name in names:
            found = getattr(getattr(baseline, part), name, None)
            for figure in found if isinstance(found, tuple) else (found,):
                if figure is not None and not 0 < figure < math.inf:
                    problem = f"found {figure}, allowed: a number above 0"
                    raise BaselineFileError(_located(path, root, (*keys, part, name), problem))
    return baseline


def _checked(path: Path, root: Any, kind: type[_T], data: Any, keys: tuple[str, ...]) -> _T:
    try:
        return from_plain(kind, data)
    except PlainDataError as error:
        raise BaselineFileError(_located(path, root, (*keys, *error.path), error.problem)) from error


def _located(path: Path, root: Any, keys: tuple[str, ...], problem: str) -> str:
    return f"{path}:{_line_of(root, keys)}: {' → '.join(keys)}: {problem}"


def _with_text_dates(entry: Any) -> Any:
    """YAML reads `2026-11-22` as a date and an all-digit commit as a number; both are texts here."""
    if not isinstance(entry, dict) or not isinstance(entry.get("recorded_with"), dict):
        return entry
    made = entry["recorded_with"].items()
    texts = {key: item if item is None or isinstance(item, bool) else str(item) for key, item in made}
    return {**entry, "recorded_with": texts}


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
