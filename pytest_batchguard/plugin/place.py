"""Where a case's process runs: in the project's own tree, or in another commit's, with every path moved there."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_batchguard.storage.checkout import Checkout


@dataclass(frozen=True)
class Place:
    """A tree to run in.

    Attributes:
        checkout: The other commit; `None` for the project's own tree.
    """

    checkout: Checkout | None = None

    @property
    def foreign_tree(self) -> str | None:
        """The tree whose modules must not be imported here."""
        return str(self.checkout.repository) if self.checkout else None

    def path(self, path: Path) -> Path:
        """Return a path of the project's in this tree."""
        return self.checkout.inside(path) if self.checkout else path

    def arguments(self, arguments: Iterable[object]) -> list[str]:
        """Return the command line, absolute paths of the project's moved into this tree."""
        texts = list(map(str, arguments))
        if self.checkout is None:
            return texts
        here = re.compile(rf"((?<=^-\w)|(?<![\w./-])){re.escape(str(self.checkout.repository))}(?=[/:*]|$)")
        there = str(self.checkout.folder)
        return [here.sub(lambda _: there, text) for text in texts]

    def module_path(self, folders: Iterable[str]) -> tuple[str, ...]:
        """Return `sys.path`, the project's own folders moved into this tree; the environment's packages stay."""
        return tuple(folder if _is_installed(folder) else str(self.path(Path(folder).absolute())) for folder in folders)


def imported_from(tree: str) -> dict[str, str]:
    """Return name and file of the imported modules whose source lies in a tree.

    Installed packages and this plugin are none of it.
    """
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and is_source_in(tree, file):
            found[name] = file
    return found


def is_source_in(tree: str, file: str) -> bool:
    """Return whether a file is source of the project in a tree, and not of an installed package or of this plugin."""
    return _lies_in(tree, file) and not _is_installed(file) and not _is_ours(file)


def _lies_in(tree: str, file: str) -> bool:
    return Path(file).is_relative_to(tree) or Path(file).resolve().is_relative_to(tree)


def _is_ours(file: str) -> bool:
    return Path(file).is_relative_to(Path(__file__).parents[1])


_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
"""Not all of `sys.prefix`: that may be `/usr` with the project in `/usr/src`, or the project's own folder."""


def _is_installed(path: str) -> bool:
    parts = Path(path).parts
    return (
        not path
        or not {"site-packages", "dist-packages"}.isdisjoint(parts)
        or any(Path(path).is_relative_to(folder) for folder in _INSTALLED)
    )
