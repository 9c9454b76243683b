import datetime as dt
import re
import socket
from types import SimpleNamespace

import psutil
import pytest

from pytest_batchguard.core.model import Device
from pytest_batchguard.errors import ConfigurationError, DeviceError
from pytest_batchguard.measure import device
from pytest_batchguard.measure.device import choose_device, cpu_device, gpu_device
from pytest_batchguard.measure.nvml import Gpu

H200 = Gpu("NVIDIA H200", "GPU-1", 150_754_820_096)
T4 = Gpu("Tesla T4", "GPU-2", 15_843_721_216)


@pytest.fixture
def gpus(monkeypatch):
    """The GPUs that the driver shows, to be filled by the test."""
    shown = []
    monkeypatch.setattr(device, "_gpus", lambda _environ: shown)
    return shown


@pytest.fixture
def cpu(monkeypatch):
    """Set the name and the cores of the CPU."""

    def named(name, cores):
        monkeypatch.setattr(device, "_cpu_name", lambda: name)
        monkeypatch.setattr(device, "_usable_cores", lambda: cores)
        return cpu_device()

    return named


def test_auto_is_the_first_gpu(gpus):
    gpus += [H200, T4]
    assert choose_device("auto", {}) == Device("nvidia-h200", "NVIDIA H200", 150_754_820_096, 0, "GPU-1")


def test_auto_is_the_cpu_where_there_is_no_gpu(gpus):
    assert choose_device("auto", {}) == cpu_device()


def test_cpu_is_the_cpu_although_there_is_a_gpu(gpus):
    gpus.append(H200)
    assert not choose_device("cpu", {}).is_gpu


def test_cpu_does_not_even_ask_for_gpus(monkeypatch):
    monkeypatch.setattr(device, "_gpus", lambda _environ: pytest.fail("asked"))
    assert not choose_device("cpu", {}).is_gpu


@pytest.mark.parametrize(("request_", "index"), [("gpu", 0), ("gpu:0", 0), ("gpu:1", 1)])
def test_gpu_is_chosen_by_its_index(gpus, request_, index):
    gpus += [H200, T4]
    assert choose_device(request_, {}) == gpu_device([H200, T4][index], index)


def test_gpu_that_is_not_there_is_an_error_that_lists_those_that_are(gpus):
    gpus += [H200, T4]
    with pytest.raises(DeviceError, match=r"gpu:2 is not there.* shows gpu:0 \(NVIDIA H200\), gpu:1 \(Tesla T4\)"):
        choose_device("gpu:2", {})


def test_gpu_on_a_machine_without_one_is_an_error(gpus):
    with pytest.raises(DeviceError, match="gpu is not there; NVIDIA's driver shows no GPU"):
        choose_device("gpu", {})


@pytest.mark.parametrize("request_", ["", "GPU", "tpu", "gpu:", "gpu:x", "gpu:-1", "cuda:0", "cpu:0", " gpu", "gpu\n"])
def test_request_for_anything_else_is_refused_with_what_is_allowed(gpus, request_):
    gpus.append(H200)
    with pytest.raises(ConfigurationError, match="allowed: auto, cpu, gpu or gpu:N") as caught:
        choose_device(request_, {})
    assert repr(request_) in str(caught.value)


def test_gpus_are_looked_up_in_the_environment_given(monkeypatch):
    seen = []
    monkeypatch.setattr(device, "_gpus", lambda environ: seen.append(environ) or [H200])
    choose_device("auto", {"CUDA_VISIBLE_DEVICES": "3"})
    assert seen == [{"CUDA_VISIBLE_DEVICES": "3"}]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H200", "nvidia-h200"),
        ("NVIDIA A100 80GB MIG 3g.40gb", "nvidia-a100-80gb-mig-3g.40gb"),
        ("NVIDIA GeForce RTX 4090", "nvidia-geforce-rtx-4090"),
        ("Tesla V100-SXM2-16GB", "tesla-v100-sxm2-16gb"),
    ],
)
def test_gpu_key_is_its_model_and_mig_profile(name, key):
    assert gpu_device(Gpu(name, "GPU-1", 5), 0).key == key


def test_gpu_key_is_the_same_for_every_card_of_the_model():
    other = Gpu(H200.name, "GPU-9", H200.memory_bytes)
    assert gpu_device(H200, 0).key == gpu_device(other, 3).key


@pytest.mark.parametrize(
    ("name", "cores", "key"),
    [
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", 2, "cpu-intel-xeon-platinum-8481c-2c"),
        ("Intel(R) Core(TM) i7-1185G7 @ 3.00GHz", 8, "cpu-intel-core-i7-1185g7-8c"),
        ("AMD EPYC 7763 64-Core Processor", 64, "cpu-amd-epyc-7763-processor-64c"),
        ("Apple M3 Pro", 11, "cpu-apple-m3-pro-11c"),
        ("", 4, "cpu-4c"),
    ],
)
def test_cpu_key_is_its_model_and_its_cores(cpu, name, cores, key):
    assert cpu(name, cores).key == key


def test_cpu_key_has_no_clock(cpu):
    slow = cpu("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", 4)
    fast = cpu("Intel(R) Xeon(R) CPU E5-2680 v4 @ 3.10GHz", 4)
    assert slow.key == fast.key == "cpu-intel-xeon-e5-2680-v4-4c"


def test_cpu_key_tells_core_counts_apart(cpu):
    assert cpu("Xeon", 2).key != cpu("Xeon", 4).key


def test_key_of_this_machine_has_neither_hostname_nor_date_nor_clock():
    key = choose_device("cpu", {}).key
    assert key.startswith("cpu-")
    assert re.search(r"-\d+c$", key)
    assert socket.gethostname().lower() not in key
    assert str(dt.datetime.now(tz=dt.timezone.utc).year) not in key
    assert "hz" not in key
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_key_of_this_machine_is_the_same_every_time():
    assert choose_device("cpu", {}) == choose_device("cpu", {})


def test_cpu_has_the_machines_memory(monkeypatch):
    monkeypatch.setattr(device, "Path", lambda _path: SimpleNamespace(is_file=lambda: False))
    monkeypatch.setattr(device, "_cpu_name", lambda: "Xeon")
    monkeypatch.setattr(device, "_usable_cores", lambda: 2)
    assert cpu_device().memory_bytes == psutil.virtual_memory().total


@pytest.mark.parametrize(("limit", "expected"), [("4294967296\n", 2**32), ("max\n", None), (f"{2**63}\n", None)])
def test_cpu_has_the_containers_share_of_memory_where_that_is_less(monkeypatch, limit, expected):
    cgroup = SimpleNamespace(is_file=lambda: True, read_text=lambda **_: limit)
    monkeypatch.setattr(device, "Path", lambda _path: cgroup)
    monkeypatch.setattr(device, "_cpu_name", lambda: "Xeon")
    monkeypatch.setattr(device, "_usable_cores", lambda: 2)
    assert cpu_device().memory_bytes == (expected or psutil.virtual_memory().total)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_cpu_has_the_containers_share_of_cores_where_that_is_less(monkeypatch, quota, cores):
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _pid: range(8), raising=False)
    monkeypatch.setattr(device, "Path", lambda _path: SimpleNamespace(read_text=lambda **_: quota))
    assert device._usable_cores() == cores


def test_arm_is_told_apart_by_implementer_and_part(monkeypatch, cpu):
    text = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device.platform, "machine", lambda: "aarch64")
    with monkeypatch.context() as patched:
        patched.setattr(device, "Path", lambda _path: SimpleNamespace(read_text=lambda **_: text))
        name = device._cpu_name()
    assert cpu(name, 4).key == "cpu-aarch64-implementer-0x41-part-0xd40-4c"


def test_name_of_the_cpu_is_read_from_the_kernel_where_it_tells(monkeypatch):
    text = "processor\t: 0\nmodel\t\t: 2\nmodel name\t: Fast: CPU 9000\n\nprocessor\t: 1\nmodel name\t: another\n"
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device, "Path", lambda _path: SimpleNamespace(read_text=lambda **_: text))
    assert device._cpu_name() == "Fast: CPU 9000"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("AMD EPYC", "cpu-amd-epyc-family-26-model-2-8c"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu-intel-xeon-family-26-model-2-8c"),
    ],
)
def test_name_that_a_virtual_machine_hides_is_told_apart_by_family_and_model(monkeypatch, cpu, name, key):
    text = f"cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: {name}\n"
    monkeypatch.setattr(device.sys, "platform", "linux")
    with monkeypatch.context() as patched:
        patched.setattr(device, "Path", lambda _path: SimpleNamespace(read_text=lambda **_: text))
        full_name = device._cpu_name()
    assert full_name == f"{name} (family 26, model 2)"
    assert cpu(full_name, 8).key == key


def test_name_of_the_cpu_is_its_architecture_where_the_kernel_does_not_tell(monkeypatch):
    monkeypatch.setattr(device.sys, "platform", "linux")
    monkeypatch.setattr(device, "Path", lambda _path: SimpleNamespace(read_text=lambda **_: "processor: 0\n"))
    monkeypatch.setattr(device.platform, "processor", lambda: "")
    monkeypatch.setattr(device.platform, "machine", lambda: "aarch64")
    assert device._cpu_name() == "aarch64"
