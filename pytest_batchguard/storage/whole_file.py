"""Replace a file as a whole or not at all, one process at a time."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from filelock import FileLock

_LOCK_SECONDS = 30


def locked(path: Path) -> FileLock:
    """Return the lock of `path`, which lies outside the project, so that no lock file is left there.

    Every user has one of his own: another's cannot be opened in a folder that all write to.
    """
    user = os.getuid() if hasattr(os, "getuid") else ""
    name = hashlib.sha256(f"{user} {path.resolve()}".encode()).hexdigest()[:16]
    return FileLock(Path(tempfile.gettempdir()) / f"pytest-batchguard-{name}.lock", timeout=_LOCK_SECONDS)


def replace_file(path: Path, text: str) -> None:
    """Write a temporary file beside `path`, sync it and rename it; the mode of the file stays.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
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
