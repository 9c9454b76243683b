"""What the project's code was when something was measured: a hash of every file that was loaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_batchguard.plugin.place import imported_from, is_source_in


def hashes(config: pytest.Config) -> dict[str, str]:
    """Return a hash of each of the project's modules that this process has imported, and of its ini file.

    They are named by their path from the rootdir. Of several `conftest` files `sys.modules` has only the last.
    """
    root = str(config.rootpath)
    files = set(imported_from(root).values())
    plugins = {getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins()}
    files |= {file for file in plugins if file and is_source_in(root, file)}
    if config.inipath is not None:
        files.add(str(config.inipath))
    return {os.path.relpath(file, config.rootpath): hash_of(Path(file)) for file in sorted(files)}


def is_unchanged(root: Path, known: Mapping[str, str]) -> bool:
    """Return whether every file still is as it was."""
    return all(hash_of(root / file) == known_hash for file, known_hash in known.items())


def hash_of(file: Path) -> str:
    """Return a short hash of a file's content, or a text that no file hashes to."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError:
        return "is not there"
