import os
import platform
import subprocess
import sys

import pytest

from pytest_batchguard.measure.memory import (
    MEMORY_PASS_SERVER_ENVIRONMENT,
    MemoryMeter,
    cpu_allocator_environment,
    region_bytes,
)

MIB, GIB = 2**20, 2**30


def test_cpu_allocates_by_bfc_with_the_limit_in_whole_mib():
    assert cpu_allocator_environment(300 * MIB) == {
        "TF_CPU_ALLOCATOR_USE_BFC": "1",
        "TF_CPU_BFC_MEM_LIMIT_IN_MB": "300",
    }


@pytest.mark.parametrize(("limit", "text"), [(300 * MIB + MIB - 1, "300"), (301 * MIB, "301"), (5, "1")])
def test_limit_is_rounded_down_but_never_to_nothing_which_would_lift_it(limit, text):
    assert cpu_allocator_environment(limit)["TF_CPU_BFC_MEM_LIMIT_IN_MB"] == text


def test_memory_pass_goes_without_onednn_and_with_mappings_for_arrays():
    assert MEMORY_PASS_SERVER_ENVIRONMENT == {"TF_ENABLE_ONEDNN_OPTS": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}


def test_what_lies_in_the_pool_beside_the_training_does_not_count():
    meter = MemoryMeter(reset=lambda: None, read_peak=lambda: 9 * MIB, read_held=lambda: 7 * MIB, beside_bytes=5 * MIB)
    assert (meter.stop(), meter.held()) == (4 * MIB, 2 * MIB)


def test_region_leaves_a_tenth_of_the_limit():
    assert region_bytes(1004 * MIB, 0) == 900 * MIB


def test_region_is_part_of_a_limit_in_whole_mib():
    assert region_bytes(1004 * MIB + 1_000_000, 0) == 900 * MIB


def test_region_leaves_what_the_weights_may_have_taken_twice():
    assert region_bytes(1004 * MIB, 100 * MIB) == 720 * MIB


def test_region_is_never_larger_than_four_gib():
    assert region_bytes(64 * GIB, 0) == 4 * GIB


@pytest.mark.parametrize("peak_so_far", [500 * MIB, 501 * MIB, 5 * GIB])
def test_region_is_nothing_where_the_limit_is_used_up(peak_so_far):
    assert region_bytes(1000 * MIB, peak_so_far) == 0


def test_meter_forgets_the_peak_at_its_start_and_reads_it_at_its_stop():
    calls = []

    def read_peak():
        calls.append("read")
        return 42

    meter = MemoryMeter(lambda: calls.append("reset"), read_peak, read_held=lambda: 7)
    meter.start()
    assert meter.stop() == 42
    assert calls == ["reset", "read"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library's own way to allocate")
def test_no_array_happens_to_lie_where_tensorflow_would_use_it_in_place_of_a_copy():
    allocating = (
        "import numpy as np; "
        "kept = [np.ones(2**16 + 7 * n, 'float32') for n in range(200) if np.ones(2**18 + n).any()]; "
        "print(sorted({each.ctypes.data % 64 for each in kept}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", allocating],
        env={**os.environ, **MEMORY_PASS_SERVER_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[16]\n"
