"""TensorFlow's runtime in the process of a case: device, budget, threads, seed, memory figures, versions."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import keras
import tensorflow as tf

from pytest_batchguard.core.figures import MemoryFigures
from pytest_batchguard.core.model import Provenance
from pytest_batchguard.core.plan import Plan
from pytest_batchguard.errors import DeviceError
from pytest_batchguard.measure.memory import MemoryMeter, region_bytes
from pytest_batchguard.measure.nvml import GpuUse, gpu_use, is_thermally_limited, opened_nvml

_MIB = 2**20


def configure(plan: Plan) -> None:
    """Choose device, budget and threads; before the first operation of the process.

    Raises:
        DeviceError: The driver shows the GPU, TensorFlow does not; or Keras computes with something else.
    """
    if keras.backend.backend() != "tensorflow":
        raise DeviceError(
            f"Keras computes with {keras.backend.backend()}, allowed: tensorflow, whose memory is measured; it is set "
            "by KERAS_BACKEND or in ~/.keras/keras.json"
        )
    if not plan.device.is_gpu:
        tf.config.set_visible_devices([], "GPU")
        if plan.has_cpu_pool:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        return
    gpus = tf.config.list_physical_devices("GPU")
    index = plan.device.index or 0
    if index >= len(gpus):
        raise DeviceError(
            f"the driver shows {plan.device.name}, but TensorFlow {tf.__version__} sees {len(gpus)} GPUs: install "
            "its GPU build (pip install 'pytest-batchguard[gpu]') or run with --batchguard-device cpu"
        )
    tf.config.set_visible_devices(gpus[index], "GPU")
    if plan.budget_bytes is None:
        tf.config.experimental.set_memory_growth(gpus[index], True)
    else:
        if os.environ.get("TF_GPU_ALLOCATOR") == "cuda_malloc_async":
            raise DeviceError(
                "TF_GPU_ALLOCATOR=cuda_malloc_async keeps to no memory budget; allowed with one: unset, or another"
            )
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=plan.budget_bytes // _MIB)
        tf.config.set_logical_device_configuration(gpus[index], [limit])
        # A project that lets memory grow, as TensorFlow's guide has it, would be refused: the budget is a pool.
        tf.config.experimental.set_memory_growth = lambda *_, **__: None


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow."""
    keras.utils.set_random_seed(seed)


def pool_bytes(plan: Plan) -> int:
    """Return how much of the plan's device is in use now."""
    return int(tf.config.experimental.get_memory_info(_device(plan))["current"])


def memory_meter(plan: Plan, beside_bytes: int = 0) -> MemoryMeter:
    """Return the meter of the plan's device, its pool made one region first where that is asked for.

    Args:
        plan: Says which device.
        beside_bytes: What lies there all the time and is none of the training.
    """
    device = _device(plan)
    meter = MemoryMeter(
        reset=lambda: tf.config.experimental.reset_memory_stats(device),
        read_peak=lambda: int(tf.config.experimental.get_memory_info(device)["peak"]),
        read_held=lambda: pool_bytes(plan),
        beside_bytes=beside_bytes,
    )
    if plan.has_cpu_pool:
        _reserve_region(region_bytes(plan.budget_bytes or plan.device.memory_bytes, meter.read_peak()))
    return meter


def _device(plan: Plan) -> str:
    return "GPU:0" if plan.device.is_gpu else "CPU:0"


def memory_figures(plan: Plan, peak_bytes: int, held_bytes: int | None, use_before: GpuUse | None) -> MemoryFigures:
    """Return the peak with what NVML says of the card and what the host held.

    Args:
        plan: Says which device.
        peak_bytes: The allocator's.
        held_bytes: In use between two steps.
        use_before: Who held what before anything took turns with the training; `None` on the CPU.
    """
    use = card_use(plan)
    strangers = [each.other_processes for each in (use_before, use) if each and each.other_processes is not None]
    return MemoryFigures(
        peak_bytes=peak_bytes,
        held_bytes=held_bytes,
        host_peak_bytes=_host_peak_bytes(),
        reserved_bytes=use.process_bytes if use else None,
        device_used_bytes=use_before.used_bytes if use_before else None,
        other_processes=max(strangers, default=None),
    )


def thermally_limited(plan: Plan) -> bool | None:
    """Return whether the card slows itself down for its temperature; `None` where nobody says."""
    if plan.device.uuid is None:
        return None
    with opened_nvml() as pynvml:
        return is_thermally_limited(pynvml, plan.device.uuid) if pynvml else None


def card_use(plan: Plan) -> GpuUse | None:
    """Return who holds how much of the plan's card; `None` on the CPU."""
    if plan.device.uuid is None:
        return None
    with opened_nvml() as pynvml:
        return gpu_use(pynvml, plan.device.uuid, os.getpid(), _siblings()) if pynvml else None


def _siblings() -> set[int]:
    """Return the processes started by whoever started this one, such as the base that takes turns with it."""
    import psutil

    return {process.pid for process in psutil.Process(os.getppid()).children()}


def _host_peak_bytes() -> int:
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def provenance() -> Provenance:
    """Return the versions and settings that only this process knows."""
    from tensorflow.python.framework import config  # the getter is not public; Keras reads it here too

    return Provenance(
        tensorflow=tf.__version__,
        keras=keras.__version__,
        python=platform.python_version(),
        deterministic=bool(config.is_op_determinism_enabled()),
    )


def remove_generated_code() -> None:
    """Delete the files that AutoGraph wrote for this process; it leaves that to an exit which never comes."""
    for name, module in list(sys.modules.items()):
        if name.startswith("__autograph_generated_file") and module.__file__ is not None:
            Path(module.__file__).unlink(missing_ok=True)


def _reserve_region(size: int) -> None:
    with tf.device("CPU:0"):
        region = tf.raw_ops.Empty(shape=[size // 4], dtype=tf.float32, init=False)
    del region
