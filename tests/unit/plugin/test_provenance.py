import datetime as dt

import pytest

from pytest_batchguard.core.model import Provenance
from pytest_batchguard.measure.device import cpu_device
from pytest_batchguard.plugin.provenance import ProvenanceStamp
from tests.repositories import git
from tests.unit.samples import CPU, GPU


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit and one file, apart from the user's own settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "file").write_text("one")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def commit_in(folder):
    return ProvenanceStamp(CPU, folder).complete(Provenance()).commit


def test_commit_is_the_short_hash_of_head(repository):
    assert commit_in(repository) == git(repository, "rev-parse", "--short", "HEAD")


def test_commit_of_a_changed_tree_says_so(repository):
    (repository / "file").write_text("two")
    assert commit_in(repository) == git(repository, "rev-parse", "--short", "HEAD") + "-dirty"


def test_tag_is_no_commit(repository):
    git(repository, "tag", "v1")
    assert commit_in(repository) == git(repository, "rev-parse", "--short", "HEAD")


def test_project_outside_a_repository_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_in(tmp_path) is None


def test_machine_without_git_has_no_commit(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    assert commit_in(repository) is None


def test_date_is_a_day(repository):
    date = ProvenanceStamp(CPU, repository).complete(Provenance()).date
    assert abs(dt.date.fromisoformat(date) - dt.datetime.now(tz=dt.timezone.utc).date()) <= dt.timedelta(days=1)


def test_what_the_child_knows_stays(repository):
    completed = ProvenanceStamp(CPU, repository).complete(Provenance(tensorflow="2.21.0", deterministic=False))
    assert (completed.tensorflow, completed.deterministic) == ("2.21.0", False)


def test_cpu_has_neither_driver_nor_cuda_nor_another_host(repository):
    completed = ProvenanceStamp(CPU, repository).complete(Provenance())
    assert (completed.driver, completed.cuda, completed.host) == (None, None, None)


def test_gpu_has_a_host(repository):
    assert ProvenanceStamp(GPU, repository).complete(Provenance()).host == cpu_device().key
