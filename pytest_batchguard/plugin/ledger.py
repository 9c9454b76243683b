"""What earlier runs have found out, kept in pytest's cache for as long as the code stays what it was."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import pytest

import pytest_batchguard
from pytest_batchguard.core.model import Measurement
from pytest_batchguard.core.plain import PlainDataError, from_plain, to_plain
from pytest_batchguard.core.plan import Plan
from pytest_batchguard.plugin import code_state
from pytest_batchguard.tuning.found import Found

_KEY = "batchguard/probes"
_OF_NO_CONSEQUENCE = frozenset(
    {
        "cacheclear",
        "capture",
        "code_highlight",
        "color",
        "deselect",
        "disable_warnings",
        "durations",
        "durations_min",
        "failedfirst",
        "file_or_dir",
        "fold_skipped",
        "force_short_summary",
        "fulltrace",
        "keyword",
        "lf",
        "markexpr",
        "maxfail",
        "newfirst",
        "no_header",
        "no_summary",
        "quiet",
        "random_order_seed",
        "randomly_seed",
        "reportchars",
        "showcapture",
        "showlocals",
        "stepwise",
        "stepwise_reset",
        "stepwise_skip",
        "tbstyle",
        "verbose",
        "xmlpath",
    }
)
"""Options that select, order or show tests, of pytest and of plugins that choose another seed in every run."""

_DECIDING = ("CUDA_", "KERAS_", "NVIDIA_", "TF_", "XLA_")
_OF_TERRAFORM = ("TF_TOKEN_", "TF_VAR_")


class Ledger:
    """Known probes by what was asked.

    Args:
        config: For pytest's cache; without one nothing is kept.
        versions: Of what decides the figures beside the project's own code.
        fresh: Whether what is known is left aside.
    """

    def __init__(self, config: pytest.Config, versions: dict[str, str], *, fresh: bool) -> None:
        self._root = config.rootpath
        self._cache: pytest.Cache | None = getattr(config, "cache", None)
        self._versions = {"pytest-batchguard": pytest_batchguard.__version__, **versions}
        known = self._cache.get(_KEY, {}) if self._cache is not None and not fresh else {}
        self._known: dict[str, Any] = known if isinstance(known, dict) else {}

    def look_up(self, node_id: str, plan: Plan) -> Found | None:
        """Return what an earlier run found; `None` where none did, or the code is not what it was."""
        entry = self._known.get(self._name(node_id, plan))
        try:
            if entry is None or not code_state.is_unchanged(self._root, entry["sources"]):
                return None
            measurement = entry["measurement"]
            known = from_plain(Measurement, measurement) if measurement is not None else None
            return Found(known, entry["findings"])
        except (KeyError, TypeError, AttributeError, PlainDataError):
            return None  # written by another version, or by hand

    def keep(self, node_id: str, plan: Plan, found: Found, sources: dict[str, str]) -> None:
        """Remember what was found, at once: the run may be interrupted."""
        self._known[self._name(node_id, plan)] = {
            "sources": sources,
            "measurement": to_plain(found.measurement) if found.measurement is not None else None,
            "findings": to_plain(dict(found.findings)),
        }
        if self._cache is not None:
            self._cache.set(_KEY, self._known)

    def _name(self, node_id: str, plan: Plan) -> str:
        asked = {**to_plain(plan), "device": plan.device.key, "memory_bytes": plan.device.memory_bytes}
        return json.dumps([node_id, asked, self._versions], sort_keys=True)


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide the figures, without importing them."""
    import platform
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in ("tensorflow", "tensorflow-cpu", "keras", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def settings(config: pytest.Config) -> dict[str, str]:
    """Return a hash of the options and environment variables that may decide the figures, the project's own among them.

    A hash, since there may be secrets among them.
    """
    options = {
        name: repr(setting)
        for name, setting in vars(config.option).items()
        if name not in _OF_NO_CONSEQUENCE and not name.startswith("batchguard")
        if isinstance(setting, (str, int, float, list, tuple))
    }
    variables = {
        name: setting
        for name, setting in os.environ.items()
        if name.startswith(_DECIDING) and not name.startswith(_OF_TERRAFORM)
    }
    text = json.dumps([options, variables], sort_keys=True)
    return {"settings": hashlib.sha256(text.encode()).hexdigest()}
