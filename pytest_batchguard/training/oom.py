"""Which errors mean out of memory, and what to tell people of an error.

Judged by the error's class name and text, so that nothing needs importing to recognise one.
The catalogue: what TensorFlow's allocators, XLA, cuDNN and cuBLAS were seen to say.
"""

from __future__ import annotations

import re

from pytest_batchguard.core.model import Failure, FailureKind

_CERTAIN = (
    r"OOM when allocating tensor",
    r"RESOURCE_EXHAUSTED: Out of memory while trying to allocate",
    r"Out of memory while trying to allocate \d+",
    r"Failed to allocate request for .* on device ordinal",
    r"No algorithm worked!.*RESOURCE_EXHAUSTED",
    r"CUDA_ERROR_OUT_OF_MEMORY",
    r"cuda\w+\(\).* failed\. Status: out of memory",
)
_LIKELY = (
    r"Dst tensor is not initialized",
    r"Failed copying input tensor",
    r"CUDNN_STATUS_(?:ALLOC_FAILED|NOT_INITIALIZED)",
    r"CUBLAS_STATUS_ALLOC_FAILED",
)
_TAKEN = re.compile(r"CUDA_ERROR_DEVICE_UNAVAILABLE|CUDA-capable device.* busy or unavailable")
_OF_FILES = re.compile(r"No space left on device|Too many open files|Disk quota exceeded")
_HOST = re.compile(r"device:CPU:\d+ by allocator (?:cpu|mklcpu)\b")
_TENSOR = re.compile(r"OOM when allocating tensor with shape(\[[\d,]*\]) and type (\w+)")
_NODE = re.compile(r"(?:Detected at node|node:?) \{?\{?(?:node )?([\w/.]+)")
_BYTES = re.compile(r"(?:allocate|request for) ([\d.]+ ?(?:[KMGT]i?B|bytes)?)")
_NOISE = re.compile(
    r"^(?:Graph execution error:|Detected at node .*|Stack trace for op definition:.*|\s*File \".*|"
    r"\s*\[\[\{\{node .*|Hint: .*|The stack trace below.*|)$"
)
_COLOR = re.compile(r"\x1b\[[\d;]*m")
_LONGEST = 400


def classify(error: BaseException) -> Failure | None:
    """Return what kind of memory was short, or `None` where the error is not of memory."""
    if isinstance(error, MemoryError):
        return Failure(FailureKind.HOST_OOM, "out of host memory: Python could not allocate")
    failure = classify_text(str(error))
    is_exhausted = type(error).__name__ == "ResourceExhaustedError" and not _OF_FILES.search(str(error))
    if failure is None and is_exhausted:
        return Failure(FailureKind.OOM, _describe(str(error), FailureKind.OOM, certain=True))
    return failure


def classify_text(text: str) -> Failure | None:
    """Return what an error's text or a dead process's output says of memory, or `None`."""
    certain = any(re.search(pattern, text, re.DOTALL) for pattern in _CERTAIN)
    if not certain and not any(re.search(pattern, text) for pattern in _LIKELY):
        return None
    kind = FailureKind.HOST_OOM if _HOST.search(text) else FailureKind.OOM
    return Failure(kind, _describe(text, kind, certain=certain), certain)


def finds_no_room(text: str) -> bool:
    """Return whether a process found no memory on the card, or was not let on it beside another.

    A card in exclusive compute mode, as some clusters set it, takes one process at a time.
    """
    failure = classify_text(text)
    return (failure is not None and failure.kind is FailureKind.OOM) or _TAKEN.search(text) is not None


def was_tight(output: str) -> bool:
    """Return whether the allocator said that it had to give regions back to go on."""
    return "Garbage collection: deallocate free memory regions" in output


def condense(error: BaseException) -> str:
    """Return an error's own words: no graph dumps, no stack of the framework, at most a few lines."""
    plain = _COLOR.sub("", str(error))
    kept = [line.strip() for line in plain.splitlines() if not _NOISE.match(line)]
    text = re.sub(r"\s*\[Op:\w+\]\s*$", "", " ".join(kept)).strip()
    if len(text) > _LONGEST:
        text = text[:_LONGEST].rstrip() + " …"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _describe(text: str, kind: FailureKind, *, certain: bool) -> str:
    where = "host memory" if kind is FailureKind.HOST_OOM else "memory"
    message = f"out of {where}" if certain else f"most likely out of {where}"
    if tensor := _TENSOR.search(text):
        message += f": no room for a tensor of shape {tensor[1].replace(',', ', ')}, {tensor[2]}"
    elif size := _BYTES.search(text):
        message += f": no room for {size[1].strip()}"
    if node := _NODE.search(text):
        message += f", at {node[1]}"
    return message
