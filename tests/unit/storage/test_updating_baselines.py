"""Writing a device's file: what was recorded changes, every other byte stays, and a failure changes nothing."""

import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pytest_batchguard.core.figures import LossFigures, MemoryFigures, ThroughputFigures
from pytest_batchguard.core.model import Baseline, ModelFingerprint
from pytest_batchguard.errors import BaselineFileError
from pytest_batchguard.storage import baselines
from tests.unit.samples import GPU, full_baseline
from tests.unit.storage.files import FIRST, HEAD, SECOND, THIRD, entry, file_of

NEW = Baseline(MemoryFigures(7), model=ModelFingerprint(trainable=5, batch_shapes=("uint8[1]",)))
NEW_LINES = "    memory: {peak_bytes: 7}\n    model: {trainable: 5, batch_shapes: ['uint8[1]']}\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nvidia-h200.yaml"


def updated(path, text, recorded=(), dropped=()):
    """Return the file's text after recording NEW for some node ids and dropping others."""
    path.write_bytes(text.encode())
    baselines.update(path, GPU, dict.fromkeys(recorded, NEW), dropped)
    return path.read_bytes().decode()


# A new file


def test_parts_that_were_not_measured_are_left_out(path):
    baselines.update(path, GPU, {FIRST: Baseline(MemoryFigures(7))})
    assert yaml.safe_load(path.read_text())["cases"][FIRST] == {"memory": {"peak_bytes": 7}}


def test_baseline_comes_back_as_it_was_recorded(path):
    baselines.update(path, GPU, {FIRST: full_baseline(), SECOND: NEW})
    assert baselines.read(path).cases == {FIRST: full_baseline(), SECOND: NEW}


def test_new_file_says_for_what_and_by_which_command_it_is_written(path):
    baselines.update(path, GPU, {FIRST: NEW})
    assert path.read_text() == f"{HEAD}  {FIRST}:\n{NEW_LINES}"


def test_new_file_of_a_new_folder(tmp_path):
    path = tmp_path / "some" / "folder" / "nvidia-h200.yaml"
    baselines.update(path, GPU, {FIRST: NEW})
    assert baselines.read(path).cases == {FIRST: NEW}


def test_device_is_stored_without_what_is_not_its_identity(path):
    baselines.update(path, GPU, {FIRST: NEW})
    assert yaml.safe_load(path.read_text())["device"] == {
        "key": "nvidia-h200",
        "name": "NVIDIA H200",
        "memory_bytes": 150_754_820_096,
    }


def test_each_part_of_an_entry_is_one_line_in_the_order_of_the_design(path):
    baselines.update(path, GPU, {FIRST: full_baseline()})
    parts = [line.partition(":")[0].strip() for line in path.read_text().splitlines()[5:]]
    assert parts == ["memory", "throughput", "breakdown", "loss", "model", "recorded_with"]


def test_figures_are_rounded_to_what_is_significant(path):
    figures = Baseline(
        MemoryFigures(331_661_313, spread=0.00412345),
        ThroughputFigures(812.412345, 2.787456, 1),
        LossFigures(2.3123456, 1.4212345, 0.3853456, (2.3123456, 0.000123456)),
    )
    baselines.update(path, GPU, {FIRST: figures})
    read = baselines.read(path).cases[FIRST]
    assert (read.memory.peak_bytes, read.memory.spread) == (331_661_313, 0.004123)
    assert (read.throughput.images_per_second, read.throughput.pace) == (812.4, 2.787)
    assert (read.loss.first, read.loss.curve) == (2.312, (2.312, 0.0001235))


def test_recording_what_was_read_changes_nothing(path):
    baselines.update(path, GPU, {FIRST: full_baseline()})
    before = path.read_bytes()
    baselines.update(path, GPU, baselines.read(path).cases)
    assert path.read_bytes() == before


def test_what_only_one_run_is_about_is_not_stored(path):
    figures = Baseline(
        MemoryFigures(5, host_peak_bytes=6, device_used_bytes=7, other_processes=2),
        ThroughputFigures(
            5.0,
            1.0,
            1,
            core_pace=2.0,
            pace_low=0.9,
            pace_high=1.1,
            window_steps=3,
            step_seconds=(0.1,),
            yardstick_seconds=(0.2,),
            settled=False,
        ),
    )
    baselines.update(path, GPU, {FIRST: figures})
    stored = yaml.safe_load(path.read_text())["cases"][FIRST]
    assert stored["memory"] == {"peak_bytes": 5}
    assert stored["throughput"] == {"images_per_second": 5.0, "pace": 1.0, "yardstick": 1, "mix": 1.0}


def test_long_loss_curve_stays_on_one_line(path):
    curve = tuple(1 / step for step in range(1, 500))
    baselines.update(path, GPU, {FIRST: replace(NEW, loss=LossFigures(1.0, 0.5, 0.5, curve))})
    (line,) = [line for line in path.read_text().splitlines() if "curve" in line]
    assert len(line) > 499 * 4


@pytest.mark.parametrize(
    "node_id",
    [
        "tests/test_x.py::TestGroup::test_y[b1-8x8]",
        'tests/test_x.py::test_y[b1-8x8-it\'s "quoted"]',
        "tests/test_x.py::test_y[{a: b}, c # d]",
        "tests/test_x.py::test_y[b1-8x8-größe-日本]",
        "tests/test_x.py::test_y[\\n-\\x00-%]",
        "tests/test_x.py::test_y[ends with colon: ]",
        "tests/test x/test_x.py::test_y[a::b]",
        "- tests/test_x.py::test_y",
        "true",
        "123",
        "null",
        "2026-11-22",
        *("y" * length for length in (500, 999, 1000, 1001, 1023, 1024, 1025)),
        "tests/test_x.py::test_y[" + "long " * 300 + "]",
    ],
)
def test_every_node_id_survives_being_written_and_edited(path, node_id):
    baselines.update(path, GPU, {node_id: NEW, FIRST: NEW})
    assert baselines.read(path).cases == {node_id: NEW, FIRST: NEW}
    newer = replace(NEW, memory=MemoryFigures(8))
    baselines.update(path, GPU, {node_id: newer})
    assert baselines.read(path).cases == {node_id: newer, FIRST: NEW}
    baselines.update(path, GPU, {}, dropped=[node_id])
    assert baselines.read(path).cases == {FIRST: NEW}


@pytest.mark.parametrize("decrease", [float("inf"), 1e-12, -3.5, 1e16, 0.0])
def test_every_number_survives(path, decrease):
    baselines.update(path, GPU, {FIRST: Baseline(loss=LossFigures(1.0, 1.0, decrease, (1.0,)))})
    assert baselines.read(path).cases[FIRST].loss.decrease == decrease


@pytest.mark.parametrize("commit", ["1234567", "12e4567", "0x12345", "1a2b3c4-dirty", "null", "1_000"])
def test_every_commit_survives(path, commit):
    recorded_with = replace(full_baseline().recorded_with, commit=commit)
    baselines.update(path, GPU, {FIRST: replace(full_baseline(), recorded_with=recorded_with)})
    assert baselines.read(path).cases[FIRST].recorded_with == recorded_with


# Entries that are not recorded

ODD = (
    f'  "{SECOND}":   # odd spacing, and quotes\n'
    "      memory:\n"
    "         peak_bytes:    1000   # measured by hand\n"
    "\n"
    "      # a comment, and a blank line before\n"
    "      loss: {first: 2, last: 1,\n"
    "             decrease: 0.5, curve: [2,   1]}\n"
)


@pytest.mark.parametrize("recorded", [FIRST, THIRD])
def test_entry_that_is_not_recorded_stays_byte_for_byte(path, recorded):
    before = file_of(entry(FIRST), ODD, entry(THIRD))
    after = updated(path, before, [recorded])
    old = entry(recorded)
    assert after == before.replace(old, f"  {recorded}:\n{NEW_LINES}")


def test_head_stays_byte_for_byte(path):
    head = "# our own words\n\nschema:   1   # ours\n" + "".join(HEAD.splitlines(keepends=True)[2:]) + "  # first\n"
    assert updated(path, head + entry(FIRST) + entry(SECOND), [SECOND]).startswith(head + entry(FIRST))


def test_entry_with_dos_line_ends_stays_byte_for_byte(path):
    before = file_of(entry(FIRST), ODD, entry(THIRD)).replace("\n", "\r\n")
    after = updated(path, before, [FIRST])
    assert ODD.replace("\n", "\r\n") + entry(THIRD).replace("\n", "\r\n") in after
    assert after.startswith(HEAD.replace("\n", "\r\n"))
    assert baselines.read(path).cases[FIRST] == NEW


def test_comment_above_another_entry_stays(path):
    comment = "  # measured after the fix of the pipeline\n"
    after = updated(path, file_of(entry(FIRST), comment, entry(SECOND)), [FIRST])
    assert comment + entry(SECOND) in after


def test_comment_of_many_lines_stays_whole(path):
    comment = "\n  # measured after the fix\n\n  # of the pipeline\n\n"
    after = updated(path, file_of(entry(FIRST), comment, entry(THIRD), comment), [FIRST, SECOND])
    assert after == file_of(f"  {FIRST}:\n{NEW_LINES}  {SECOND}:\n{NEW_LINES}", comment, entry(THIRD), comment)


def test_comment_above_an_entry_stays_above_it_when_another_is_added(path):
    comment = "  # measured after the fix of the pipeline\n"
    after = updated(path, file_of(entry(FIRST), comment, entry(THIRD)), [SECOND])
    assert comment + entry(THIRD) in after


def test_comment_at_the_end_of_the_file_stays(path):
    after = updated(path, file_of(entry(FIRST)) + "\n# the end\n", [FIRST])
    assert after.endswith("# the end\n")
    assert baselines.read(path).cases == {FIRST: NEW}


def test_keys_behind_the_cases_stay(path):
    lines = HEAD.splitlines(keepends=True)
    before = f"schema: 1\ncases:\n{entry(FIRST)}{entry(SECOND)}{lines[2]}"
    after = updated(path, before, [SECOND])
    assert after == f"schema: 1\ncases:\n{entry(FIRST)}  {SECOND}:\n{NEW_LINES}{lines[2]}"


@pytest.mark.parametrize("empty", ["cases:", "cases: {}", "cases: {\n}", "cases:   # none yet"])
def test_keys_behind_cases_without_entries_stay(path, empty):
    device = HEAD.splitlines(keepends=True)[2]
    after = updated(path, f"schema: 1\n{empty}\n{device}# the end\n", [FIRST])
    assert after == f"schema: 1\ncases:\n  {FIRST}:\n{NEW_LINES}{device}# the end\n"


def test_entries_in_one_line_stay(path):
    before = HEAD.replace("cases:\n", f'cases: {{"{FIRST}": {{memory: {{peak_bytes: 1000}}}}}}\n')
    updated(path, before, [SECOND])
    assert baselines.read(path).cases == {FIRST: Baseline(MemoryFigures(1000)), SECOND: NEW}


def test_last_entry_without_line_end_stays(path):
    after = updated(path, file_of(entry(FIRST), entry(THIRD)).rstrip("\n"), [SECOND])
    assert after == file_of(entry(FIRST), f"  {SECOND}:\n{NEW_LINES}", entry(THIRD))


def test_deeper_indentation_than_ours_is_kept_readable(path):
    before = file_of(entry(FIRST), entry(SECOND)).replace("\n  ", "\n      ").replace("\n        ", "\n          ")
    updated(path, before, [FIRST])
    assert baselines.read(path).cases == {FIRST: NEW, SECOND: Baseline(MemoryFigures(1000))}


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing yet\n", "schema: 1\n", HEAD, HEAD.replace("cases:", "cases: {}")]
)
def test_file_without_entries_takes_its_first(path, text):
    after = updated(path, text, [FIRST])
    assert baselines.read(path).cases == {FIRST: NEW}
    assert f"  {FIRST}:\n{NEW_LINES}" in after


# Order, dropping


def test_entries_are_sorted_whatever_the_order_of_recording(path):
    baselines.update(path, GPU, {THIRD: NEW})
    baselines.update(path, GPU, {SECOND: NEW, FIRST: NEW})
    assert list(baselines.read(path).cases) == [FIRST, SECOND, THIRD]


def test_dropped_entry_goes_with_all_its_lines_and_the_others_stay(path):
    before = file_of(entry(FIRST), ODD, entry(THIRD))
    assert updated(path, before, dropped=[SECOND]) == file_of(entry(FIRST), entry(THIRD))


def test_file_whose_every_entry_was_dropped_can_take_new_ones(path):
    updated(path, file_of(entry(FIRST)), dropped=[FIRST])
    assert baselines.read(path).cases == {}
    baselines.update(path, GPU, {SECOND: NEW})
    assert path.read_text() == f"{HEAD}  {SECOND}:\n{NEW_LINES}"


def test_dropping_what_is_not_there_changes_nothing(path):
    before = file_of(entry(FIRST))
    assert updated(path, before, dropped=["tests/gone.py::test"]) == before


# Failures


@pytest.mark.parametrize("text", ["{broken: [", "schema: 2\n", HEAD + "other: 1\n", "name: CI\n"])
def test_file_that_cannot_be_read_is_not_overwritten(path, text):
    with pytest.raises(BaselineFileError):
        updated(path, text, [FIRST])
    assert path.read_text() == text


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failure_while_writing_leaves_the_old_file_and_nothing_else(path, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = file_of(entry(FIRST))
    path.write_text(before)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(BaselineFileError, match=r"nvidia-h200\.yaml: cannot be written: .*No space left on device"):
            baselines.update(path, GPU, {FIRST: NEW})
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_interruption_while_writing_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = file_of(entry(FIRST))
    path.write_text(before)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            baselines.update(path, GPU, {FIRST: NEW})
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


def test_new_file_is_whole_before_it_takes_the_name(path, monkeypatch):
    seen = []
    replace_file = os.replace

    def watch(source, target):
        seen.append((path.read_text(), Path(source).read_text()))
        replace_file(source, target)

    before = file_of(entry(FIRST))
    path.write_text(before)
    monkeypatch.setattr(os, "replace", watch)
    baselines.update(path, GPU, {FIRST: NEW})
    assert seen == [(before, path.read_text())]
    assert baselines.read(path).cases == {FIRST: NEW}


@pytest.mark.parametrize("nothing", ["null", "~"])
def test_cases_that_are_written_as_nothing_take_the_first_entry(path, nothing):
    path.write_text(HEAD.replace("cases:", f"cases: {nothing}"))
    baselines.update(path, GPU, {FIRST: NEW})
    assert baselines.read(path).cases == {FIRST: NEW}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}  {FIRST}: &same\n    memory: {{peak_bytes: 7}}\n  {SECOND}: *same\n",
        f"{HEAD.rstrip()} &all\n{entry(FIRST)}{entry(SECOND)}",
        json.dumps({"schema": 1, "cases": {name: {"memory": {"peak_bytes": 7}} for name in (FIRST, SECOND)}}),
    ],
    ids=["an anchor on an entry", "an anchor on all", "all in one line"],
)
def test_layout_that_does_not_come_in_entries_is_written_anew_and_loses_no_case(path, text):
    path.write_text(text)
    untouched = baselines.read(path).cases[SECOND]
    baselines.update(path, GPU, {FIRST: NEW})
    assert baselines.read(path).cases == {FIRST: NEW, SECOND: untouched}


def test_comment_that_ends_an_entry_stays_when_the_entry_is_recorded_anew(path):
    path.write_text(file_of(entry(FIRST), "    # checked by Jane\n", entry(SECOND)))
    baselines.update(path, GPU, {FIRST: NEW})
    assert "    # checked by Jane\n" + entry(SECOND) in path.read_text()


def test_comment_that_ends_an_entry_goes_with_it(path):
    path.write_text(file_of(entry(FIRST), "    # of the first\n", "  # of the second\n", entry(SECOND)))
    baselines.update(path, GPU, {}, [SECOND])
    assert path.read_text() == file_of(entry(FIRST), "    # of the first\n")


def test_folder_that_cannot_be_made_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BaselineFileError, match=r"nvidia-h200\.yaml: cannot be written"):
        baselines.update(tmp_path / "file" / "nvidia-h200.yaml", GPU, {FIRST: NEW})


def test_permissions_of_the_file_stay(path):
    path.write_text(file_of(entry(FIRST)))
    path.chmod(0o640)
    baselines.update(path, GPU, {FIRST: NEW})
    assert path.stat().st_mode & 0o777 == 0o640


def test_new_file_can_be_read_by_everybody(path):
    baselines.update(path, GPU, {FIRST: NEW})
    assert path.stat().st_mode & 0o777 == 0o644


def test_update_leaves_nothing_beside_the_file(path):
    baselines.update(path, GPU, {FIRST: NEW})
    assert list(path.parent.iterdir()) == [path]


def record(path, node_id, start):
    start.wait(30)
    baselines.update(path, GPU, {node_id: NEW})


def test_runs_that_write_at_the_same_time_lose_nothing(path):
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    node_ids = [f"tests/a.py::test[{number}]" for number in range(4)]
    writers = [context.Process(target=record, args=(path, node_id, start)) for node_id in node_ids]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert list(baselines.read(path).cases) == node_ids


def test_file_behind_a_link_is_replaced_and_the_link_stays(path, tmp_path):
    shared = tmp_path / "shared.yaml"
    path.symlink_to(shared)
    baselines.update(path, GPU, {FIRST: NEW})
    assert path.is_symlink()
    assert baselines.read(path).cases.keys() == {FIRST}
    assert "# Baselines" in shared.read_text()


def test_figures_that_the_next_run_would_refuse_are_not_written(path):
    before = file_of(entry(FIRST))
    path.write_text(before)
    with pytest.raises(BaselineFileError, match="peak_bytes: found 0, allowed: a number above 0"):
        baselines.update(path, GPU, {SECOND: replace(NEW, memory=replace(NEW.memory, peak_bytes=0))})
    assert path.read_text() == before
