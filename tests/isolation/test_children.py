"""What a child finds around it, what becomes of its output, and what its parent can ask of it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from pytest_batchguard.isolation.launch import SpawnLauncher
from pytest_batchguard.isolation.supervise import EndingKind, supervise
from tests.isolation import entries
from tests.isolation.processes import job_of


def surroundings(run, launcher, *names, **settings):
    ending, (message,) = run(launcher, entries.tell_surroundings, list(names), **settings)
    assert ending.kind is EndingKind.COMPLETE
    return message


def test_environment_arrives_beside_the_parents_own(launcher, run, monkeypatch):
    monkeypatch.delenv("BATCHGUARD_ABSENT", raising=False)
    told = surroundings(
        run, launcher, "BATCHGUARD_GIVEN", "PATH", "BATCHGUARD_ABSENT", environment={"BATCHGUARD_GIVEN": "a=b, ä"}
    )
    assert told["environment"] == {
        "BATCHGUARD_GIVEN": "a=b, ä",
        "PATH": os.environ["PATH"],
        "BATCHGUARD_ABSENT": None,
    }


def test_environment_of_one_child_is_not_that_of_the_next(launcher, run):
    surroundings(run, launcher, environment={"BATCHGUARD_GIVEN": "first"})
    assert surroundings(run, launcher, "BATCHGUARD_GIVEN")["environment"] == {"BATCHGUARD_GIVEN": None}
    assert "BATCHGUARD_GIVEN" not in os.environ


def test_environment_is_there_when_a_spawned_interpreter_starts(token, run):
    seeded = {"PYTHONHASHSEED": "0"}
    told = surroundings(run, SpawnLauncher(), environment=seeded)
    command = [sys.executable, "-c", "print(hash('dog'))"]
    assert told["hash"] == int(subprocess.check_output(command, env={**os.environ, **seeded}))


def test_working_directory_arrives(launcher, run, tmp_path):
    told = surroundings(run, launcher, working_directory=str(tmp_path))
    assert Path(told["working_directory"]) == tmp_path.resolve()
    assert Path.cwd() != tmp_path.resolve()


def test_module_path_arrives_in_its_order(launcher, run, tmp_path):
    module_path = (str(tmp_path / "first"), *sys.path, str(tmp_path / "last"))
    assert surroundings(run, launcher, module_path=module_path)["module_path"] == list(module_path)


def test_module_that_only_the_module_path_knows_is_found(launcher, run, tmp_path):
    (tmp_path / "only_here.py").write_text("def run(payload, link): link.send({'kind': 'here', 'payload': payload})\n")
    ending, messages = run(launcher, "only_here:run", 5, module_path=(*sys.path, str(tmp_path)))
    assert ending.kind is EndingKind.COMPLETE
    assert messages == [{"kind": "here", "payload": 5}]


def test_child_cannot_take_the_parents_input(launcher, run):
    assert surroundings(run, launcher)["standard_input"] == ""


def test_child_leads_a_process_group_of_its_own(launcher, run):
    told = surroundings(run, launcher)
    assert told["group"] == told["pid"] != os.getpgid(0)


def test_output_of_python_and_of_c_goes_to_the_file_named(launcher, run, tmp_path, capfd):
    output = tmp_path / "output"
    assert run(launcher, entries.write_output, output_path=str(output))[0].kind is EndingKind.COMPLETE
    assert sorted(output.read_text().splitlines()) == ["past Python", "to standard error", "to standard output"]
    assert capfd.readouterr().out == ""


def test_output_of_one_child_follows_that_of_another_in_the_same_file(launcher, run, tmp_path):
    output = tmp_path / "output"
    for _ in range(2):
        run(launcher, entries.write_output, output_path=str(output))
    assert output.read_text().count("past Python") == 2


def test_child_that_runs_has_no_exit_code_yet(launcher):
    child = launcher.launch(job_of(entries.hang))
    assert child.wait(0) is None
    assert psutil.pid_exists(child.pid)
    child.kill()
    child.channel.close()
    assert child.wait(10) == -9


def test_child_can_be_killed_twice_and_after_its_end(launcher):
    child = launcher.launch(job_of(entries.count, 1))
    supervise(child, 60, lambda _: None)
    child.kill()
    child.kill()
    assert child.wait(0) == 0


def test_parent_keeps_no_descriptors_of_children_that_ended(launcher, run):
    run(launcher, entries.count, 1)
    before = psutil.Process().num_fds()
    for _ in range(3):
        run(launcher, entries.count, 1)
    assert psutil.Process().num_fds() == before
