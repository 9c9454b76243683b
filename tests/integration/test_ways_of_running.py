"""pytest's own ways of running: the debugger, uncaptured output, stopping early, and spawned processes."""

from __future__ import annotations

import pytest

from tests.integration.project import Project, text_of

TELLS_ITS_PROCESS = """
import multiprocessing
import os
import pathlib
import pytest
import tiny

def test_plain():
    pathlib.Path("plain.txt").write_text(str(os.getpid()))

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    pathlib.Path("guard.txt").write_text(str(os.getpid()))
    pathlib.Path("how.txt").write_text("spawn" if multiprocessing.parent_process() else "fork")
    print("the guard prints")
    tiny.train(batchguard)
"""
FAILS = """
import pytest

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    wanted = "a breakpoint"
    raise LookupError("no such augmentation")
"""
ENDS_WHAT_TAKES_LONG = """
import signal
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if item.config.pluginmanager.has_plugin("terminalreporter"):  # not in the case's own process
        signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it takes too long"))
        signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
"""
SEEDS_ANEW = """
import random

def pytest_addoption(parser):
    parser.addoption("--no-reset", dest="randomly_reset_seed", action="store_false", default=True)

def pytest_runtest_call(item):
    if item.config.option.randomly_reset_seed:
        random.seed(99)
"""
KNOWS_ITS_SEED = """
import logging
import random
import pytest
import tiny

@pytest.mark.batchguard(4, 8, seed=7)
def test_guard(batchguard):
    logging.getLogger().warning("from the guard")
    assert random.random() == random.Random(7).random()
    tiny.train(batchguard)

def test_plain():
    logging.getLogger().warning("from the plain test")
"""
ENDS_THE_RUN = """

def test_last(request):
    import pytest

    pytest.exit("enough")
"""
WANTS_THE_TERMINAL = """
def pytest_sessionstart(session):
    session.config.pluginmanager.getplugin("terminalreporter").write_line("hello")
"""
LOSES_A_FAILURE = """
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        item.config.pluginmanager.get_plugin("terminalreporter").write_line("hello")
    return report
"""
ASSERTS_MORE = """
import pytest
import tiny

@pytest.mark.batchguard(4, 8)
def test_guard(batchguard):
    assert tiny.train(batchguard).loss.last < -1
"""
LEAVES_FILES = """
import pathlib
import pytest
import tiny

@pytest.mark.batchguard([4, 8], 8)
def test_guard(batchguard, tmp_path):
    told = pathlib.Path("told")
    earlier = told.read_text().splitlines() if told.exists() else []
    assert not any(pathlib.Path(folder).exists() for folder in earlier)
    (tmp_path / "images").write_text("many")
    told.write_text("\\n".join([*earlier, str(tmp_path)]))
    tiny.train(batchguard)
"""
TEARS_DOWN = """
import pathlib
import pytest

@pytest.fixture(scope="module")
def thing():
    yield
    pathlib.Path("torn_down.txt").write_text("before the failure was the last word")
    raise RuntimeError("teardown fails")

def test_plain(thing):
    pass

@pytest.mark.batchguard([4, 8, 16], 8)
def test_guard(batchguard):
    raise LookupError("no such augmentation")

def test_never_run(thing):
    pass
"""


def pids_of(project):
    return [(project.folder / f"{name}.txt").read_text() for name in ("plain", "guard")]


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_guard_has_a_process_of_its_own_and_with_s_its_output_is_seen(project, start_method):
    project.write({"test_it.py": TELLS_ITS_PROCESS})

    run = project.run("--batchguard", "-s", ini={"batchguard_start_method": start_method})

    plain, guard = pids_of(project)
    assert run.exit_code == pytest.ExitCode.OK
    assert plain != guard
    assert (project.folder / "how.txt").read_text() == start_method
    assert "the guard prints" in text_of(run.stdout.lines)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory):
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def elsewhere(new_project, temporary):
    """A run from a rootdir beside the tests, with a log file, plugins and a temporary folder of its own."""
    project = new_project(test_it=KNOWS_ITS_SEED, conftest=SEEDS_ANEW)
    project.write({"ci/other.ini": "[pytest]\npythonpath = ..\n"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        run = project.run("-c", "ci/other.ini", "--batchguard", "--log-file=pytest.log", "test_it.py")
    return run, project


def test_tests_outside_of_the_rootdir_are_guarded(elsewhere):
    run, _ = elsewhere

    assert run.exit_code == pytest.ExitCode.OK
    assert run.outcomes() == {"passed": 2}


def test_run_leaves_nothing_in_the_temporary_folder(elsewhere, temporary):
    assert list(temporary.iterdir()) == []


def test_plugins_that_seed_or_write_a_log_do_not_interfere(elsewhere):
    _, project = elsewhere
    log = (project.folder / "pytest.log").read_text()

    assert "from the plain test" in log
    assert "\0" not in log


def test_with_pdb_guards_run_in_pytests_own_process(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS})

    run = project.run("--batchguard", "--pdb")

    plain, guard = pids_of(project)
    assert run.exit_code == pytest.ExitCode.OK
    assert plain == guard
    assert run.figures_of("test_guard[b4-8x8]")["measurement"]["throughput"]["images_per_second"] > 0


def test_pdb_opens_where_a_guard_fails(project):
    project.write({"test_it.py": FAILS})

    run = project.run("--batchguard", "--pdb", stdin="p wanted\nq\n")

    run.stdout.fnmatch_lines(["*entering PDB*", "*'a breakpoint'*"])
    assert run.exit_code in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.TESTS_FAILED}


def test_run_stops_at_as_many_failures_as_asked_and_tears_down_before_it_ends(project):
    project.write({"test_it.py": TEARS_DOWN})

    run = project.run("--batchguard", "--maxfail=2")

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes() == {"passed": 1, "failed": 2, "errors": 1}
    assert (project.folder / "torn_down.txt").exists()
    assert len(run.figures["cases"]) == 2
    run.stdout.no_fnmatch_line("*Traceback*")


def test_plugin_that_ends_what_takes_long_fails_that_case_alone(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS, "conftest.py": ENDS_WHAT_TAKES_LONG})

    run = project.run("--batchguard", ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert run.outcomes() == {"passed": 1, "failed": 1}
    run.stdout.fnmatch_lines(["*it takes too long*"])
    run.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_run_that_ends_early_writes_what_was_measured_and_says_that_it_is_not_all(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS + ENDS_THE_RUN})

    run = project.run("--batchguard-update")

    assert run.exit_code == pytest.ExitCode.INTERRUPTED
    assert run.figures["complete"] is False
    assert run.figures_of("test_guard[b4-8x8]")["measurement"]["throughput"]["images_per_second"] > 0
    assert "recorded" not in run.figures_of("test_guard[b4-8x8]")
    summary = text_of(run.summary())
    assert "NO BASELINE WAS WRITTEN: the run did not come to its end" in summary
    assert "recorded" not in summary


def test_update_that_selects_nothing_came_to_its_end(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS})

    run = project.run("--batchguard-update", "-k", "no_such_test", ini={"batchguard_start_method": "spawn"})

    assert run.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert run.summary() == ["no guard was measured"]


def test_session_of_a_case_that_does_not_start_is_told_with_its_last_words(project):
    project.write({"test_it.py": TELLS_ITS_PROCESS, "conftest.py": WANTS_THE_TERMINAL})

    run = project.run("--batchguard")

    problem = "broken: its process did not come to the test: INTERNALERROR> AttributeError: 'NoneType' object"
    assert problem in text_of(run.stdout.lines)


def test_temporary_files_of_a_process_go_with_it(new_project):
    project = new_project(test_it=LEAVES_FILES)

    run = project.run("--batchguard", "--setup-show")

    assert run.outcomes() == {"passed": 2}


def test_brackets_in_a_path_and_an_end_of_the_options_change_nothing(new_project):
    project = new_project(test_it=LEAVES_FILES)
    folder = project.folder.rename(project.folder.with_name("photos[2026]"))

    run = Project(folder).run("--batchguard", "--batchguard-json=figures.json", "--", "test_it.py")

    assert run.outcomes() == {"passed": 2}


def test_session_that_breaks_off_after_the_training_is_broken(new_project):
    project = new_project(test_it=ASSERTS_MORE)
    project.write({"conftest.py": LOSES_A_FAILURE})

    run = project.run("--batchguard")

    assert run.exit_code == pytest.ExitCode.TESTS_FAILED
    assert "broken: its session broke off within the test: INTERNALERROR> AttributeError" in text_of(run.stdout.lines)


PLUGINS = {
    "randomly": """
        import os, pathlib

        def pytest_sessionstart():
            pathlib.Path(f"seeded-{os.getpid()}.txt").touch()
    """,
    "vscode_pytest": """
        import os, pathlib

        def pytest_sessionfinish():
            pathlib.Path(f"told-{os.getpid()}.txt").touch()
    """,
    "sugar": """
        def pytest_configure(config):
            assert config.pluginmanager.has_plugin("terminal")
    """,
    "counting": """
        def pytest_configure(config):
            config.pluginmanager.register(Counting(config))

        class Counting:
            def __init__(self, config):
                self.config = config

            def pytest_runtest_logreport(self, report):
                outcome, _, _ = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
                assert outcome in {"passed", ""}
    """,
    "pytest_cov": """
        import pathlib

        def pytest_addoption(parser):
            parser.addoption("--no-cov", action="store_true")

        def pytest_sessionstart(session):
            with pathlib.Path("traced.txt").open("a") as file:
                file.write(f"{not session.config.option.no_cov} ")
    """,
}


def test_plugins_that_seed_show_count_or_trace_do_not_interfere(new_project):
    project = new_project(test_it=TELLS_ITS_PROCESS, **PLUGINS)

    run = project.run("--batchguard", *(f"-p{name}" for name in PLUGINS))

    assert run.outcomes() == {"passed": 2}
    assert len(list(project.folder.glob("seeded-*.txt"))) == 1
    assert len(list(project.folder.glob("told-*.txt"))) == 1
    assert (project.folder / "traced.txt").read_text().split() == ["True", "False", "False"]
