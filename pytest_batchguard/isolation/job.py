"""What a child process is told, and the child's side of running it."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import sys
import threading
import traceback
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NoReturn

from pytest_batchguard.isolation import messages


class Link:
    """A child's end of its private channel. A message is a dict with the key `kind`.

    Args:
        channel: The socket to the parent.
    """

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self._lock = threading.Lock()
        self._inbox = messages.Inbox(channel)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message to the parent."""
        with self._lock:
            self.channel.sendall(messages.encode(message))

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one message and return the parent's answer.

        Raises:
            EOFError: The parent has gone.
        """
        self.send(message)
        return self._inbox.next_message()


@dataclass(frozen=True)
class Job:
    """A callable to run in a process of its own.

    Attributes:
        entry: `module:function`; called as `function(payload, link)`.
        payload: Anything that pickles.
        environment: Added to the environment before anything else happens.
        working_directory: Of the process.
        module_path: Its `sys.path`.
        output_path: The file that its standard output and error go to; where it is `None`, they are its parent's.
    """

    entry: str
    payload: Any
    environment: dict[str, str] = field(default_factory=dict)
    working_directory: str = "."
    module_path: tuple[str, ...] = ()
    output_path: str | None = None


def run_job(job: Job, channel: socket.socket) -> NoReturn:
    """Run `job` in this process and end the process; the last message is `end`, or `error` with a traceback.

    The process ends without the interpreter's shutdown: TensorFlow's threads can keep that waiting, and a forked
    child has no business with its parent's exit handlers.
    """
    link = Link(channel)
    try:
        _settle_in(job)
        module, _, name = job.entry.partition(":")
        getattr(import_module(module), name)(job.payload, link)
        link.send({"kind": "end"})
        code = 0
    except BaseException:  # whatever ends the job is the parent's to judge
        with contextlib.suppress(OSError):  # the parent has gone; nobody is left to tell
            link.send({"kind": "error", "traceback": traceback.format_exc()})
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        channel.close()
    os._exit(code)


def _settle_in(job: Job) -> None:
    os.environ.update(job.environment)
    os.chdir(job.working_directory)
    if job.module_path:
        sys.path[:] = job.module_path
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if job.output_path is not None:
        output = os.open(job.output_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # what was printed outlives a crash
