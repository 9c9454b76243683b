"""What a project that installs the plugin pays for it in a run that measures nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"tensorflow", "keras", "numpy", "yaml", "pynvml", "psutil", "filelock"}
SHOW = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
RECORDING_CONFTEST = """
import sys
from pathlib import Path

def pytest_unconfigure():
    Path("modules.txt").write_text(" ".join(sys.modules))
"""
GUARD = """
import pytest

@pytest.mark.batchguard(batch_size=[1, 2], image_size=8)
def test_guard(batchguard):
    raise AssertionError("a guard that should not run")
"""


def run(*arguments, cwd=None):
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def modules_after(statement):
    done = run("-c", f"{statement}; {SHOW}")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.fixture
def modules_of_run(tmp_path):
    """Run pytest with the plugin on one test file; return the exit status and the modules loaded at the end."""

    def collect(text, *arguments):
        (tmp_path / "conftest.py").write_text(RECORDING_CONFTEST)
        (tmp_path / "test_it.py").write_text(text)
        done = run("-m", "pytest", "-p", "pytest_batchguard.plugin.hooks", *arguments, cwd=tmp_path)
        modules = Path(tmp_path, "modules.txt").read_text().split()
        assert "pytest_batchguard.plugin.hooks" in modules
        return done, {name.split(".")[0] for name in modules}

    return collect


def test_importing_the_plugin_loads_nothing_heavy():
    modules = modules_after("import pytest_batchguard.plugin.hooks")
    assert "pytest" in modules
    assert not modules & HEAVY


def test_importing_the_package_loads_neither_pytest_nor_anything_heavy():
    modules = modules_after("import pytest_batchguard")
    assert "pytest_batchguard" in modules
    assert not modules & (HEAVY | {"pytest", "_pytest"})


@pytest.mark.parametrize("name", ["BatchGuard", "Measurement"])
def test_public_name_is_loaded_when_it_is_first_used(name):
    modules = modules_after(f"import pytest_batchguard; assert pytest_batchguard.{name}.__name__ == {name!r}")
    assert not modules & HEAVY


def test_unknown_public_name_is_an_attribute_error():
    done = run("-c", "import pytest_batchguard; pytest_batchguard.BatchGuards")
    assert "AttributeError: module 'pytest_batchguard' has no attribute 'BatchGuards'" in done.stderr


def test_collecting_a_file_without_tests_loads_nothing_heavy(modules_of_run):
    done, modules = modules_of_run("", "--collect-only")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
    assert not modules & HEAVY


def test_running_ordinary_tests_loads_nothing_heavy(modules_of_run):
    done, modules = modules_of_run("def test_ordinary(): pass")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert not modules & HEAVY


def test_skipping_guards_loads_nothing_heavy(modules_of_run):
    done, modules = modules_of_run(GUARD, "-rs")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "2 skipped" in done.stdout
    assert "pytest --batchguard" in done.stdout
    assert not modules & HEAVY


def test_help_is_shown_without_loading_anything_heavy(modules_of_run):
    done, modules = modules_of_run("", "--help")
    assert "--batchguard-update-new" in done.stdout
    assert not modules & HEAVY
