"""Another commit of the project, checked out beside it for as long as a run lasts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_batchguard.errors import ConfigurationError, last_line

_OF_HOOKS = {
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
}
"""A hook of git's, such as one that runs before a commit, is told by these of another index and another repository."""


@dataclass(frozen=True)
class Checkout:
    """A commit in a folder of its own.

    Attributes:
        reference: What the user called it.
        commit: Its short hash.
        repository: The top of the project's own tree.
        folder: The top of the tree checked out.
    """

    reference: str
    commit: str
    repository: Path
    folder: Path

    def inside(self, path: Path) -> Path:
        """Return what stands in the checkout for a path of the project's; any other path as it is."""
        for way in (path, path.resolve()):  # the repository itself is resolved
            if way.is_relative_to(self.repository):
                return self.folder / way.relative_to(self.repository)
        return path

    def remove(self) -> None:
        """Remove the folder, and git's memory of it."""
        _remove(self.repository, self.folder)


def repository_of(inside: Path) -> Path:
    """Return the top of the repository that a folder is in.

    Raises:
        ConfigurationError: There is no git, or no repository.
    """
    return Path(_git(inside, "rev-parse", "--show-toplevel")).resolve()


def check_out(reference: str, inside: Path) -> Checkout:
    """Check a commit out into a temporary git worktree; the project's own tree and index stay as they are.

    Args:
        reference: A branch, tag or commit.
        inside: A folder of the project's.

    Raises:
        ConfigurationError: There is no git, no repository, no such commit or no place beside the repository.
    """
    repository = repository_of(inside)
    # `--end-of-options`, so that no reference is taken for an option.
    try:
        commit = _git(repository, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}")
    except ConfigurationError as error:
        hint = "; this clone is shallow, fetch more of its history" if _is_shallow(repository) else ""
        raise ConfigurationError(f"found {reference!r}, allowed: a branch, tag or commit ({error}){hint}") from None
    short = _git(repository, "rev-parse", "--short", commit)
    folder = _new_folder(repository)
    try:
        _git(repository, "worktree", "add", "--detach", "--quiet", str(folder), commit)
    except BaseException:
        _remove(repository, folder)  # git leaves the tree there where a hook fails, or where it is interrupted
        raise
    return Checkout(reference, short, repository, folder)


def _new_folder(repository: Path) -> Path:
    """Return where to check out: a folder that is not there yet, in a temporary one that is removed with it."""
    temporary = Path(tempfile.gettempdir()).resolve()
    if temporary.is_relative_to(repository):
        raise ConfigurationError(
            f"found {temporary} for temporary files, allowed: a folder outside of the repository {repository}, which "
            "another commit is checked out in; TMPDIR names it"
        )
    return Path(tempfile.mkdtemp(prefix="batchguard-against-", dir=temporary)) / (repository.name or "base")


def _is_shallow(repository: Path) -> bool:
    return _git(repository, "rev-parse", "--is-shallow-repository") == "true"


def _remove(repository: Path, folder: Path) -> None:
    """Remove a worktree and the temporary folder that it is in, whatever else was written there."""
    shutil.rmtree(folder.parent, ignore_errors=True)
    with suppress(ConfigurationError):  # there was none yet
        _git(repository, "worktree", "remove", "--force", "--force", str(folder))


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, check=False, env=environment
        )
    except OSError as error:
        raise ConfigurationError(f"git cannot be run: {error}") from error
    if done.returncode != 0:
        said = last_line(done.stderr) or f"git {arguments[0]} failed"
        raise ConfigurationError(said.removeprefix("fatal: "))
    return done.stdout.strip()
