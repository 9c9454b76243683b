"""Every way a child can end, by fork and by spawn: one clear ending, and the next job is not affected."""

import signal
import struct

import pytest

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation import supervise as supervising
from pytest_batchguard.isolation.supervise import Ending, EndingKind
from tests.isolation import entries
from tests.isolation.processes import has_ended


def test_child_that_comes_to_its_end_is_complete_with_its_messages_in_order(launcher, run):
    ending, messages = run(launcher, entries.count, 500)
    assert ending == Ending(EndingKind.COMPLETE, 0)
    assert messages == [{"kind": "count", "number": number} for number in range(500)]


def test_message_larger_than_any_buffer_arrives_whole(launcher, run):
    ending, messages = run(launcher, entries.large, 3 * 2**20)
    assert ending.kind is EndingKind.COMPLETE
    assert [len(message["text"]) for message in messages] == [3 * 2**20]


def test_payload_arrives(launcher, run):
    payload = {"text": "größe → 日本", "list": [1, None, 2.5]}
    assert run(launcher, entries.echo, payload)[1] == [{"kind": "echo", "payload": payload}]


def test_payload_larger_than_any_buffer_arrives_whole(launcher, run):
    payload = "x" * (3 * 2**20)
    assert run(launcher, entries.echo, payload)[1] == [{"kind": "echo", "payload": payload}]


def test_exception_ends_the_child_with_its_traceback(launcher, run):
    ending, messages = run(launcher, entries.fail, "no such layer")
    assert (ending.kind, ending.code) == (EndingKind.ERROR, 1)
    assert ending.detail.strip().endswith("ValueError: no such layer")
    assert "in fail" in ending.detail
    assert messages == [{"kind": "before"}]


@pytest.mark.parametrize("code", [0, 3])
def test_exit_by_exception_is_an_error_whatever_its_code(launcher, run, code):
    ending, _ = run(launcher, entries.exit_by_exception, code)
    assert (ending.kind, ending.code) == (EndingKind.ERROR, 1)
    assert ending.detail.strip().endswith(f"SystemExit: {code}")


@pytest.mark.parametrize("code", [0, 3])
def test_child_that_leaves_without_a_word_has_died_whatever_its_code(launcher, run, code):
    ending, messages = run(launcher, entries.leave, code)
    assert ending == Ending(EndingKind.DIED, code)
    assert messages == [{"kind": "before"}]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGTERM])
def test_child_that_dies_by_a_signal_has_died_with_its_number(launcher, run, number):
    ending, messages = run(launcher, entries.die_by_signal, number)
    assert ending == Ending(EndingKind.DIED, -number)
    assert messages == [{"kind": "before"}]


def test_child_that_reads_where_nothing_is_has_died_by_a_segmentation_fault(launcher, run):
    assert run(launcher, entries.read_nothing)[0] == Ending(EndingKind.DIED, -signal.SIGSEGV)


def test_child_that_hangs_is_ended_by_its_timeout(launcher, run):
    assert run(launcher, entries.hang, seconds=0.5)[0] == Ending(EndingKind.TIMEOUT)


def test_time_in_which_its_message_is_handed_on_is_none_of_the_childs(launcher, run, clock):
    ending, messages = run(launcher, entries.count, 3, on_message=clock.put_forward)
    assert ending.kind is EndingKind.COMPLETE
    assert len(messages) == 3


def test_programs_of_a_child_that_hangs_are_killed_with_it(launcher, run, clock):
    ending, (message,) = run(launcher, entries.hang_with_program, on_message=clock.put_forward_after)
    assert ending.kind is EndingKind.TIMEOUT
    assert has_ended(message["pid"])


def test_programs_that_a_child_leaves_behind_are_killed(launcher, run):
    ending, (message,) = run(launcher, entries.end_with_program)
    assert ending.kind is EndingKind.COMPLETE
    assert has_ended(message["pid"])


def test_death_of_a_child_is_seen_although_a_worker_of_its_own_holds_the_channel(launcher, run):
    ending, (message,) = run(launcher, entries.leave_with_worker, 3, seconds=30)
    assert ending == Ending(EndingKind.DIED, 3)
    assert has_ended(message["pid"])


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE, and more of it",
        struct.pack(">I", 8) + b"not json",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 0),
        struct.pack(">I", 3) + b"\xff\xfe\xfd",
    ],
)
def test_garbage_on_the_channel_ends_the_child(launcher, run, sent):
    ending, _ = run(launcher, entries.send_bytes, sent)
    assert (ending.kind, ending.code) == (EndingKind.GARBAGE, None)
    assert ending.detail.startswith("the process sent ")


def test_frame_without_end_ends_the_child_at_once(launcher, run):
    ending, _ = run(launcher, entries.send_huge_length)
    assert ending.kind is EndingKind.GARBAGE
    assert "at most" in ending.detail


def test_child_that_leaves_within_a_message_has_died(launcher, run):
    assert run(launcher, entries.send_half_a_frame)[0] == Ending(EndingKind.DIED, 0)


def test_child_that_closes_its_channel_and_goes_on_is_killed(launcher, run, monkeypatch):
    monkeypatch.setattr(supervising, "_GRACE_SECONDS", 0.2)
    ending, _ = run(launcher, entries.close_channel_and_stay)
    assert ending == Ending(EndingKind.DIED, None, "it closed its channel and did not end")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("no such message")])
def test_whatever_is_raised_over_a_message_kills_the_child_with_its_programs(launcher, run, error):
    program = []

    def refuse(message):
        program.append(message["pid"])
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        run(launcher, entries.hang_with_program, on_message=refuse)
    assert has_ended(program[0])
    assert run(launcher, entries.count, 1)[0] == Ending(EndingKind.COMPLETE, 0)


@pytest.mark.parametrize(
    ("entry", "payload"),
    [
        (entries.fail, "a"),
        (entries.leave, 3),
        (entries.die_by_signal, signal.SIGSEGV),
        (entries.die_by_signal, signal.SIGKILL),
        (entries.send_bytes, b"GARBAGE, and more of it"),
        (entries.leave_with_worker, 0),
    ],
)
def test_job_after_one_that_went_wrong_is_not_affected(fork_launcher, run, entry, payload):
    assert run(fork_launcher, entry, payload)[0].kind is not EndingKind.COMPLETE
    assert run(fork_launcher, entries.echo, 7) == (
        Ending(EndingKind.COMPLETE, 0),
        [{"kind": "echo", "payload": 7}],
    )


def test_job_after_one_that_hung_is_not_affected(fork_launcher, run):
    assert run(fork_launcher, entries.hang, seconds=0.2)[0].kind is EndingKind.TIMEOUT
    assert run(fork_launcher, entries.count, 3)[0] == Ending(EndingKind.COMPLETE, 0)


def test_entry_that_cannot_be_imported_is_an_error(launcher, run):
    ending, _ = run(launcher, "no_such_module:run")
    assert ending.kind is EndingKind.ERROR
    assert ending.detail.strip().endswith("ModuleNotFoundError: No module named 'no_such_module'")


def test_working_directory_that_is_not_there_is_an_error(launcher, run, tmp_path):
    ending, _ = run(launcher, entries.count, 1, working_directory=str(tmp_path / "gone"))
    assert ending.kind is EndingKind.ERROR
    assert "FileNotFoundError" in ending.detail


def test_payload_that_cannot_be_sent_is_an_error_of_isolation(launcher, run):
    with pytest.raises(IsolationError, match="could not be started"):
        run(launcher, entries.echo, lambda: None)
    assert run(launcher, entries.count, 1)[0] == Ending(EndingKind.COMPLETE, 0)
