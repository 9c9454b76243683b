"""What a run with guards finds where it starts: the packages, the device, the way pytest was started."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

from pytest_batchguard.core.model import Device
from pytest_batchguard.errors import BatchguardError, ConfigurationError, DeviceError
from pytest_batchguard.measure.device import choose_device
from pytest_batchguard.plugin import options

_GPU_EXTRA = "pytest-batchguard[gpu]"


def check_surroundings(config: pytest.Config) -> None:
    """Make sure that guards can run here at all.

    Raises:
        ConfigurationError: Tests are to run side by side or in processes of another plugin's, or Keras is not to
            compute with TensorFlow.
        DeviceError: There is no TensorFlow.
    """
    is_distributed = config.getoption("dist", "no") != "no" and config.getoption("tx", None)
    if is_distributed or config.getoption("numprocesses", None):
        raise ConfigurationError(
            "guards measure one case at a time, and pytest-xdist is asked to run tests side by side: "
            "run them without -n, or with -n 0"
        )
    if config.getoption("forked", False):
        raise ConfigurationError("every case has a process of its own already, which --forked would take it from")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise ConfigurationError(f"KERAS_BACKEND: found {backend!r}, allowed: tensorflow, whose memory is measured")
    if importlib.util.find_spec("tensorflow") is None:
        raise DeviceError(f"TensorFlow is not installed: pip install 'pytest-batchguard[cpu]' or '{_GPU_EXTRA}'")


def device_of(config: pytest.Config) -> Device:
    """Return what to train on.

    Raises:
        DeviceError: It is not there.
    """
    request = options.value(config, "batchguard_device")
    can_use_gpu = _tensorflow_has_cuda()
    if request == "auto" and not can_use_gpu:
        request = "cpu"
    try:
        device = choose_device(request, os.environ)
    except BatchguardError as error:
        raise DeviceError(f"{options.source(config, 'batchguard_device')}: {error}") from None
    if options.value(config, "batchguard_require_gpu") and not device.is_gpu:
        source = options.source(config, "batchguard_require_gpu")
        why = "" if can_use_gpu else f"; the TensorFlow installed here has no CUDA: pip install '{_GPU_EXTRA}'"
        raise DeviceError(f"{source}: found {device.name}; a GPU is needed{why}")
    return device


def _tensorflow_has_cuda() -> bool:
    """Return whether TensorFlow was built to use a GPU, which it says in a file that can be read without it."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None:
        return True
    try:
        build = Path(spec.origin).with_name("python").joinpath("platform", "build_info.py").read_text(encoding="utf-8")
    except OSError:
        return True
    return re.search(r"is_cuda_build\W+False", build) is None


def relative(path: Path, config: pytest.Config) -> str:
    """Return a path as the user would write it where pytest was started."""
    here = config.invocation_params.dir
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
