"""What the children of these tests do; imported in the child through its module path, named by `entry` here.

Each is called as `function(payload, send)`. A child that is to stay until it is killed calls `_stay`, which never
returns and needs no processor.
"""

import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

from pytest_batchguard.isolation.messages import LARGEST_FRAME

STAYING = "import signal, sys; print('here', flush=True); signal.pause()"


def _stay():
    while True:
        signal.pause()


def _channel(send):
    """Return the socket behind `send`, for children that do not keep to its frames."""
    return next(cell.cell_contents for cell in send.__closure__ if hasattr(cell.cell_contents, "sendall"))


def _started_program():
    """Start a program of our own that stays, and return its pid when it runs."""
    program = subprocess.Popen([sys.executable, "-c", STAYING], stdout=subprocess.PIPE)
    program.stdout.readline()
    return program.pid


def _forked_worker():
    """Fork a worker that keeps everything we had open, the channel too, and stays; return its pid."""
    worker = os.fork()
    if worker == 0:
        _stay()
    return worker


def count(payload, send):
    for number in range(payload):
        send({"kind": "count", "number": number})


def echo(payload, send):
    send({"kind": "echo", "payload": payload})


def large(payload, send):
    send({"kind": "large", "text": "x" * payload})


def fail(payload, send):
    send({"kind": "before"})
    raise ValueError(payload)


def exit_by_exception(payload, send):
    sys.exit(payload)


def leave(payload, send):
    send({"kind": "before"})
    os._exit(payload)


def die_by_signal(payload, send):
    send({"kind": "before"})
    os.kill(os.getpid(), payload)
    _stay()


def read_nothing(payload, send):
    ctypes.string_at(0)


def hang(payload, send):
    send({"kind": "hanging"})
    _stay()


def hang_with_program(payload, send):
    send({"kind": "program", "pid": _started_program()})
    _stay()


def end_with_program(payload, send):
    send({"kind": "program", "pid": _started_program()})


def leave_with_worker(payload, send):
    send({"kind": "worker", "pid": _forked_worker()})
    os._exit(payload)


def send_bytes(payload, send):
    send({"kind": "before"})
    _channel(send).sendall(payload)
    _stay()


def send_huge_length(payload, send):
    _channel(send).sendall(struct.pack(">I", LARGEST_FRAME + 1))
    _stay()


def send_half_a_frame(payload, send):
    _channel(send).sendall(struct.pack(">I", 1000) + b'{"kind": "en')
    os._exit(0)


def close_channel_and_stay(payload, send):
    _channel(send).close()
    _stay()


def tell_surroundings(payload, send):
    send(
        {
            "kind": "surroundings",
            "environment": {name: os.environ.get(name) for name in payload},
            "working_directory": str(Path.cwd()),
            "module_path": sys.path,
            "standard_input": sys.stdin.read(),
            "pid": os.getpid(),
            "group": os.getpgid(0),
            "session": os.getsid(0),
        }
    )


def write_output(payload, send):
    sys.stdout.write("to standard output\n")
    sys.stderr.write("to standard error\n")
    os.write(1, b"past Python\n")


def tell_loaded(payload, send):
    send(
        {"kind": "loaded", "modules": [name for name in payload if name in sys.modules], "json": hasattr(json, "loads")}
    )
