import json
import math

import pytest

from pytest_batchguard.core.model import CaseResult, Device, Verdict
from pytest_batchguard.core.plain import from_plain
from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.report import json_file
from tests.unit.samples import GPU, NODE_ID, full_baseline, loss, measurement, pace_check, result


def written(path, *results, is_complete=True):
    json_file.write(path, GPU, results, is_complete=is_complete)

    def no_constants(name):
        pytest.fail(f"{name} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=no_constants)


def test_file_holds_every_figure_and_verdict(tmp_path):
    results = [
        result(Verdict.REGRESSED, checks=(pace_check(),), reason="slow", notes=("ä",), baseline=full_baseline()),
        result(Verdict.NO_BASELINE, baseline=None),
    ]
    document = written(tmp_path / "run.json", *results)
    assert document["schema"] == 1
    assert document["complete"] is True
    assert from_plain(Device, document["device"]) == GPU
    assert [from_plain(CaseResult, case) for case in document["cases"]] == results


def test_run_that_did_not_come_to_its_end_is_marked(tmp_path):
    assert written(tmp_path / "run.json", is_complete=False)["complete"] is False


def test_file_that_may_not_be_written_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("{}")
    monkeypatch.setattr(json_file.os, "access", lambda asked, _mode: asked != path)
    with pytest.raises(ConfigurationError, match=r"--batchguard-json: .*run\.json cannot be written: no permission"):
        json_file.check_writable(path, "--batchguard-json")


def test_other_tools_find_what_they_look_for(tmp_path):
    (case,) = written(tmp_path / "run.json", result())["cases"]
    assert case["node_id"] == NODE_ID
    assert case["judgement"]["verdict"] == "passed"
    assert case["measurement"]["throughput"]["images_per_second"] == 800.0


@pytest.mark.parametrize(("number", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_number_that_json_does_not_have_becomes_its_name(tmp_path, number, text):
    exploded = result(Verdict.UNHEALTHY, measurement=measurement(loss=loss((2.0, number))))
    (case,) = written(tmp_path / "run.json", exploded)["cases"]
    assert case["measurement"]["loss"]["curve"] == [2.0, text]


def test_run_without_cases_is_a_document_too(tmp_path):
    assert written(tmp_path / "run.json")["cases"] == []


def test_folder_is_made_where_there_is_none(tmp_path):
    assert written(tmp_path / "new" / "folder" / "run.json")["schema"] == 1


def test_file_of_an_earlier_run_is_replaced(tmp_path):
    written(tmp_path / "run.json", result(), result())
    assert len(written(tmp_path / "run.json", result())["cases"]) == 1


def test_file_that_may_be_written_is_taken_in_a_folder_that_may_not(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("{}")
    monkeypatch.setattr(json_file.os, "access", lambda asked, _mode: asked == path)
    json_file.check_writable(path, "--batchguard-json")
