"""Peak memory: which settings make the allocator's figure reproducible, and how it is read.

On the CPU the figure comes from TensorFlow's BFC allocator, the one that GPUs use, in a pass of its own: without
oneDNN (whose workspaces come and go), with one inter-op thread (so that operations overlap less) and with one large
region reserved first (so that the pool is one, as on a GPU, and does not grow by doubling). What is left: TensorFlow
orders the operations a little differently in every process, and BFC hands out chunks up to twice as large as asked
for, so that the peak of some models differs by a tenth.
On a GPU none of this applies and one pass serves memory and throughput.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MEMORY_PASS_SERVER_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "MALLOC_MMAP_THRESHOLD_": str(2**16)}
"""What the memory pass needs in the environment when its interpreter starts.

TensorFlow copies a NumPy array into its pool, unless the array happens to begin at a multiple of 64 bytes: then it uses
it where it lies. glibc makes a block from the threshold on a mapping of its own, which begins 16 bytes behind a page's
start, unless it has a free one, as it may have for the smallest. So data in arrays is in the peak every time, as it is
on a GPU.
"""

MEMORY_PASS_STEPS = 6
"""Training steps of a memory pass: optimizer slots exist after the first, the peak is reached by the third."""

PROBE_STEPS = 3
"""Training steps of a process that only has to tell whether a batch size fits."""

_MIB = 2**20
_FIRST_REGION = 2 * _MIB
_LARGEST_REGION = 4 * 2**30
_REGION_SHARE = 0.9


def cpu_allocator_environment(limit_bytes: int) -> dict[str, str]:
    """Return the environment that makes the CPU allocate by BFC, with a hard limit; set before any operation runs.

    Args:
        limit_bytes: What the allocator may hand out, rounded down to whole MiB.
    """
    return {"TF_CPU_ALLOCATOR_USE_BFC": "1", "TF_CPU_BFC_MEM_LIMIT_IN_MB": str(max(1, limit_bytes // _MIB))}


def region_bytes(limit_bytes: int, peak_so_far: int) -> int:
    """Return how much to reserve so that what follows comes out of one region; its pages are never touched.

    Args:
        limit_bytes: What the allocator may hand out, in whole MiB.
        peak_so_far: Its peak bytes in use, of the model's weights say. A pool that began with 2 MiB and grew by
            doubling holds at most twice as much and twice its beginning, which the new region cannot have.
    """
    free = limit_bytes // _MIB * _MIB - 2 * peak_so_far - 2 * _FIRST_REGION
    return max(0, int(min(free * _REGION_SHARE, _LARGEST_REGION)))


@dataclass(frozen=True)
class MemoryMeter:
    """The allocator's peak between start and stop.

    Attributes:
        reset: Forgets the peak so far.
        read_peak: Returns the peak bytes in use since the last reset.
        read_held: Returns the bytes in use now.
        beside_bytes: Of what is in use all the time and is none of the training.
    """

    reset: Callable[[], None]
    read_peak: Callable[[], int]
    read_held: Callable[[], int]
    beside_bytes: int = 0

    def start(self) -> None:
        """Begin at what is in use now."""
        self.reset()

    def stop(self) -> int:
        """Return the training's peak bytes in use since `start`."""
        return self.read_peak() - self.beside_bytes

    def held(self) -> int:
        """Return what the training holds now."""
        return self.read_held() - self.beside_bytes
