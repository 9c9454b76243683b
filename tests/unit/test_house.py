"""The house that the code lives in, read from the sources' imports: which room may know which, and what stays out."""

import ast
import re
import sys
from pathlib import Path

import pytest

import pytest_batchguard
from pytest_batchguard import errors

PACKAGE = Path(pytest_batchguard.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS_BENEATH = {
    "errors": set(),
    "core": {"errors"},
    "measure": {"errors", "core"},
    "storage": {"errors", "core"},
    "tuning": {"errors", "core"},
    "report": {"errors", "core"},
    "isolation": {"errors", "core"},
    "training": {"errors", "core", "measure"},
    "plugin": {"errors", "core", "measure", "storage", "tuning", "report", "isolation", "training"},
}
ONLY_IN = {
    "pytest": {"plugin"},
    "_pytest": {"plugin"},
    "pluggy": {"plugin"},
    "yaml": {"storage"},
    "filelock": {"storage"},
    "tensorflow": {"training"},
    "keras": {"training"},
    "numpy": {"training"},
    "pynvml": {"measure"},
    "matplotlib": {"report"},
    "psutil": {"measure", "isolation", "training"},
}
MOST_LINES = 400
UNDER_THE_ROOF = [path for path in MODULES if path != PACKAGE / "__init__.py"]


def name_of(path):
    return str(path.relative_to(PACKAGE))


def room_of(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path):
    """Return the dotted names that a source imports, whether at its top, in a function or for type checking alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_known_to(path):
    own = f"{PACKAGE.name}."
    known = {name.removeprefix(own).split(".")[0] for name in imports(path) if name.startswith(own)}
    return (known & set(ROOMS_BENEATH)) - {room_of(path)}


def strangers_known_to(path):
    return {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {PACKAGE.name}


def calls(path):
    """Return the functions that a source calls by name, as in `print` or `sys.exit`."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}


def test_sources_are_found():
    assert len(MODULES) > 40
    assert {room_of(path) for path in UNDER_THE_ROOF} <= set(ROOMS_BENEATH)


def test_every_room_says_what_it_is_for():
    rooms = [path for path in UNDER_THE_ROOF if path.name == "__init__.py"]
    assert rooms
    assert all(ast.get_docstring(ast.parse(path.read_text())) for path in rooms)


@pytest.mark.parametrize("path", UNDER_THE_ROOF, ids=name_of)
def test_module_knows_only_rooms_beneath_its_own(path):
    assert rooms_known_to(path) <= ROOMS_BENEATH[room_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_imports_no_stranger_that_lives_in_another_room(path):
    strangers = strangers_known_to(path)
    assert strangers <= set(ONLY_IN), "a dependency that no room is named for"
    assert all(room_of(path) in ONLY_IN[stranger] for stranger in strangers)


@pytest.mark.parametrize("stranger", ["pytest", "yaml", "tensorflow", "keras", "pynvml"])
def test_stranger_is_where_it_should_be_so_that_the_rule_above_cannot_be_empty(stranger):
    homes = {room_of(path) for path in MODULES if stranger in strangers_known_to(path)}
    assert homes == ONLY_IN[stranger]


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in {"core", "errors"}], ids=name_of)
def test_core_imports_the_standard_library_alone(path):
    assert strangers_known_to(path) == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_named_for_what_it_does(path):
    assert path.stem not in {"util", "utils", "helper", "helpers", "common", "misc"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) != "plugin"], ids=name_of)
def test_module_outside_the_plugin_neither_prints_nor_exits(path):
    assert not calls(path) & {"print", "exit", "quit", "sys.exit", "sys.stdout.write", "sys.stderr.write"}


@pytest.mark.parametrize("path", UNDER_THE_ROOF, ids=name_of)
def test_module_opens_with_its_concern(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def error_classes(root):
    return {root, *(error for child in root.__subclasses__() for error in error_classes(child))}


def test_tree_of_errors_names_every_error():
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__))
    defined = {name for name, thing in vars(errors).items() if isinstance(thing, type)}
    assert "    BatchguardError\n" in errors.__doc__
    assert drawn == defined - {"BatchguardError"}


def test_every_error_of_the_tree_is_ours():
    ours = {thing for thing in vars(errors).values() if isinstance(thing, type)}
    assert len(ours) > 4
    assert ours <= error_classes(errors.BatchguardError)


@pytest.mark.parametrize("path", UNDER_THE_ROOF, ids=name_of)
def test_errors_that_others_may_catch_are_defined_in_one_place(path):
    """`PlainDataError` is a `ValueError` of its own room, which `storage` maps; no other class ends in Error."""
    names = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)}
    defined = {name for name in names if name.endswith("Error")}
    assert path == PACKAGE / "errors.py" or defined <= {"PlainDataError"}
