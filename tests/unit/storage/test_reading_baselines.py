"""Reading a device's file: what is good comes back, what is not is named by file, line and key."""

import os
from pathlib import Path

import pytest

from pytest_batchguard.core.figures import MemoryFigures
from pytest_batchguard.core.model import Baseline
from pytest_batchguard.errors import BaselineFileError
from pytest_batchguard.storage import baselines
from tests.unit.samples import CPU, GPU
from tests.unit.storage.files import FIRST, HEAD, SECOND, entry, file_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "nvidia-h200.yaml"


def refusal(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BaselineFileError) as caught:
        baselines.read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(path))


def test_file_is_named_after_the_device():
    assert baselines.path_for(Path("here"), GPU) == Path("here/nvidia-h200.yaml")
    assert baselines.path_for(Path("here"), CPU) == Path("here/cpu-intel-xeon-2c.yaml")


def test_file_that_is_not_there_holds_no_cases(path):
    file = baselines.read(path)
    assert (file.path, file.cases) == (path, {})


def test_folder_that_is_not_there_holds_no_cases_either(tmp_path):
    assert baselines.read(tmp_path / "no" / "such" / "file.yaml").cases == {}


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# nothing yet\n", HEAD, HEAD.replace("cases:", "cases: {}"), "schema: 1\n"]
)
def test_file_without_entries_holds_no_cases(path, text):
    path.write_text(text)
    assert baselines.read(path).cases == {}


def test_entries_come_back_by_node_id(path):
    path.write_text(file_of(entry(FIRST), entry(SECOND, 2000)))
    assert baselines.read(path).cases == {
        FIRST: Baseline(MemoryFigures(1000)),
        SECOND: Baseline(MemoryFigures(2000)),
    }


def test_example_of_the_design_is_read(path):
    text = """\
    memory: {peak_bytes: 331661312, spread: 0.004}
    throughput: {images_per_second: 812.4, pace: 2.787, yardstick: 1, spread: 0.031}
    loss: {first: 2.31, last: 1.42, decrease: 0.385, curve: [2.31, 2.2, 1.9]}
    model: {parameters: 3989285, trainable: 3989285, dtype_policy: float32, optimizer: Adam, jit_compile: false}
    recorded_with: {date: 2026-11-22, commit: 1a2b3c4, tensorflow: 2.21.0, keras: 3.15.1, python: 3.11.7}
"""
    path.write_text(f"{HEAD}  {FIRST}:\n{text}")
    read = baselines.read(path).cases[FIRST]
    assert read.memory.spread == 0.004
    assert read.throughput.pace == 2.787
    assert read.loss.curve == (2.31, 2.2, 1.9)
    assert read.model.jit_compile is False
    assert (read.recorded_with.date, read.recorded_with.commit) == ("2026-11-22", "1a2b3c4")


def test_commit_of_digits_alone_is_a_text(path):
    path.write_text(f"{HEAD}  {FIRST}:\n    memory: {{peak_bytes: 1}}\n    recorded_with: {{commit: 1234567}}\n")
    assert baselines.read(path).cases[FIRST].recorded_with.commit == "1234567"


def test_provenance_that_is_null_is_unknown(path):
    path.write_text(f"{HEAD}  {FIRST}:\n    memory: {{peak_bytes: 1}}\n    recorded_with: {{commit: null}}\n")
    assert baselines.read(path).cases[FIRST].recorded_with.commit is None


def test_text_that_is_no_yaml_is_refused_with_its_line(path):
    message = refusal(path, file_of(entry(FIRST)) + "  {broken: [\n")
    assert message.startswith(": is not YAML: ")
    assert "line 7" in message


def test_bytes_that_are_no_text_are_refused(path):
    assert refusal(path, HEAD.encode() + b"\xff\xfe").startswith(": cannot be read: ")


def test_control_characters_are_refused(path):
    assert refusal(path, HEAD + "  a\x00b: {}\n").startswith(": is not YAML: ")


def test_folder_in_the_place_of_the_file_is_refused(path):
    path.mkdir()
    with pytest.raises(BaselineFileError, match=r"nvidia-h200\.yaml: cannot be read: "):
        baselines.read(path)


@pytest.mark.parametrize("text", ["name: CI\non: push\n", "- a\n- b\n", "just words\n", "5\n", "cases: {}\n"])
def test_yaml_of_somebody_else_is_refused(path, text):
    assert refusal(path, text) == ":1: not a baselines file of pytest-batchguard: it has no `schema`"


def test_yaml_that_would_build_objects_is_refused_and_builds_none(path, tmp_path):
    canary = tmp_path / "canary"
    message = refusal(path, f"schema: 1\ncases: !!python/object/apply:os.mkdir ['{canary}']\n")
    assert message.startswith(": is not YAML: ")
    assert not canary.exists()


@pytest.mark.parametrize("schema", ["2", "'1'", "0", "null", "[1]"])
def test_another_schema_is_refused_with_its_line(path, schema):
    message = refusal(path, f"# a comment\nschema: {schema}\ncases: {{}}\n")
    assert message.startswith(":2: schema: found ")
    assert "allowed: 1" in message


def test_newer_schema_is_refused_before_keys_that_only_it_knows(path):
    assert "a newer pytest-batchguard wrote it?" in refusal(path, "schema: 2\nfuture: {}\n")


def test_unknown_key_at_the_top_is_refused_with_its_line(path):
    assert refusal(path, HEAD + "tolerances: {memory: 0.1}\n") == (
        ":5: tolerances: unknown key, allowed: schema, device, cases"
    )


@pytest.mark.parametrize("cases", ["5", "[a, b]", "words"])
def test_cases_that_are_no_mapping_are_refused_with_their_line(path, cases):
    message = refusal(path, f"schema: 1\ncases: {cases}\n")
    assert message.startswith(":2: cases: found ")
    assert message.endswith("allowed: a mapping")


@pytest.mark.parametrize("device", ["5", "[a, b]", "{key: 7}"])
def test_device_that_is_none_is_refused_with_its_line(path, device):
    assert refusal(path, f"schema: 1\ndevice: {device}\ncases: {{}}\n").startswith(":2: device")


def test_unknown_key_in_an_entry_is_refused_with_line_and_keys(path):
    text = f"{HEAD}{entry(SECOND)}  {FIRST}:\n    memory:\n      peak_bytes: 5\n      peek_bytes: 6\n"
    message = refusal(path, text)
    assert message.startswith(f":10: cases → {FIRST} → memory → peek_bytes: unknown key, allowed: ")
    assert "peak_bytes" in message.partition("allowed: ")[2]


@pytest.mark.parametrize(
    ("line", "where", "problem"),
    [
        ("memory: {peak_bytes: lots}", "memory → peak_bytes", "found 'lots', allowed: an integer"),
        ("memory: {peak_bytes: 1.5}", "memory → peak_bytes", "found 1.5, allowed: an integer"),
        ("memory: {peak_bytes: true}", "memory → peak_bytes", "found True, allowed: an integer"),
        ("memory: {spread: 0.1}", "memory → peak_bytes", "is missing"),
        ("memory: 5", "memory", "found 5, allowed: a mapping"),
        ("loss: {first: 1, last: 1, decrease: 0, curve: 5}", "loss → curve", "found 5, allowed: a list"),
        ("loss: {first: 1, last: 1, decrease: 0, curve: [1, a]}", "loss → curve → 1", "found 'a', allowed: a number"),
        ("model: {jit_compile: 1}", "model → jit_compile", "found 1, allowed: true or false"),
        ("throughput: {images_per_second: 5, pace: 1}", "throughput → yardstick", "is missing"),
    ],
)
def test_ill_typed_value_is_refused_with_line_and_keys(path, line, where, problem):
    message = refusal(path, f"{file_of(entry(SECOND))}  {FIRST}:\n    {line}\n")
    assert message == f":{8}: cases → {FIRST} → {where}: {problem}"


def test_entry_that_is_empty_is_refused_with_its_line(path):
    assert refusal(path, f"{HEAD}  {FIRST}:\n") == f":5: cases → {FIRST}: found None, allowed: a mapping"


@pytest.mark.parametrize(
    "line",
    [
        "memory: {peak_bytes: 0}",
        "breakdown: {pipeline_seconds: 0.1, model_seconds: 0.0, step_seconds: 0.2}",
        "breakdown: {pipeline_seconds: -1.0, model_seconds: 0.1, step_seconds: 0.2}",
        "throughput: {images_per_second: 5.0, pace: 0.0, yardstick: 1}",
        "throughput: {images_per_second: 0.0, pace: 1.0, yardstick: 1}",
        "throughput: {images_per_second: 5.0, pace: .nan, yardstick: 1}",
        "throughput: {images_per_second: .inf, pace: 1.0, yardstick: 1}",
    ],
)
def test_figure_that_nothing_can_be_compared_with_is_refused_with_line_and_keys(path, line):
    loss = "loss: {first: 1.0, last: 0.5, decrease: 0.5, curve: []}"
    assert refusal(path, f"{HEAD}  {FIRST}:\n    {line}\n    {loss}\n").startswith(f":6: cases → {FIRST} → ")


def test_entry_without_figures_is_refused(path):
    message = refusal(path, f"{HEAD}  {FIRST}: {{}}\n")
    assert message == f":5: cases → {FIRST}: found no figures, allowed: memory, throughput or loss"


def test_figures_of_another_device_are_refused(path):
    message = refusal(path, file_of(entry(FIRST)).replace("key: nvidia-h200", "key: nvidia-a100"))
    assert message.startswith(":3: device → key: found nvidia-a100, allowed: nvidia-h200")


def test_date_that_there_is_not_is_refused(path):
    message = refusal(path, file_of(entry(FIRST), "    recorded_with: {date: 2026-02-30}\n"))
    assert message.startswith(": is not YAML: ")


@pytest.mark.parametrize("found", ["0", "false", "words"])
def test_cases_that_are_no_mapping_are_refused(path, found):
    assert refusal(path, HEAD.replace("cases:", f"cases: {found}")).startswith(":4: cases: found ")


def test_small_figures_are_read(path):
    path.write_text(
        f"{HEAD}  {FIRST}:\n    memory: {{peak_bytes: 1}}\n"
        "    throughput: {images_per_second: 0.001, pace: 0.001, yardstick: 1}\n"
    )
    assert baselines.read(path).cases[FIRST].throughput.pace == 0.001


def test_value_in_a_list_is_refused_with_its_own_line(path):
    curve = "    loss:\n      first: 1\n      last: 1\n      decrease: 0\n      curve:\n      - 1.0\n      - words\n"
    assert refusal(path, f"{HEAD}  {FIRST}:\n{curve}").startswith(f":12: cases → {FIRST} → loss → curve → 1: ")


def test_key_that_is_missing_is_refused_with_the_line_that_it_is_missing_from(path):
    text = f"{HEAD}  {FIRST}:\n    memory:\n\n      spread: 0.1\n"
    assert refusal(path, text) == f":6: cases → {FIRST} → memory → peak_bytes: is missing"


def test_file_with_dos_line_ends_names_the_same_lines(path):
    text = f"{HEAD}  {FIRST}:\n    memory: {{peak_bytes: lots}}\n".replace("\n", "\r\n")
    assert refusal(path, text).startswith(":6: ")


def test_folder_that_can_be_written_to_passes_the_check(tmp_path):
    baselines.check_writable(tmp_path / "device.yaml")


def test_checking_a_folder_that_is_not_there_creates_nothing(tmp_path):
    baselines.check_writable(tmp_path / "new" / "folder" / "device.yaml")
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_place_of_the_folder_fails_the_check(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BaselineFileError, match=r"new: cannot be written: .*file is not a folder"):
        baselines.check_writable(tmp_path / "file" / "new" / "device.yaml")


def test_folder_without_permission_fails_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    with pytest.raises(BaselineFileError, match="no permission to write in"):
        baselines.check_writable(tmp_path / "new" / "device.yaml")


@pytest.mark.parametrize("forbidden", ["elsewhere", "elsewhere/device.yaml"])
def test_what_a_link_leads_to_without_permission_fails_the_check(tmp_path, monkeypatch, forbidden):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "device.yaml").write_text("")
    (tmp_path / "kept").mkdir()
    path = tmp_path / "kept" / "device.yaml"
    path.symlink_to(tmp_path / "elsewhere" / "device.yaml")
    monkeypatch.setattr(os, "access", lambda asked, _mode: asked.resolve() != tmp_path / forbidden)
    with pytest.raises(BaselineFileError, match="cannot be written: no permission to write"):
        baselines.check_writable(path)
