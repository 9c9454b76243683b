"""Baselines files as people and the package write them."""

HEAD = (
    "# Baselines of pytest-batchguard for nvidia-h200. Written by `pytest --batchguard-update`; "
    "policy lives in markers and ini.\n"
    "schema: 1\n"
    "device: {key: nvidia-h200, name: NVIDIA H200, memory_bytes: 150754820096}\n"
    "cases:\n"
)
FIRST, SECOND, THIRD = "tests/a.py::test_x[b1-8x8]", "tests/a.py::test_x[b2-8x8]", "tests/b.py::test_y[b1-8x8]"


def entry(node_id, peak_bytes=1000):
    return f"  {node_id}:\n    memory: {{peak_bytes: {peak_bytes}}}\n"


def file_of(*entries):
    return HEAD + "".join(entries)
