"""Which device a run trains on, and its stable key."""

from __future__ import annotations

import math
import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_batchguard.core.model import Device
from pytest_batchguard.errors import ConfigurationError, DeviceError
from pytest_batchguard.measure.nvml import Gpu, opened_nvml, visible_gpus

DEVICES_ALLOWED = "auto, cpu, gpu or gpu:N"
_MARKETING = re.compile(r"\((?:R|TM|C)\)|\bCPU\b|@ *[\d.]+ *[GM]Hz|\b\d+-Core\b", re.IGNORECASE)


def choose_device(request: str, environ: Mapping[str, str]) -> Device:
    """Return the device that `request` names on this machine.

    Args:
        request: `auto` (the first GPU that CUDA shows, else the CPU), `cpu`, `gpu` or `gpu:N`.
        environ: For `CUDA_VISIBLE_DEVICES`.

    Raises:
        ConfigurationError: `request` is none of these.
        DeviceError: The GPU asked for is not there.
    """
    match = re.fullmatch(r"auto|cpu|gpu(?::(?P<index>\d+))?", request)
    if match is None:
        raise ConfigurationError(f"found {request!r}, allowed: {DEVICES_ALLOWED}")
    if request == "cpu":
        return cpu_device()
    gpus = _gpus(environ)
    index = int(match["index"] or 0)
    if index < len(gpus):
        return gpu_device(gpus[index], index)
    if request == "auto":
        return cpu_device()
    seen = ", ".join(f"gpu:{place} ({gpu.name})" for place, gpu in enumerate(gpus)) or "no GPU"
    raise DeviceError(f"{request} is not there; NVIDIA's driver shows {seen}")


def gpu_device(gpu: Gpu, index: int) -> Device:
    """Return TensorFlow's GPU `index`, which NVML describes as `gpu`."""
    return Device(key=_slug(gpu.name), name=gpu.name, memory_bytes=gpu.memory_bytes, index=index, uuid=gpu.uuid)


def cpu_device() -> Device:
    """Return the CPU with the cores that this process may use."""
    name = _cpu_name()
    cores = _usable_cores()
    key = _slug(f"cpu {_MARKETING.sub(' ', name)} {cores}c")
    return Device(key=key, name=f"{name}, {cores} cores", memory_bytes=_host_memory_bytes())


def _gpus(environ: Mapping[str, str]) -> list[Gpu]:
    with opened_nvml() as pynvml:
        return visible_gpus(pynvml, environ) if pynvml else []


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def _cpu_name() -> str:
    """Return the processor's name; with family and model where a virtual machine hides which one it is."""
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
        cpu = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        name = cpu.get("model name")
        if name and {"cpu family", "model"} <= cpu.keys() and not re.search(r"\d", _MARKETING.sub(" ", name)):
            return f"{name} (family {cpu['cpu family']}, model {cpu['model']})"
        if name:
            return name
        if "CPU part" in cpu:  # ARM has no names
            return f"{platform.machine()} (implementer {cpu.get('CPU implementer')}, part {cpu['CPU part']})"
    if sys.platform == "darwin":
        import subprocess

        return subprocess.check_output(["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Return the cores that this process may use, or the container's share of their time where that is less."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return cores
    return min(cores, math.ceil(int(quota) / int(period))) if quota.isdigit() else cores


def _host_memory_bytes() -> int:
    """Return the machine's memory, or the container's share of it where that is less."""
    import psutil

    total = int(psutil.virtual_memory().total)
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
            return min(total, int(text))
    return total
