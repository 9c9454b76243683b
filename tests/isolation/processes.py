"""Jobs for the entries, and eyes on the processes that they start."""

import os
import select
import sys

import psutil

from pytest_batchguard.isolation.job import Job
from tests.isolation import entries

TOKEN = "BATCHGUARD_ISOLATION_TEST"
SHORT = 5
"""Seconds that a process which was killed has to be gone in."""


def processes_with(token):
    """Return every process that was started with this token in its environment, by us or by a child of ours."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TOKEN) == token:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def has_ended(pid):
    """Return whether a process has ended, waiting for it; one that its new parent has not reaped yet has ended too."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], SHORT)[0])
    finally:
        os.close(descriptor)


def job_of(entry, payload=None, **settings):
    """Return a job that calls one of the entries in a child that can import them."""
    name = entry if isinstance(entry, str) else f"{entries.__name__}:{entry.__name__}"
    return Job(name, payload, **{"module_path": tuple(sys.path), **settings})
