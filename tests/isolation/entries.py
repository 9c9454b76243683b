"""What the children of these tests do; imported in the child through its module path, named by `entry` here.

Each is called as `function(payload, link)`. A child that is to stay until it is killed calls `_stay`, which never
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


def count(payload, link):
    for number in range(payload):
        link.send({"kind": "count", "number": number})


def echo(payload, link):
    link.send({"kind": "echo", "payload": payload})


def large(payload, link):
    link.send({"kind": "large", "text": "x" * payload})


def fail(payload, link):
    link.send({"kind": "before"})
    raise ValueError(payload)


def exit_by_exception(payload, link):
    sys.exit(payload)


def leave(payload, link):
    link.send({"kind": "before"})
    os._exit(payload)


def die_by_signal(payload, link):
    link.send({"kind": "before"})
    os.kill(os.getpid(), payload)
    _stay()


def read_nothing(payload, link):
    ctypes.string_at(0)


def hang(payload, link):
    link.send({"kind": "hanging"})
    _stay()


def hang_with_program(payload, link):
    link.send({"kind": "program", "pid": _started_program()})
    _stay()


def end_with_program(payload, link):
    link.send({"kind": "program", "pid": _started_program()})


def leave_with_worker(payload, link):
    link.send({"kind": "worker", "pid": _forked_worker()})
    os._exit(payload)


def send_bytes(payload, link):
    link.send({"kind": "before"})
    link.channel.sendall(payload)
    _stay()


def send_huge_length(payload, link):
    link.channel.sendall(struct.pack(">I", LARGEST_FRAME + 1))
    _stay()


def send_half_a_frame(payload, link):
    link.channel.sendall(struct.pack(">I", 1000) + b'{"kind": "en')
    os._exit(0)


def close_channel_and_stay(payload, link):
    link.channel.close()
    _stay()


def tell_surroundings(payload, link):
    link.send(
        {
            "kind": "surroundings",
            "environment": {name: os.environ.get(name) for name in payload},
            "working_directory": str(Path.cwd()),
            "module_path": sys.path,
            "standard_input": sys.stdin.read(),
            "pid": os.getpid(),
            "group": os.getpgid(0),
            "session": os.getsid(0),
            "hash": hash("dog"),
        }
    )


def write_output(payload, link):
    sys.stdout.write("to standard output\n")
    sys.stderr.write("to standard error\n")
    os.write(1, b"past Python\n")


def tell_loaded(payload, link):
    link.send(
        {"kind": "loaded", "modules": [name for name in payload if name in sys.modules], "json": hasattr(json, "loads")}
    )


def answer(payload, link):
    """Answer every question with its number and our pid."""
    number = 0
    message = {"kind": "ready"}
    while True:
        question = link.ask(message)
        number += 1
        message = {"kind": "reading", "number": number, "question": question["question"], "pid": os.getpid()}


def answer_nothing(payload, link):
    link.ask({"kind": "ready"})
    _stay()


def leave_instead_of_answering(payload, link):
    link.ask({"kind": "ready"})
    os._exit(payload)


def fail_before_it_is_ready(payload, link):
    raise ValueError(payload)


def ask_once(payload, link):
    """Ask, and tell the answer as a message of our own."""
    link.send({"kind": "told", "answer": link.ask({"kind": "question", "question": payload})})


def ask_a_parent_that_has_gone(payload, link):
    try:
        link.ask({"kind": "question"})
    except EOFError:
        Path(payload).write_text("it has gone")
