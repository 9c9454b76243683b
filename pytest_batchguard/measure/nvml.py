"""What NVML says of NVIDIA's cards, matched by UUID.

NVML counts cards in PCI order and ignores `CUDA_VISIBLE_DEVICES`; here the variable is applied, so that index N is
TensorFlow's GPU N (given `CUDA_DEVICE_ORDER=PCI_BUS_ID`, which the processes of cases are started with).
What NVML does not say is `None`, never zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """A card or a MIG slice as NVML describes it.

    Attributes:
        name: As the maker writes it; a MIG slice's name ends in its profile.
        uuid: NVML's name of it.
        memory_bytes: All of its memory.
    """

    name: str
    uuid: str
    memory_bytes: int


@dataclass(frozen=True)
class GpuUse:
    """Who held how much of a card at one moment, in bytes.

    Attributes:
        process_bytes: What the process asked after held; `None` where NVML does not say (containers, WDDM, WSL).
        used_bytes: What everybody held; with what the driver keeps for itself only where it does not tell them apart.
        other_processes: How many processes of strangers were on the card; `None` where NVML does not know the process
            asked after (containers), which then is one of those that it names.
    """

    process_bytes: int | None
    used_bytes: int
    other_processes: int | None


@contextmanager
def opened_nvml() -> Iterator[Any]:
    """Yield the initialised `pynvml` module, or `None` on a machine without NVIDIA's driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def visible_gpus(pynvml: Any, environ: Mapping[str, str]) -> list[Gpu]:
    """Return the cards that CUDA shows a process with this environment, in its order.

    Args:
        pynvml: What `opened_nvml` yielded.
        environ: Of the process.
    """
    cards = [_shown(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    known = [gpu for card in cards for gpu in card]
    asked = environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return known
    chosen: list[Gpu] = []
    for entry in filter(None, (part.strip() for part in asked.split(","))):
        is_index = entry.isdigit() and int(entry) < len(cards)
        matches = cards[int(entry)] if is_index else [gpu for gpu in known if gpu.uuid.startswith(entry)]
        if not matches:
            break  # CUDA too ignores everything behind the first entry that it does not know
        chosen.append(matches[0])
    return chosen


def gpu_use(pynvml: Any, uuid: str, pid: int, family: Collection[int] = ()) -> GpuUse:
    """Return who holds how much of the card named `uuid`, seen from process `pid`.

    Args:
        pynvml: What `opened_nvml` yielded.
        uuid: NVML's name of the card.
        pid: The process asked after.
        family: Processes that are no strangers: they stand still while this one is timed.
    """
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    try:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        processes = []
    held = {process.pid: process.usedGpuMemory for process in processes}
    used = _used_bytes(pynvml, handle)
    if pid not in held:
        return GpuUse(None, used, None)
    return GpuUse(held[pid], used, len(held.keys() - {pid, *family}))


def used_bytes(uuid: str) -> int:
    """Return what everybody holds of the card named `uuid`; zero where the driver does not say."""
    with opened_nvml() as pynvml:
        try:
            return _used_bytes(pynvml, pynvml.nvmlDeviceGetHandleByUUID(uuid)) if pynvml else 0
        except pynvml.NVMLError:
            return 0


def is_thermally_limited(pynvml: Any, uuid: str) -> bool | None:
    """Return whether the card named `uuid` runs below its clocks for its temperature; `None` where it does not say."""
    hot = pynvml.nvmlClocksThrottleReasonSwThermalSlowdown | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    try:
        reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(pynvml.nvmlDeviceGetHandleByUUID(uuid))
    except pynvml.NVMLError:
        return None
    return bool(reasons & hot)


def driver_versions(pynvml: Any) -> tuple[str, str]:
    """Return the versions of the driver and of the newest CUDA that it runs."""
    cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    return pynvml.nvmlSystemGetDriverVersion(), f"{cuda // 1000}.{cuda % 1000 // 10}"


def _used_bytes(pynvml: Any, handle: Any) -> int:
    """Return what everybody holds of a card.

    NVML's first answer counts what the driver reserves, 615 MiB of an idle H200; its second, of driver 510, does not.
    """
    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle, pynvml.nvmlMemory_v2).used)
    except pynvml.NVMLError:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)


def _shown(pynvml: Any, index: int) -> list[Gpu]:
    """Return what CUDA shows of one card: itself, or its slices; nothing of one that the driver has lost."""
    try:
        card = pynvml.nvmlDeviceGetHandleByIndex(index)
        return [_describe(pynvml, handle) for handle in _slices_or_card(pynvml, card)]
    except pynvml.NVMLError:
        return []


def _slices_or_card(pynvml: Any, card: Any) -> list[Any]:
    try:
        enabled, _ = pynvml.nvmlDeviceGetMigMode(card)
    except pynvml.NVMLError:
        return [card]
    if not enabled:
        return [card]
    slices = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(card)):
        try:
            slices.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, index))
        except pynvml.NVMLError:
            continue
    return slices


def _describe(pynvml: Any, handle: Any) -> Gpu:
    return Gpu(
        name=pynvml.nvmlDeviceGetName(handle),
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        memory_bytes=pynvml.nvmlDeviceGetMemoryInfo(handle).total,
    )
