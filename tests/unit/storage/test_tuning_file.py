"""The file that tuning writes: by device, guard and image size; what was not tuned anew stays."""

from dataclasses import replace

import pytest
import yaml

from pytest_batchguard.core.model import Device, ImageSize
from pytest_batchguard.core.tuning import Largest, NoiseScale, Recommendation, SpeedPoint, Trial, Tuning
from pytest_batchguard.errors import TuningFileError
from pytest_batchguard.storage import tuning_file

GPU = Device("nvidia-h200", "NVIDIA H200", 150 * 10**9)
CPU = Device("cpu-test-2c", "Test CPU", 24 * 10**9)
WHOLE = Tuning(
    guard="tests/test_x.py::test_x",
    image_size=ImageSize(180, 120),
    declared=(32, 64),
    data_images=1437,
    largest=Largest(160, 950_000_000, 10**9, 164, 4),
    peaks={32: 200_000_000},
    curve=(SpeedPoint(32, 123.4567, 1.25, 1.2, 1.3, 0.05),),
    plateau=32,
    noise=(NoiseScale(None, None, None, 20), NoiseScale(41.23456, 20.0, None, 20)),
    trials=(Trial(32, 1024, 32, 0.001, 0.51234567, {"accuracy": 0.9}),),
    recommended=Recommendation(32, 0.001, "square root", ("it fits",), ("more memory",)),
    missing=("validation at 64: no time",),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batchguard-tune.yaml"


def read(path):
    return yaml.safe_load(path.read_text())


def entry_of(path, device=GPU, tuning=WHOLE):
    return read(path)["devices"][device.key]["guards"][tuning.guard][str(tuning.image_size)]


def test_entry_holds_what_was_found(path):
    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")

    entry = entry_of(path)
    assert entry["declared"] == [32, 64]
    assert entry["largest"]["batch_size"] == 160
    assert entry["largest"]["smallest_failing"] == 164
    assert entry["plateau"] == 32
    assert entry["noise_scale"][0] == {"at": "initialisation", "images": "undetermined", "samples": 20}
    assert entry["noise_scale"][1] == {"at": "trained", "images": 41.23, "interval": [20.0, None], "samples": 20}
    assert entry["throughput"][0]["images_per_second"] == 123.5
    assert entry["validation"][0]["loss"] == 0.5123
    assert entry["recommended"]["batch_size"] == 32
    assert entry["not_measured"] == ["validation at 64: no time"]
    assert str(entry["date"]) == "2026-11-23"


def test_part_that_was_not_measured_is_not_there(path):
    tuning_file.update(path, GPU, [Tuning("test_x", ImageSize(8, 8), (4,))], "2026-11-23")

    assert set(entry_of(path, tuning=Tuning("test_x", ImageSize(8, 8), (4,)))) == {"declared", "date"}


def test_file_says_who_writes_it(path):
    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")

    assert "pytest --batchguard-tune" in path.read_text().splitlines()[0]


def test_other_devices_guards_and_sizes_stay(path):
    other_size = replace(WHOLE, image_size=ImageSize(32, 32))
    other_guard = replace(WHOLE, guard="tests/test_x.py::test_y")
    tuning_file.update(path, CPU, [WHOLE], "2026-11-22")
    tuning_file.update(path, GPU, [other_size, other_guard], "2026-11-22")
    before = read(path)

    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")

    after = read(path)
    del after["devices"][GPU.key]["guards"][WHOLE.guard]["180x120"]
    assert after == before


def test_entry_is_replaced_as_a_whole(path):
    tuning_file.update(path, GPU, [WHOLE], "2026-11-22")
    tuning_file.update(path, GPU, [replace(WHOLE, plateau=None)], "2026-11-23")

    assert "plateau" not in entry_of(path)


def test_interrupted_run_takes_no_place_of_one_that_came_to_its_end(path):
    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")
    interrupted = replace(WHOLE, recommended=None, plateau=None)
    tuning_file.update(path, GPU, [interrupted], "2026-11-24", interrupted)
    assert (entry_of(path)["date"], entry_of(path)["plateau"]) == ("2026-11-23", 32)


def test_interrupted_run_is_kept_where_none_came_to_its_end(path):
    for date in ("2026-11-23", "2026-11-24"):
        interrupted = replace(WHOLE, recommended=None)
        tuning_file.update(path, GPU, [interrupted], date, interrupted)
        assert entry_of(path)["date"] == date


@pytest.mark.parametrize("found", ["null", "3", "[]"])
@pytest.mark.parametrize(
    ("inside", "keys"),
    [
        ("{{nvidia-h200: {found}}}", "devices → nvidia-h200"),
        ("{{nvidia-h200: {{guards: {found}}}}}", "devices → nvidia-h200 → guards"),
        ("{{nvidia-h200: {{guards: {{a: {found}}}}}}}", "devices → nvidia-h200 → guards → a"),
        ("{{nvidia-h200: {{guards: {{a: {{8x8: {found}}}}}}}}}", "devices → nvidia-h200 → guards → a → 8x8"),
    ],
)
def test_what_is_no_mapping_is_refused_before_anything_is_measured(path, inside, keys, found):
    path.write_text(f"schema: 1\ndevices: {inside.format(found=found)}\n")
    with pytest.raises(TuningFileError, match=f"{keys}: found .*, allowed: a mapping"):
        tuning_file.check(path)


def test_date_that_there_is_not_is_refused(path):
    path.write_text("schema: 1\ndevices: {}\ndate: 2026-02-30\n")
    with pytest.raises(TuningFileError, match="is not YAML"):
        tuning_file.check(path)


def test_same_findings_make_the_same_file(path):
    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")
    before = path.read_bytes()
    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cases: [", "is not YAML"),
        ("- 1\n", "not a tuning file"),
        ("schema: 1\ncases: {}\n", "not a tuning file"),
        ("schema: 2\ndevices: {}\n", "schema: found 2, allowed: 1"),
    ],
)
def test_foreign_file_is_refused_before_anything_is_measured(path, text, complaint):
    path.write_text(text)

    with pytest.raises(TuningFileError, match=complaint):
        tuning_file.check(path)
    with pytest.raises(TuningFileError, match=complaint):
        tuning_file.update(path, GPU, [WHOLE], "2026-11-23")
    assert path.read_text() == text


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n"])
def test_missing_and_empty_files_are_begun(path, text):
    if text is not None:
        path.write_text(text)

    tuning_file.check(path)
    tuning_file.update(path, GPU, [WHOLE], "2026-11-23")

    assert entry_of(path)["plateau"] == 32


def test_folder_in_its_place_is_refused(path):
    path.mkdir()

    with pytest.raises(TuningFileError, match="cannot be read"):
        tuning_file.check(path)


def test_entry_that_is_there_twice_is_refused_and_kept(path):
    tuning_file.update(path, GPU, [WHOLE], "2026-11-24")
    before = path.read_text()
    guards = before[before.index("    guards:") :]
    path.write_text(before + guards)
    with pytest.raises(TuningFileError, match="guards: is there twice"):
        tuning_file.update(path, GPU, [WHOLE], "2026-11-25")
    assert path.read_text() == before + guards
