"""A pytest configuration of flags and ini keys alone, and items and markers to go with it."""

from types import SimpleNamespace

import pytest


class Configuration:
    """Answers `getoption` and `getini` as pytest does for options whose default is `None`."""

    def __init__(self, flags=None, ini=None):
        self.flags = {f"batchguard_{name}" if name else "batchguard": value for name, value in (flags or {}).items()}
        self.ini = {f"batchguard_{name}" if name else "batchguard": value for name, value in (ini or {}).items()}

    def getoption(self, name, default=None):
        return self.flags.get(name, default)

    def getini(self, name):
        return self.ini.get(name)


def mark(*arguments, **named):
    return pytest.mark.batchguard(*arguments, **named).mark


def item(config=None, **marker):
    """Return what stands for a guard's item: its configuration and its marker."""
    found = mark(32, 8, **marker)
    return SimpleNamespace(config=config or Configuration(), get_closest_marker=lambda _name: found)
