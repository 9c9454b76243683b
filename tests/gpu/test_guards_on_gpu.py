"""Guards on a real GPU: figures, budget, out of memory, and nothing left behind."""

from __future__ import annotations

import pytest

from pytest_batchguard.measure.nvml import opened_nvml
from tests.integration.project import text_of
from tests.repositories import commit_all

GIB = 2**30
TOLERANCE = 256 * 2**20
"""What other processes on the card may come and go by."""

GUARDS = """
import pytest
import tiny

def convolutions(guard):
    import keras

    layers = [keras.Input((*guard.image_size, 1))]
    layers += [keras.layers.Conv2D(64, 3, padding="same", activation="relu") for _ in range(4)]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

@pytest.mark.batchguard(32, 64)
def test_small(batchguard):
    batchguard.train(convolutions(batchguard), tiny.photos(batchguard))

@pytest.mark.batchguard(64, 512, memory_budget="1GiB")
def test_over_its_budget(batchguard):
    batchguard.train(convolutions(batchguard), tiny.photos(batchguard))

@pytest.mark.batchguard(32, 64)
def test_after_it(batchguard):
    batchguard.train(convolutions(batchguard), tiny.photos(batchguard))

@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.batchguard(32, 64)
def test_step_takes_more(batchguard, step):
    import keras
    import tensorflow as tf

    class Takes(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == step:
                tf.zeros((2**28,))  # 1 GiB on the card

    data = tf.data.Dataset.from_tensors(tiny.photos(batchguard)).repeat()
    batchguard.train(convolutions(batchguard), data, callbacks=[Takes()])

def hold_what_the_pool_leaves(spared=2**28):
    # 256 MiB are for libraries; the context of another process needs twice that.
    import ctypes

    runtime = ctypes.CDLL("libcudart.so.12")  # TensorFlow's
    free, total, held = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p()
    assert runtime.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
    if free.value > spared:
        assert runtime.cudaMalloc(ctypes.byref(held), ctypes.c_size_t(free.value - spared)) == 0

@pytest.mark.batchguard(32, 64)
def test_leaves_no_room(batchguard):
    import tensorflow as tf

    held = []
    for size in (2**30, 2**26, 2**22):  # in bytes
        with pytest.raises(tf.errors.ResourceExhaustedError):
            while True:
                held.append(tf.zeros((size // 4,)))
    del held[0]  # 1 GiB, which its pool keeps
    hold_what_the_pool_leaves()
    batchguard.train(convolutions(batchguard), tiny.photos(batchguard))

@pytest.mark.batchguard(32, 64)
def test_is_killed(batchguard):
    import os, signal
    import tensorflow as tf

    held = tf.zeros((2**28,))  # 1 GiB on the card
    os.kill(os.getpid(), signal.SIGKILL)
"""


ENDLESS = (
    GUARDS.partition("@pytest.mark")[0]
    + """
@pytest.mark.batchguard(32, 64)
def test_endless(batchguard):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors(tiny.photos(batchguard)).repeat()
    batchguard.train(convolutions(batchguard), data)
"""
)


BESIDE = (
    GUARDS.partition("@pytest.mark")[0]
    + """
def test_with_tensorflow_of_its_own():
    import tensorflow as tf

    assert float(tf.reduce_sum(tf.ones(4))) == 4
    assert tf.config.experimental.get_memory_info("GPU:0")["peak"] > 0

@pytest.mark.batchguard(32, 64)
def test_guard(batchguard):
    batchguard.train(convolutions(batchguard), tiny.photos(batchguard))
"""
)


def used_bytes(uuid):
    with opened_nvml() as pynvml:
        return pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByUUID(uuid)).used


@pytest.fixture(scope="module")
def before(gpu):
    return used_bytes(gpu.uuid)


@pytest.fixture(scope="module")
def run(gpu, before, new_project):
    return new_project(test_it=GUARDS).run("--batchguard", "--batchguard-require-gpu", on_gpu=True)


def figures(run, name):
    return run.figures_of(f"{name}[b32-64x64]")["measurement"]


def test_device_is_the_gpu(run, gpu):
    assert run.figures["device"]["key"] == gpu.key


@pytest.mark.parametrize("name", ["test_small", "test_after_it", "test_leaves_no_room"])
def test_case_fits_and_is_measured_in_full(run, name):
    measured = figures(run, name)

    assert measured["memory"]["peak_bytes"] > 32 * 64 * 64 * 64 * 4
    assert measured["throughput"]["images_per_second"] > 0
    assert measured["loss"]["first"] > measured["loss"]["last"]
    assert measured["provenance"]["driver"]
    assert measured["provenance"]["cuda"]


@pytest.mark.parametrize(("step", "counts"), [(0, False), (1, True)])
def test_what_the_first_step_alone_takes_is_none_of_the_peak(run, step, counts):
    measured = run.figures_of(f"test_step_takes_more[{step}-b32-64x64]")["measurement"]

    assert (measured["memory"]["peak_bytes"] > GIB) is counts


def test_full_card_is_told(run):
    notes = run.figures_of("test_leaves_no_room[b32-64x64]")["judgement"]["notes"]

    assert any("no room for the yardstick's process" in note for note in notes)


def test_reserved_memory_holds_the_peak_or_is_unknown(run):
    memory = figures(run, "test_small")["memory"]

    assert memory.get("reserved_bytes") is None or memory["reserved_bytes"] >= memory["peak_bytes"]


def test_budget_is_enforced_by_the_allocator(run):
    judgement = run.figures_of("test_over_its_budget[b64-512x512]")["judgement"]

    assert judgement["verdict"] == "does-not-fit"
    assert "out of memory" in judgement["reason"]


def test_killed_case_ends_alone(run):
    judgement = run.figures_of("test_is_killed[b32-64x64]")["judgement"]

    assert judgement["verdict"] == "broken"
    assert "SIGKILL" in judgement["reason"]


def test_memory_of_every_case_is_back_after_the_run(run, before, gpu):
    assert abs(used_bytes(gpu.uuid) - before) < TOLERANCE


def test_process_of_pytest_itself_holds_nothing_of_the_card(gpu, new_project):
    looks = """
    import os
    import tiny
    import pytest

    @pytest.mark.batchguard(4, 8)
    def test_it(batchguard):
        import pynvml

        tiny.train(batchguard)
        pynvml.nvmlInit()
        card = pynvml.nvmlDeviceGetHandleByUUID(batchguard.device.uuid)
        holders = {process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(card)}
        assert os.getppid() not in holders, "the server holds a context"
        assert int(os.environ["PARENT"]) not in holders, "pytest holds a context"
    """
    conftest = "import os\nos.environ.setdefault('PARENT', str(os.getpid()))\n"

    run = new_project(test_it=looks, conftest=conftest).run("--batchguard", on_gpu=True)

    assert run.exit_code == 0


def test_tests_beside_the_guards_leave_them_the_card(gpu, new_project, monkeypatch):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)

    run = new_project(test_it=BESIDE).run("--batchguard", on_gpu=True)

    assert run.outcomes() == {"passed": 2}
    assert run.figures_of("test_guard[b32-64x64]")["measurement"]["memory"]["device_used_bytes"] < 4 * GIB


def test_head_and_base_take_turns_on_one_card(gpu, new_project):
    project = new_project(test_it=GUARDS)
    commit_all(project.folder)

    run = project.run("--batchguard", "--batchguard-against=HEAD", "-k", "test_small", on_gpu=True)

    assert run.exit_code == 0
    case = run.figures_of("test_small[b32-64x64]")
    assert case["judgement"]["verdict"] == "passed"
    assert case["baseline"]["throughput"]["images_per_second"] > 0


def test_tuning_finds_the_boundary_of_a_budget(gpu, new_project):
    project = new_project(test_it=ENDLESS)

    budget, time_limit = "--batchguard-memory-budget=2GiB", "--batchguard-tune-time-limit=5"
    run = project.run("--batchguard-tune", budget, time_limit, on_gpu=True, timeout_seconds=400)

    assert run.exit_code == 0
    assert "runs out of memory" in text_of(run.section("batchguard tuned for "))
