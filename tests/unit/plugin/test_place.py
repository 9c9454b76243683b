"""Where a case's process runs: what is the project's moves with it, what is installed stays."""

import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import pytest_batchguard
from pytest_batchguard.plugin.place import Place, imported_from
from pytest_batchguard.storage.checkout import Checkout

BASE = Place(Checkout("main", "1a2b3c4", Path("/home/me/project"), Path("/tmp/base/project")))


def test_own_tree_changes_nothing():
    here = Place()
    assert here.path(Path("/home/me/project/tests")) == Path("/home/me/project/tests")
    assert here.arguments(["/home/me/project/tests", "-q"]) == ["/home/me/project/tests", "-q"]
    assert here.foreign_tree is None


def test_paths_of_the_project_move_and_others_stay():
    assert BASE.path(Path("/home/me/project/tests/test_x.py")) == Path("/tmp/base/project/tests/test_x.py")
    assert BASE.path(Path("/home/me/other")) == Path("/home/me/other")


def test_arguments_that_name_the_project_move():
    given = [Path("/home/me/project/tests"), "--data=/home/me/project/data", "tests/test_x.py", "-q"]
    moved = ["/tmp/base/project/tests", "--data=/tmp/base/project/data", "tests/test_x.py", "-q"]
    assert BASE.arguments(given) == moved


def test_arguments_that_only_look_like_the_project_stay():
    given = ["--data=/mnt/home/me/project/data", "--cache=/home/me/project-cache", "/home/me/projects"]
    assert BASE.arguments(given) == given
    assert BASE.arguments(["/home/me/project"]) == ["/tmp/base/project"]
    assert BASE.arguments(["/home/me/project::x"]) == ["/tmp/base/project::x"]
    assert BASE.arguments(["-c/home/me/project/ci.ini"]) == ["-c/tmp/base/project/ci.ini"]
    assert BASE.arguments(["--path=/home/me/project:/x"]) == ["--path=/tmp/base/project:/x"]
    assert BASE.arguments(["--ignore-glob=/home/me/project*"]) == ["--ignore-glob=/tmp/base/project*"]


def test_what_is_reached_through_a_link_is_the_projects_too(tmp_path, imported):
    (tmp_path / "there" / "src").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    base = Place(Checkout("main", "1a2b3c4", tmp_path / "there", Path("/tmp/base/project")))
    linked = tmp_path / "link" / "src"
    imported(linked=str(linked / "linked.py"))

    assert base.module_path([str(linked)]) == ("/tmp/base/project/src",)
    assert list(imported_from(base.foreign_tree)) == ["linked"]


def test_installed_packages_stay_although_they_lie_in_the_project():
    installed = ["/home/me/project/.venv/lib/python3.12/site-packages", sysconfig.get_path("stdlib"), ""]
    assert BASE.module_path(["/home/me/project/src", *installed]) == ("/tmp/base/project/src", *installed)


@pytest.fixture
def imported(monkeypatch):
    """Pretend that modules of these names were imported from these files."""

    def pretend(**files):
        for name, file in files.items():
            module = ModuleType(name)
            module.__file__ = file
            monkeypatch.setitem(sys.modules, name, module)

    return pretend


def test_modules_of_the_wrong_tree_are_found(imported):
    imported(
        b_model="/home/me/project/src/b_model.py",
        a_data="/home/me/project/a_data/__init__.py",
        elsewhere="/tmp/base/project/src/elsewhere.py",
        installed="/home/me/project/.venv/lib/python3.12/site-packages/installed.py",
        without_file=None,
    )
    assert sorted(imported_from("/home/me/project")) == ["a_data", "b_model"]


def test_this_plugin_and_its_process_server_may_come_from_anywhere(imported):
    package = Path(pytest_batchguard.__file__).parent
    imported(__main__=str(package / "isolation" / "server.py"))
    assert imported_from(str(package)) == {}
