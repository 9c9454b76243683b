"""How the end of a child becomes the failure of a case, in words."""

import signal
import sys

import pytest

from pytest_batchguard.core.model import Failure, FailureKind
from pytest_batchguard.isolation.supervise import Ending, EndingKind
from pytest_batchguard.plugin.endings import failure_of, tail, with_strangers
from tests.unit.samples import GPU

OOM = "OOM when allocating tensor with shape[32,9,9,64] and type float on device:GPU:0 by allocator GPU_0_bfc"


def failure(kind, code=None, detail="", *, output="", killed_by_kernel=False):
    ending = Ending(kind, code, detail)
    return failure_of(ending, output, 300.0, "in the memory pass, step 3", killed_by_kernel=killed_by_kernel)


def test_child_that_hung_is_a_timeout_with_its_time_and_phase():
    found = failure(EndingKind.TIMEOUT)
    assert found.kind is FailureKind.TIMEOUT
    assert found.message == "no end after 300 s, in the memory pass, step 3; its processes were killed; see `timeout`"


def test_error_is_shown_by_its_last_line():
    found = failure(EndingKind.ERROR, 1, "Traceback (most recent call last):\n  …\nValueError: no such layer\n")
    assert (found.kind, found.message) == (FailureKind.ERROR, "ValueError: no such layer")


@pytest.mark.parametrize("detail", ["", "\n"])
def test_error_without_a_traceback_is_an_error_all_the_same(detail):
    assert failure(EndingKind.ERROR, 1, detail).kind is FailureKind.ERROR


def test_garbage_is_a_crash_that_says_what_was_sent():
    found = failure(EndingKind.GARBAGE, detail="the process sent what is not a message: b'…'")
    assert found.kind is FailureKind.CRASH
    assert found.message == "the process sent what is not a message: b'…', in the memory pass, step 3"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (3, "ended by itself with exit code 3"),
        (0, "ended by itself with exit code 0"),
        (-signal.SIGSEGV, "died by SIGSEGV"),
        (-signal.SIGKILL, "died by SIGKILL"),
    ],
)
def test_child_that_died_is_a_crash_that_says_how(code, how):
    found = failure(EndingKind.DIED, code, output="Fatal Python error")
    assert (found.kind, found.message) == (FailureKind.CRASH, f"its process {how}, in the memory pass, step 3")


def test_child_that_closed_its_channel_and_went_on_is_a_crash():
    found = failure(EndingKind.DIED, None, "it closed its channel and did not end")
    assert found.kind is FailureKind.CRASH
    assert "it closed its channel and did not end" in found.message


def test_child_that_the_kernel_killed_ran_out_of_host_memory():
    found = failure(EndingKind.DIED, -signal.SIGKILL, killed_by_kernel=True)
    assert found.kind is FailureKind.HOST_OOM
    assert found.message.startswith("killed by the kernel, out of host memory")


def test_child_that_died_otherwise_while_the_kernel_killed_is_a_crash():
    assert failure(EndingKind.DIED, -signal.SIGSEGV, killed_by_kernel=True).kind is FailureKind.CRASH


def test_child_that_died_after_words_of_memory_most_likely_ran_out_of_it():
    found = failure(EndingKind.DIED, -signal.SIGSEGV, output=f"I tensorflow\n{OOM}\n")
    assert (found.kind, found.certain) == (FailureKind.OOM, False)
    assert found.message.endswith("(died by SIGSEGV)")


@pytest.mark.parametrize("kind", [EndingKind.TIMEOUT, EndingKind.ERROR, EndingKind.GARBAGE])
def test_words_of_memory_explain_no_other_ending(kind):
    assert failure(kind, detail="ValueError: no", output=OOM).kind is not FailureKind.OOM


@pytest.mark.parametrize("kind", [kind for kind in EndingKind if kind is not EndingKind.COMPLETE])
def test_every_failure_knows_its_phase(kind):
    assert failure(kind, 1, "detail").phase == "in the memory pass, step 3"


def test_error_of_this_package_is_shown_without_its_name():
    found = failure(EndingKind.ERROR, 1, "Traceback\npytest_batchguard.errors.DeviceError: no such card\n")
    assert found.message == "no such card"


def test_words_of_memory_are_found_before_a_dump_of_every_thread(tmp_path):
    path = tmp_path / "output"
    path.write_text(f"{OOM}\nFatal Python error: Aborted\n" + "  File somewhere, line 1 in something\n" * 500)
    assert failure(EndingKind.DIED, -signal.SIGABRT, output=tail(str(path))).kind is FailureKind.OOM


def test_end_of_an_endless_output_is_read(tmp_path):
    path = tmp_path / "output"
    path.write_bytes(b"x" * 2**20 + b"the end")
    assert len(tail(str(path))) < 2**17
    assert tail(str(path)).endswith("the end")


def test_output_that_is_not_there_is_empty(tmp_path):
    assert tail(None) == tail(str(tmp_path / "nothing")) == ""


HELD = "out of memory; other processes held 20 GiB of the card's 140 GiB before it began"


def test_memory_that_others_held_before_is_told_where_it_ran_out(monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    failed = Failure(FailureKind.OOM, "out of memory")

    assert with_strangers(failed, GPU, 20 * 2**30).message == HELD
    assert with_strangers(failed, GPU, 2**30) is failed


def test_process_of_pytest_is_told_to_hold_memory_where_it_may(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    told = with_strangers(Failure(FailureKind.OOM, "out of memory"), GPU, 20 * 2**30)

    assert told.message == f"{HELD}; pytest's own may be one, it has imported TensorFlow"


@pytest.mark.parametrize("kind", [FailureKind.HOST_OOM, FailureKind.ERROR])
def test_memory_that_others_held_has_nothing_to_do_with_other_failures(kind):
    failed = Failure(kind, "it went wrong")
    assert with_strangers(failed, GPU, 20 * 2**30) is failed
