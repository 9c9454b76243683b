"""The fork server: a process with the heavy modules imported and nothing started, of which children are forked.

Its arguments are FD MODULE…, where FD is a stream socket to the parent:

* the server imports each MODULE and sends `ready`, or `unusable` with the reason;
* the parent sends a job, pickled, with the descriptor of the child's private channel, and where the job has no output
  file with its own standard output and error for the child; the server forks, puts the child into a process group of
  its own and sends `started` with its pid;
* when a child has ended, the server kills what is left of its group, reaps it and sends `exited` with its pid and
  code, negative for a signal;
* when the parent closes the socket or dies, the server kills its children's groups and ends.

No module may have started threads or a device before the fork.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import socket
import struct
import sys
import traceback
from importlib import import_module
from typing import NoReturn

from pytest_batchguard.isolation import groups, messages
from pytest_batchguard.isolation.job import Job, run_job

LENGTH = struct.Struct(">Q")
_MOST_DESCRIPTORS = 3


def main() -> None:
    """Serve until the parent goes."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    gc.disable()  # importing TensorFlow leaves little to collect and much to look through
    try:
        for module in sys.argv[2:]:
            import_module(module)
    except BaseException:  # the parent tells the user
        control.sendall(messages.encode({"kind": "unusable", "traceback": traceback.format_exc()}))
        return
    gc.collect()
    gc.freeze()
    gc.enable()
    control.sendall(messages.encode({"kind": "ready"}))
    Server(control).serve()


class Server:
    """The loop over two events: the parent has something to say, or a child has ended.

    Args:
        control: The socket to the parent.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: list[int] = []
        self._wakeup, wakeup_writer = os.pipe()
        os.set_blocking(wakeup_writer, False)
        self._wakeup_writer = wakeup_writer
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup_writer)

    def serve(self) -> None:
        """Serve until the parent closes the socket."""
        while True:
            readable, _, _ = select.select([self._control.fileno(), self._wakeup], [], [])
            if self._wakeup in readable:
                os.read(self._wakeup, 4096)
                self._reap()
            if self._control.fileno() in readable and not self._take_job():
                for child in self._children:
                    groups.kill(child)
                return

    def _take_job(self) -> bool:
        try:
            header, descriptors, _, _ = socket.recv_fds(self._control, LENGTH.size, _MOST_DESCRIPTORS)
        except ConnectionResetError:  # the parent died with something unread
            return False
        if not header:
            return False
        (length,) = LENGTH.unpack(header)
        body = bytearray()
        while len(body) < length:
            chunk = self._control.recv(min(2**20, length - len(body)))
            if not chunk:
                return False
            body += chunk
        self._fork(pickle.loads(body), *descriptors)  # noqa: S301 -- from the parent alone, over a private socket
        return True

    def _fork(self, job: Job, channel: int, *streams: int) -> None:
        child = os.fork()
        if child == 0:
            self._become_child(job, channel, streams)
        self._children.append(child)
        os.setpgid(child, child)
        for descriptor in (channel, *streams):
            os.close(descriptor)
        self._tell({"kind": "started", "pid": child})

    def _become_child(self, job: Job, channel: int, streams: tuple[int, ...]) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        self._control.close()
        os.close(self._wakeup)
        os.close(self._wakeup_writer)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
            os.close(stream)
        run_job(job, socket.socket(fileno=channel))

    def _reap(self) -> None:
        for child in tuple(self._children):
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            # Killed before it is reaped, so that the group's number cannot belong to anybody else yet.
            groups.kill(child)
            _, status = os.waitpid(child, 0)
            self._children.remove(child)
            self._tell({"kind": "exited", "pid": child, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the parent has gone; the next read of the socket ends the loop
            self._control.sendall(messages.encode(message))
