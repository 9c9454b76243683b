"""What the framework says when memory runs out, as it says it, and what else sounds like it."""

import sys

import pytest

from pytest_batchguard.core.model import FailureKind
from pytest_batchguard.training.oom import classify, classify_text, condense, finds_no_room, was_tight

ON_GPU = (
    "OOM when allocating tensor with shape[32,180,180,64] and type float on "
    "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc"
)
ON_HOST = ON_GPU.replace("device:GPU:0 by allocator GPU_0_bfc", "device:CPU:0 by allocator cpu")
ON_CPU_WITH_LIMIT = ON_HOST.replace("by allocator cpu", "by allocator bfc_cpu_allocator_for_gpu")
NO_CONVOLUTION = "Failed to get convolution algorithm. This is probably because cuDNN failed to initialize"
NOT_A_FAILURE = (
    "Allocator (GPU_0_bfc) ran out of memory trying to allocate 2.00GiB with freed_by_count=0. The caller indicates "
    "that this is not a failure, but this may mean that there could be performance gains if more memory were available."
)
COLLECTION = "Garbage collection: deallocate free memory regions (i.e., allocations) so that we can re-allocate"
XLA = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4831838208 bytes."
EXECUTOR = "Failed to allocate request for 2.00GiB (2147483648B) on device ordinal 0"
NO_ALGORITHM = (
    "No algorithm worked!  Error messages:\n  Profiling failure on CUDNN engine eng14{}: RESOURCE_EXHAUSTED: "
    "Allocating 1073741824 bytes exceeds the memory limit"
)
CUDA = "failed to alloc 17179869184 bytes on host: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
CERTAIN = [ON_GPU, ON_HOST, ON_CPU_WITH_LIMIT, XLA, EXECUTOR, NO_ALGORITHM, CUDA]
LIKELY = [
    "Dst tensor is not initialized.",
    "Failed copying input tensor from /job:localhost/device:CPU:0 to /job:localhost/device:GPU:0",
    f"{NO_CONVOLUTION}: CUDNN_STATUS_ALLOC_FAILED",
    f"{NO_CONVOLUTION}: CUDNN_STATUS_NOT_INITIALIZED",
    "failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED",
]
HARMLESS = [NOT_A_FAILURE, COLLECTION, NO_CONVOLUTION, "Incompatible shapes: [32,10] vs. [32,3]", ""]


class ResourceExhaustedError(Exception):
    """Stands for TensorFlow's, which is recognised by name."""


@pytest.mark.parametrize("text", CERTAIN)
def test_error_that_proves_that_memory_ran_out_is_certain(text):
    assert classify(ResourceExhaustedError(text)).certain


@pytest.mark.parametrize("text", LIKELY)
def test_error_that_memory_may_have_caused_is_likely(text):
    failure = classify(RuntimeError(text))
    assert failure.kind is FailureKind.OOM
    assert not failure.certain
    assert failure.message.startswith("most likely out of memory")


@pytest.mark.parametrize("text", HARMLESS)
def test_text_that_says_nothing_of_a_failure_for_memory_is_none(text):
    assert classify_text(text) is None
    assert classify(RuntimeError(text)) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ON_GPU, FailureKind.OOM),
        (ON_HOST, FailureKind.HOST_OOM),
        (ON_HOST.replace("allocator cpu", "allocator mklcpu"), FailureKind.HOST_OOM),
        (ON_CPU_WITH_LIMIT, FailureKind.OOM),
        (XLA, FailureKind.OOM),
        (EXECUTOR, FailureKind.OOM),
        (NO_ALGORITHM, FailureKind.OOM),
        (CUDA, FailureKind.OOM),
    ],
)
def test_device_memory_and_host_memory_stay_distinct(text, kind):
    assert classify_text(text).kind is kind


def test_error_of_python_is_host_memory():
    failure = classify(MemoryError())
    assert (failure.kind, failure.certain) == (FailureKind.HOST_OOM, True)


def test_resource_exhausted_without_a_tensor_is_out_of_memory_too():
    """As TensorFlow says it of an eager operation: faustomorales/keras-ocr#195."""
    text = "{{function_node __wrapped__AddV2_device_/device:GPU:0}} failed to allocate memory [Op:AddV2]"
    failure = classify(ResourceExhaustedError(text))
    assert failure is not None
    assert failure.kind is FailureKind.OOM


@pytest.mark.parametrize("why", ["No space left on device", "Too many open files", "Disk quota exceeded"])
def test_disk_that_is_full_is_not_out_of_memory(why):
    assert classify(ResourceExhaustedError(f"logs/checkpoint.keras; {why}")) is None


def test_tensor_that_found_no_room_is_named():
    assert classify_text(ON_GPU).message == "out of memory: no room for a tensor of shape [32, 180, 180, 64], float"


def test_host_memory_is_named_as_such():
    assert classify_text(ON_HOST).message.startswith("out of host memory: no room for a tensor")


@pytest.mark.parametrize(
    "text",
    [
        f"Graph execution error:\n\nDetected at node sequential/conv2d_3/Conv2D defined at:\n{ON_GPU}",
        f"{ON_GPU}\n\t [[{{{{node sequential/conv2d_3/Conv2D}}}}]]",
    ],
)
def test_layer_that_found_no_room_is_named(text):
    assert classify_text(text).message.endswith("float, at sequential/conv2d_3/Conv2D")


@pytest.mark.parametrize(
    ("text", "size"),
    [(XLA, "4831838208 bytes"), (EXECUTOR, "2.00GiB"), (XLA.replace("4831838208 bytes", "4.50GiB"), "4.50GiB")],
)
def test_size_that_found_no_room_is_named_where_no_tensor_is(text, size):
    assert classify_text(text).message == f"out of memory: no room for {size}"


def test_words_are_found_anywhere_in_the_output_of_a_dead_process():
    output = f"2026-11-22 10:00:00.000 I tensorflow/core\n{ON_GPU}\nFatal Python error: Aborted\n"
    assert classify_text(output).kind is FailureKind.OOM


def test_allocator_that_had_to_collect_its_regions_was_tight():
    assert was_tight(COLLECTION)
    assert not was_tight(NOT_A_FAILURE)


def test_condensed_error_is_its_class_and_its_words():
    assert condense(ValueError("no such layer")) == "ValueError: no such layer"


def test_condensed_error_without_words_is_its_class():
    assert condense(ValueError()) == "ValueError"
    assert condense(ValueError("\n\n")) == "ValueError"


def test_condensed_error_has_no_graph_and_no_frames_of_the_framework():
    error = ValueError(
        "Graph execution error:\n\n"
        "Detected at node loss/sparse defined at (most recent call last):\n"
        '  File "/project/train.py", line 3, in <module>\n'
        '  File "/lib/keras/trainer.py", line 30, in fit\n'
        "Received a label value of 7 which is outside the valid range of [0, 3).\n"
        "\t [[{{node loss/sparse}}]] [Op:__inference_one_step_42]\n"
        "Hint: If you want to see a list of allocated tensors, add report_tensor_allocations_upon_oom.\n"
        "Stack trace for op definition: \n"
        "The stack trace below excludes TensorFlow-internal frames.\n"
    )
    assert condense(error) == "ValueError: Received a label value of 7 which is outside the valid range of [0, 3)."


def test_condensed_error_does_not_name_the_operation_twice():
    assert condense(ValueError("bad shape [Op:MatMul] ")) == "ValueError: bad shape"


def test_condensed_error_is_one_line_of_bounded_length():
    condensed = condense(ValueError("word " * 1000 + "\nmore"))
    assert "\n" not in condensed
    assert 300 < len(condensed) < 450
    assert condensed.endswith(" …")


@pytest.mark.parametrize(
    ("text", "is_for_want_of_room"),
    [
        ("ResourceExhaustedError: OOM when allocating tensor with shape[4,8]", True),
        ("failed call to cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY: out of memory", True),
        ("INTERNAL: cudaSetDevice() on GPU:0 failed. Status: all CUDA-capable devices are busy or unavailable", True),
        ("cudaSetDevice() on GPU:0 failed. Status: CUDA-capable device(s) is/are busy or unavailable", True),
        ("cudaSetDevice() on GPU:0 failed. Status: out of memory", True),
        ("cudaSetDevice() on GPU:0 failed. Status: invalid device ordinal", False),
        ("OOM when allocating tensor with shape[4,8] and type float on /device:CPU:0 by allocator cpu", False),
        ("ValueError: no such network", False),
    ],
)
def test_process_that_finds_no_room_on_the_card(text, is_for_want_of_room):
    assert finds_no_room(text) is is_for_want_of_room


def test_recognising_errors_needs_no_tensorflow():
    assert classify.__module__ == "pytest_batchguard.training.oom"
    assert not {"tensorflow", "keras"} & set(vars(sys.modules[classify.__module__]))
