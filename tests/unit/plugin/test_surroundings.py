"""What a run finds where it starts: which device the TensorFlow that is installed can use."""

import importlib.util
from types import SimpleNamespace

import pytest

from pytest_batchguard.core.model import Device
from pytest_batchguard.errors import ConfigurationError, DeviceError
from pytest_batchguard.plugin import surroundings
from pytest_batchguard.plugin.surroundings import check_surroundings, device_of
from tests.unit.plugin.configuration import Configuration

CPU = Device("cpu-test-2c", "Test CPU", 24 * 10**9)
GPU = Device("nvidia-h200", "NVIDIA H200", 150 * 10**9, 0, "GPU-1")


@pytest.fixture
def tensorflow(monkeypatch, tmp_path):
    """Install a TensorFlow of paper; the driver shows a GPU."""

    def install(build):
        package = tmp_path / "tensorflow"
        if build is not None:
            (package / "python" / "platform").mkdir(parents=True)
            (package / "python" / "platform" / "build_info.py").write_text(build)
        spec = SimpleNamespace(origin=str(package / "__init__.py"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)

    monkeypatch.setattr(surroundings, "choose_device", lambda request, _environ: CPU if request == "cpu" else GPU)
    return install


def build_info(*, is_cuda_build):
    return f"build_info = collections.OrderedDict([('is_cuda_build', {is_cuda_build}), ('is_rocm_build', False)])"


def test_auto_is_the_cpu_where_tensorflow_was_built_for_nothing_else(tensorflow):
    tensorflow(build_info(is_cuda_build=False))
    assert device_of(Configuration()) == CPU


@pytest.mark.parametrize("build", [build_info(is_cuda_build=True), None], ids=["CUDA", "unknown"])
def test_auto_is_the_gpu_where_tensorflow_may_use_it(tensorflow, build):
    tensorflow(build)
    assert device_of(Configuration()) == GPU


def test_gpu_that_is_asked_for_is_tried_whatever_tensorflow_was_built_for(tensorflow):
    tensorflow(build_info(is_cuda_build=False))
    assert device_of(Configuration({"device": "gpu"})) == GPU


def test_required_gpu_that_tensorflow_cannot_use_is_refused_with_what_to_install(tensorflow):
    tensorflow(build_info(is_cuda_build=False))
    message = r"^ini key batchguard_require_gpu: found Test CPU; .* has no CUDA: pip install"
    with pytest.raises(DeviceError, match=message):
        device_of(Configuration(ini={"require_gpu": "true"}))


def test_keras_that_computes_with_something_else_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ConfigurationError, match="KERAS_BACKEND: found 'jax', allowed: tensorflow"):
        check_surroundings(Configuration())


def test_other_plugin_with_a_process_for_every_test_is_refused():
    configuration = Configuration()
    configuration.flags["forked"] = True
    with pytest.raises(ConfigurationError, match="every case has a process of its own already, which --forked"):
        check_surroundings(configuration)
