"""The parent's side: start a job in a process of its own, by the fork server or by spawning.

Both launchers give a `Child` with one private channel, an exit code and a kill that reaches the whole process group.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation import groups, messages
from pytest_batchguard.isolation.job import Job, run_job
from pytest_batchguard.isolation.server import LENGTH


class Child(Protocol):
    """A job's process as its parent sees it."""

    channel: socket.socket
    pid: int
    end_event: int | None
    """Readable when the process has ended, where its channel alone would not tell: a worker may hold that open."""

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, negative for a signal; `None` if it still runs after `seconds`."""

    def pause(self) -> None:
        """Stop its whole process group where it stands."""

    def resume(self) -> None:
        """Let its process group go on."""

    def kill(self) -> None:
        """Kill its whole process group and wait for its end."""


class Launcher(Protocol):
    """Starts jobs."""

    def launch(self, job: Job) -> Child:
        """Start `job`.

        Raises:
            IsolationError: It could not be started.
        """

    def close(self) -> None:
        """End whatever the launcher itself keeps running."""


_SERVER = (
    f"import sys; sys.path[:] = sys.argv.pop(1).split({os.pathsep!r}); "
    "from pytest_batchguard.isolation.server import main; main()"
)


class ForkLauncher:
    """Forks each job from a server with the heavy modules imported.

    The server starts importing at once, in the background; the first `launch` waits for it. A server that has died
    is started anew by the next `launch`.

    Args:
        preload: Modules to import in the server.
        environment: Added to the server's environment.
        module_path: The server's `sys.path` beyond the interpreter's own.
        output_path: The file that the server writes its standard output and error to.
    """

    def __init__(
        self, preload: Sequence[str], environment: Mapping[str, str], module_path: Sequence[str], output_path: str
    ) -> None:
        self._preload = preload
        self._environment = dict(environment)
        self._module_path = module_path
        self._output_path = output_path
        self._start()

    def launch(self, job: Job) -> Child:
        """Start `job`; see `Launcher`."""
        if self._process.poll() is not None:
            self.close()
            self._start()
        try:
            body = pickle.dumps(job)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise IsolationError(f"the process could not be started: {error}") from error
        if not self._ready:
            self._await_ready()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                own = [1, 2] if job.output_path is None else []
                socket.send_fds(self._control, [LENGTH.pack(len(body))], [theirs.fileno(), *own])
                self._control.sendall(body)
                started = self._receive("started")
            except OSError as error:
                raise IsolationError(f"the process server is gone: {error}") from error
        return _ForkedChild(self, ours, started["pid"])

    def close(self) -> None:
        """End the server; it kills what it still runs, and one that is not ready yet runs nothing."""
        self._control.close()
        if not self._ready:
            self._process.kill()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def exit_code(self, pid: int, seconds: float) -> int:
        """Return the exit code of a child, negative for a signal.

        Raises:
            TimeoutError: It did not end within `seconds`.
            IsolationError: The server has died.
        """
        deadline = time.monotonic() + seconds
        while pid not in self._codes:
            self._receive("exited", deadline)
        return self._codes.pop(pid)

    def _receive(self, kind: str, deadline: float | None = None) -> dict[str, Any]:
        """Return the server's next message of this kind; the ends of children are taken note of on the way."""
        while True:
            message = self._next_message(deadline)
            if message["kind"] == "exited":
                self._codes[message["pid"]] = message["code"]
            if message["kind"] == kind:
                return message
            if message["kind"] != "exited":
                raise IsolationError(message.get("traceback", f"the process server said {message}"))

    def _next_message(self, deadline: float | None) -> dict[str, Any]:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            return self._inbox.next_message(left)
        except EOFError as error:
            raise IsolationError(f"the process server died with exit code {self._process.wait()}") from error

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        self._inbox = messages.Inbox(self._control)
        self._codes: dict[int, int] = {}
        self._ready = False
        module_path = os.pathsep.join(path or str(Path.cwd()) for path in self._module_path)
        # No PYTHONPATH: whatever interpreter a test starts would inherit it.
        command = [sys.executable, "-c", _SERVER, module_path, str(theirs.fileno()), *self._preload]
        with theirs, open(self._output_path, "ab") as output:  # noqa: PTH123 -- a job's paths are texts
            try:
                self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, this package
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **self._environment},
                    start_new_session=True,  # a Ctrl-C is the parent's to handle
                )
            except OSError as error:
                raise IsolationError(f"the process server could not be started: {error}") from error

    def _await_ready(self) -> None:
        try:
            self._receive("ready")
        except IsolationError:
            self._process.wait()  # it has said why and ends; the next launch starts another
            raise
        self._ready = True


class _ForkedChild:
    end_event: int | None = None  # the server kills what is left of the group, and with it the channel closes

    def __init__(self, launcher: ForkLauncher, channel: socket.socket, pid: int) -> None:
        self.channel = channel
        self.pid = pid
        self._launcher = launcher
        self._code: int | None = None

    def wait(self, seconds: float) -> int | None:
        if self._code is None:
            try:
                self._code = self._launcher.exit_code(self.pid, seconds)
            except TimeoutError:
                return None
            except IsolationError:
                groups.kill(self.pid)
                self._code = -signal.SIGKILL
        return self._code

    def pause(self) -> None:
        groups.pause(self.pid)

    def resume(self) -> None:
        groups.resume(self.pid)

    def kill(self) -> None:
        if self._code is None:
            groups.kill(self.pid)
            self.wait(10)


class SpawnLauncher:
    """Starts a new interpreter for each job: where forking is not safe, and by choice."""

    def launch(self, job: Job) -> Child:
        """Start `job`; see `Launcher`."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = multiprocessing.get_context("spawn").Process(
                target=_run_spawned, args=(job, theirs), daemon=False
            )
            try:
                with _environment(job.environment):  # PYTHONHASHSEED is read when an interpreter starts
                    process.start()
            except (OSError, pickle.PicklingError, TypeError, AttributeError) as error:
                raise IsolationError(f"the process could not be started: {error}") from error
        return _SpawnedChild(process, ours)

    def close(self) -> None:
        """Nothing is kept running."""


class _SpawnedChild:
    def __init__(self, process: Any, channel: socket.socket) -> None:
        self.channel = channel
        self.pid: int = process.pid
        self.end_event: int | None = _end_event(process)
        self._process = process

    def wait(self, seconds: float) -> int | None:
        self._process.join(seconds)
        code: int | None = self._process.exitcode
        return code

    def pause(self) -> None:
        groups.pause(self.pid)

    def resume(self) -> None:
        groups.resume(self.pid)

    def kill(self) -> None:
        groups.kill(self.pid)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(10)
        if self.end_event not in {None, self._process.sentinel}:
            os.close(self.end_event)
            self.end_event = None


@contextlib.contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    """Add to what a process started meanwhile finds in its environment."""
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_event(process: Any) -> int | None:
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):  # a kernel before 5.3, or a container that forbids it
            return os.pidfd_open(process.pid)
    # A worker of the child holds the sentinel's pipe open too; where there is nothing better, it will have to do.
    return process.sentinel if os.name == "posix" else None


def _run_spawned(job: Job, channel: socket.socket) -> None:
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    run_job(job, channel)
