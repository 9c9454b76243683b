"""Another commit beside the project: checked out, mapped and removed; the project's own tree is never touched."""

import os
import signal
from pathlib import Path

import pytest

from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.storage.checkout import check_out
from tests.repositories import git


@pytest.fixture
def repository(tmp_path):
    """A repository with two commits and a change that is not committed."""
    folder = tmp_path / "project"
    (folder / "package").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for text in ("first", "second"):
        (folder / "package" / "model.py").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", text)
    (folder / "package" / "model.py").write_text("third")
    return folder


@pytest.fixture
def interruptible():
    """Let SIGINT raise, which is ignored in whatever was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def checkout(repository):
    made = check_out("HEAD~1", repository / "package")
    yield made
    if made.folder.exists():
        made.remove()


def test_commit_lies_in_a_folder_of_its_own(checkout, repository):
    assert (checkout.folder / "package" / "model.py").read_text() == "first"
    assert not checkout.folder.is_relative_to(repository)
    assert checkout.commit == git(repository, "rev-parse", "--short", "HEAD~1")
    assert checkout.reference == "HEAD~1"


def test_tree_of_the_project_is_left_as_it_is(checkout, repository):
    assert (repository / "package" / "model.py").read_text() == "third"
    assert git(repository, "status", "--porcelain") == "M package/model.py"
    assert git(repository, "branch", "--list") == "* main"


def test_path_of_the_project_has_its_place_in_the_checkout(checkout, repository):
    assert checkout.inside(repository / "package") == checkout.folder / "package"
    assert checkout.inside(Path("/elsewhere/package")) == Path("/elsewhere/package")


def test_removing_leaves_nothing_even_if_files_were_written(checkout, repository):
    (checkout.folder / "new.txt").write_text("written by a test")
    (checkout.folder / "package" / "model.py").write_text("changed by a test")
    checkout.remove()
    assert not checkout.folder.parent.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_removing_takes_what_was_written_beside_the_tree_along(checkout):
    (checkout.folder.parent / "out").mkdir()
    checkout.remove()
    assert not checkout.folder.parent.exists()


def test_other_worktrees_are_left_alone_although_they_are_out_of_sight(checkout, repository, tmp_path):
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    (tmp_path / "other").rename(tmp_path / "elsewhere")
    checkout.remove()
    assert len(git(repository, "worktree", "list").splitlines()) == 2


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("does", "ends_with"), [("exit 1", ConfigurationError), ('kill -INT "$TESTED"', KeyboardInterrupt)]
)
def test_checkout_that_fails_or_is_interrupted_leaves_nothing(repository, monkeypatch, tmp_path, does, ends_with):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\n{does}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("TESTED", str(os.getpid()))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(ends_with):
        check_out("HEAD", repository)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_place_for_temporary_files_within_the_repository_is_refused(repository, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(repository / "package"))
    with pytest.raises(ConfigurationError, match=r"found .*/package for temporary files, allowed: .*TMPDIR names it"):
        check_out("HEAD", repository)
    assert [path.name for path in (repository / "package").iterdir()] == ["model.py"]


def test_within_a_hook_of_gits_the_projects_index_stays_as_it_is(repository, monkeypatch):
    git(repository, "add", ".")
    staged = git(repository, "write-tree")
    monkeypatch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    check_out("HEAD~1", repository / "package").remove()
    assert git(repository, "write-tree") == staged


@pytest.mark.parametrize("reference", ["no-such-branch", "", "--help", "HEAD:package"])
def test_what_is_no_commit_is_refused_and_nothing_is_left(repository, reference, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(ConfigurationError):
        check_out(reference, repository)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_folder_outside_of_any_repository_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="not a git repository"):
        check_out("HEAD", tmp_path)
