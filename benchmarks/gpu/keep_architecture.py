"""Empty the machine code for other GPUs than one in CUDA libraries, so that they compress to a fraction.

    keep_architecture.py ARCHITECTURE LIBRARY …        e.g. keep_architecture.py 90 libcublasLt.so.12

The libraries keep their size and layout: of every kernel, the code for other architectures is overwritten with zeros,
and its PTX too where there is code for this one. The driver takes by the headers, which stay, what suits its GPU, and
so never looks at what is empty.

The format is that of CUDA's fat binaries: groups of 16 bytes of header (magic number, version, size of the header, size
of what follows), then entries, each with its kind, the size of its header and of its code, and its architecture.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GROUP = struct.Struct("<IHHQ")
GROUP_START = struct.pack("<IHH", 0xBA55ED50, 1, GROUP.size)
ENTRY = struct.Struct("<HHIQ12xI")
CODE = 2
"""The kind of an entry that is machine code; the others are PTX and the like."""


class Entry(NamedTuple):
    """One kernel's code for one architecture."""

    kind: int
    architecture: int
    begin: int
    size: int


def groups_in(library: mmap.mmap) -> Iterator[list[Entry]]:
    """Yield every group of entries.

    Args:
        library: The file.

    Raises:
        ValueError: A group is not of the format above.
    """
    at = library.find(GROUP_START)
    while at >= 0:
        *_, size = GROUP.unpack_from(library, at)
        position, end = at + GROUP.size, at + GROUP.size + size
        group = []
        while position < end:
            kind, _version, header, code, architecture = ENTRY.unpack_from(library, position)
            position += header + code
            group.append(Entry(kind, architecture, position - code, code))
        if position != end:
            raise ValueError(f"the group at byte {at} ends at {position}, not at {end}")
        yield group
        at = library.find(GROUP_START, end)


def is_needed(entry: Entry, group: list[Entry], architecture: int) -> bool:
    """Return whether the driver of a GPU could take an entry.

    Args:
        entry: One of the group.
        group: All that a kernel has.
        architecture: Of the GPU, as in sm_90.
    """
    if any(each.kind == CODE and each.architecture == architecture for each in group):
        return entry.architecture == architecture and entry.kind == CODE
    # Code runs on later GPUs of its generation, PTX on all later ones.
    same_generation = entry.architecture // 10 == architecture // 10
    return entry.architecture <= architecture and (entry.kind != CODE or same_generation)


def keep_architecture(path: Path, architecture: int) -> int:
    """Empty what a GPU does not need, in place.

    Args:
        path: Of the library.
        architecture: Of the GPU.

    Returns:
        The bytes emptied.
    """
    emptied = 0
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as library:
        for group in list(groups_in(library)):
            for entry in group:
                if not is_needed(entry, group, architecture):
                    library[entry.begin : entry.begin + entry.size] = bytes(entry.size)
                    emptied += entry.size
    return emptied


if __name__ == "__main__":
    for name in sys.argv[2:]:
        print(f"{name}: {keep_architecture(Path(name), int(sys.argv[1])) / 2**20:.0f} MiB emptied")
