"""Take a YAML file as a whole or not at all: read it without losing an entry, replace it, one process at a time."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

_LOCK_SECONDS = 30


def locked(path: Path) -> FileLock:
    """Return the lock of `path`, which lies outside the project, so that no lock file is left there.

    Every user has one of his own: another's cannot be opened in a folder that all write to.
    """
    user = os.getuid() if hasattr(os, "getuid") else ""
    name = hashlib.sha256(f"{user} {path.resolve()}".encode()).hexdigest()[:16]
    return FileLock(Path(tempfile.gettempdir()) / f"pytest-batchguard-{name}.lock", timeout=_LOCK_SECONDS)


def refuse_duplicates(path: Path, node: Any, error: type[Exception]) -> None:
    """Raise `error` at two entries of one name, of which YAML's reader would silently take the last.

    Args:
        path: Of the file.
        node: The document, as composed.
        error: To raise.
    """
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if key.value in seen:
            raise error(f"{path}:{key.start_mark.line + 1}: {key.value}: is there twice")
        seen.add(key.value)
        refuse_duplicates(path, value, error)


def may_replace(path: Path) -> bool:
    """Return whether `replace_file` has the permissions it needs, for a file that is there or a new one."""
    path = path.resolve()
    return os.access(path.parent, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.W_OK))


def replace_file(path: Path, text: str) -> None:
    """Write a temporary file beside `path`, sync it and rename it; the mode of the file stays, and so does a link.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    path = path.resolve()
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
