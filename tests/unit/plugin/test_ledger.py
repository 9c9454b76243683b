"""What tuning remembers between runs, and when it must not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_batchguard.core.figures import MemoryFigures
from pytest_batchguard.core.model import Case, Device, ImageSize, Measurement
from pytest_batchguard.core.plan import Pass, Plan
from pytest_batchguard.plugin import code_state
from pytest_batchguard.plugin.ledger import Ledger, settings, versions
from pytest_batchguard.tuning.found import Found

CASE = Case(32, ImageSize(8, 8))
DEVICE = Device("cpu-test-2c", "Test CPU", 10**9)
PLAN = Plan(CASE, Pass.MEMORY, DEVICE, steps=20, warmup=5, seed=0, throughput_tolerance=0.1, is_probe=True)
FOUND = Found(Measurement(32, CASE.image_size, memory=MemoryFigures(1000)), {"noise": {"why_not": "no data"}})
ITEM = "test_x.py::test_x[8x8]"


class Cache:
    """pytest's cache, as far as it is used."""

    def __init__(self):
        self.kept = {}

    def get(self, key, default):
        return self.kept.get(key, default)

    def set(self, key, value):
        self.kept[key] = value


@pytest.fixture
def config(tmp_path):
    (tmp_path / "model.py").write_text("layers = 3\n")
    return SimpleNamespace(rootpath=tmp_path, cache=Cache(), inipath=None)


def ledger(config, *, fresh=False, tensorflow="2.21.0"):
    return Ledger(config, {"tensorflow": tensorflow}, fresh=fresh)


def keep(config, found=FOUND):
    ledger(config).keep(ITEM, PLAN, found, {"model.py": code_state.hash_of(config.rootpath / "model.py")})


def test_what_was_kept_is_found_by_the_next_run(config):
    keep(config)

    assert ledger(config).look_up(ITEM, PLAN) == FOUND


def test_nothing_is_known_at_first(config):
    assert ledger(config).look_up(ITEM, PLAN) is None


def test_fresh_run_leaves_aside_what_is_known_and_keeps_what_it_finds(config):
    keep(config)
    fresh = ledger(config, fresh=True)
    assert fresh.look_up(ITEM, PLAN) is None

    fresh.keep(ITEM, PLAN, FOUND, {})

    assert fresh.look_up(ITEM, PLAN) == FOUND


@pytest.mark.parametrize("text", ["layers = 4\n", None])
def test_changed_or_missing_source_is_another_code(config, text):
    keep(config)
    if text is None:
        (config.rootpath / "model.py").unlink()
    else:
        (config.rootpath / "model.py").write_text(text)

    assert ledger(config).look_up(ITEM, PLAN) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(PLAN, case=replace(CASE, batch_size=33)),
        replace(PLAN, kind=Pass.NOISE),
        replace(PLAN, budget_bytes=10**8),
        replace(PLAN, seed=1),
        replace(PLAN, device=replace(DEVICE, key="gpu-test")),
    ],
)
def test_other_question_is_not_answered(config, other):
    keep(config)

    assert ledger(config).look_up(ITEM, other) is None


def test_other_test_and_other_version_are_not_answered(config):
    keep(config)

    assert ledger(config).look_up("test_x.py::test_y[8x8]", PLAN) is None
    assert ledger(config, tensorflow="2.22.0").look_up(ITEM, PLAN) is None


@pytest.mark.parametrize("kept", [[], {"x": 1}, "text"])
def test_cache_that_something_else_wrote_is_no_error(config, kept):
    config.cache.kept["batchguard/probes"] = kept

    assert ledger(config).look_up(ITEM, PLAN) is None


def test_entry_of_another_version_is_no_error(config):
    keep(config)
    (entry,) = config.cache.kept["batchguard/probes"].values()
    entry["measurement"]["unknown_figure"] = 1

    assert ledger(config).look_up(ITEM, PLAN) is None


def test_without_pytests_cache_this_run_alone_remembers(config):
    config.cache = None
    one = ledger(config)
    one.keep(ITEM, PLAN, FOUND, {})

    assert one.look_up(ITEM, PLAN) == FOUND
    assert ledger(config).look_up(ITEM, PLAN) is None


def test_versions_name_what_decides_the_figures():
    assert {"python", "keras"} <= set(versions())


def settings_of(**given):
    return settings(SimpleNamespace(option=SimpleNamespace(**given)))


def test_settings_differ_with_the_options_and_variables_that_may_decide_the_figures(monkeypatch):
    found = [settings_of(arch="large"), settings_of(arch="small"), settings_of(arch="small", override_ini=["a=1"])]
    monkeypatch.setenv("XLA_FLAGS", "--fast")
    found.append(settings_of(arch="small"))
    assert len({each["settings"] for each in found}) == 4


@pytest.mark.parametrize(
    "given",
    [{"keyword": "x"}, {"verbose": 2}, {"batchguard_tune": True}, {"randomly_seed": 7}, {"odd": {}}],
    ids=str,
)
def test_settings_are_the_same_whatever_is_selected_or_shown(monkeypatch, given):
    usual = settings_of(arch="large")
    monkeypatch.setenv("HOME", "elsewhere")
    monkeypatch.setenv("TF_VAR_password", "of Terraform's")
    assert settings_of(arch="large", **given) == usual


def test_settings_tell_no_secrets(monkeypatch):
    monkeypatch.setenv("NVIDIA_API_KEY", "secret")
    assert "secret" not in str(settings_of(token="secret"))


def test_every_conftest_is_part_of_the_code_though_their_modules_share_a_name(config):
    conftests = [config.rootpath / "conftest.py", config.rootpath / "tests" / "conftest.py"]
    plugins = [SimpleNamespace(__file__=str(file)) for file in conftests]
    config.pluginmanager = SimpleNamespace(get_plugins=lambda: [*plugins, object()])

    assert set(code_state.hashes(config)) == {"conftest.py", "tests/conftest.py"}
