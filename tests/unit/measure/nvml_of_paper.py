"""A driver made of plain data that answers as the module `pynvml` does."""

from dataclasses import dataclass
from types import SimpleNamespace

GIB = 2**30


class NVMLError(Exception):
    pass


@dataclass(frozen=True)
class Card:
    name: str
    uuid: str
    memory_bytes: int = 80 * GIB
    slices: "tuple[Card | None, ...]" = ()
    mig: "bool | None" = None
    """On, off, or `None` where the card knows no MIG."""
    processes: "tuple[tuple[int, int | None], ...] | None" = ()
    """Numbers and memory, or `None` where the driver does not list them."""
    throttle_reasons: "int | None" = 0
    """NVML's bits, or `None` where the card does not say."""


class PaperNvml:
    """The calls of `pynvml` that the package makes; a handle is the card itself."""

    NVMLError = NVMLError
    nvmlMemory_v2 = 33554472  # noqa: N815
    nvmlClocksThrottleReasonSwThermalSlowdown = 32  # noqa: N815
    nvmlClocksThrottleReasonHwThermalSlowdown = 64  # noqa: N815

    def __init__(self, *cards, driver="550.54.15", cuda=12040, starts=True, tells_reserved=True):
        self.cards = cards
        self.driver = driver
        self.cuda = cuda
        self.starts = starts
        self.tells_reserved = tells_reserved
        self.calls = []

    def nvmlInit(self):  # noqa: N802 -- pynvml's names
        self.calls.append("init")
        if not self.starts:
            raise NVMLError

    def nvmlShutdown(self):  # noqa: N802
        self.calls.append("shutdown")

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return self.cards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        return next(handle for card in self.cards for handle in (card, *card.slices) if handle and handle.uuid == uuid)

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return handle.name

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return handle.uuid

    def nvmlDeviceGetMemoryInfo(self, handle, version=None):  # noqa: N802
        if version is None:
            return SimpleNamespace(total=handle.memory_bytes, used=8 * GIB)
        if not self.tells_reserved or version != self.nvmlMemory_v2:
            raise NVMLError
        return SimpleNamespace(total=handle.memory_bytes, used=7 * GIB, reserved=GIB)

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        if handle.mig is None:
            raise NVMLError
        return int(handle.mig), int(handle.mig)

    def nvmlDeviceGetMaxMigDeviceCount(self, handle):  # noqa: N802
        return len(handle.slices)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle, index):  # noqa: N802
        if handle.slices[index] is None:
            raise NVMLError
        return handle.slices[index]

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        if handle.processes is None:
            raise NVMLError
        return [SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in handle.processes]

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        if handle.throttle_reasons is None:
            raise NVMLError
        return handle.throttle_reasons

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return self.driver

    def nvmlSystemGetCudaDriverVersion_v2(self):  # noqa: N802
        return self.cuda
