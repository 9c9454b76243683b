"""What a run with guards finds where it starts: the packages, the device, the way pytest was started."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pytest_batchguard.core.model import Device
from pytest_batchguard.errors import BatchguardError, ConfigurationError, DeviceError
from pytest_batchguard.measure.device import choose_device
from pytest_batchguard.plugin import options


def check_surroundings(config: pytest.Config) -> None:
    """Make sure that guards can run here at all.

    Raises:
        ConfigurationError: Tests are to run side by side.
        DeviceError: There is no TensorFlow.
    """
    if config.getoption("dist", "no") != "no" or config.getoption("numprocesses", None):
        raise ConfigurationError(
            "guards measure one case at a time, and pytest-xdist is asked to run tests side by side: "
            "run them without -n, or with -n 0"
        )
    if importlib.util.find_spec("tensorflow") is None:
        raise DeviceError("TensorFlow is not installed: pip install 'pytest-batchguard[cpu]' or '[gpu]'")


def device_of(config: pytest.Config) -> Device:
    """Return what to train on.

    Raises:
        DeviceError: It is not there.
    """
    import os

    try:
        device = choose_device(options.value(config, "batchguard_device"), os.environ)
    except BatchguardError as error:
        raise DeviceError(f"{options.source(config, 'batchguard_device')}: {error}") from None
    if options.value(config, "batchguard_require_gpu") and not device.is_gpu:
        raise DeviceError(f"--batchguard-require-gpu: found {device.name}; a GPU is needed")
    return device


def relative(path: Path, config: pytest.Config) -> str:
    """Return a path as the user would write it where pytest was started."""
    here = config.invocation_params.dir
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
