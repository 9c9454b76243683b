"""Watch a child to its end: hand on its messages, keep its time, and say how it ended."""

from __future__ import annotations

import enum
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation.launch import Child
from pytest_batchguard.isolation.messages import Decoder

_CHUNK = 2**16
_GRACE_SECONDS = 10.0


class EndingKind(enum.Enum):
    """How a child ended."""

    COMPLETE = "complete"
    ERROR = "error"
    DIED = "died"
    TIMEOUT = "timeout"
    GARBAGE = "garbage"


@dataclass(frozen=True)
class Ending:
    """How a child ended.

    Attributes:
        kind: Complete only if its last message said so.
        code: Its exit code, negative for a signal; `None` if it had to be killed.
        detail: The traceback of an error, or what was wrong with its messages.
    """

    kind: EndingKind
    code: int | None = None
    detail: str = ""


def supervise(child: Child, timeout_seconds: float, on_message: Callable[[dict[str, Any]], None]) -> Ending:
    """Wait for the end of `child`, killing its process group at the timeout or when anything here is raised.

    Args:
        child: Just launched.
        timeout_seconds: From now to its end, less the time in `on_message`, in which it may stand still.
        on_message: Called with every message but the last; raises `IsolationError` at one that it cannot read.
    """
    try:
        ending = _follow(child, time.monotonic() + timeout_seconds, on_message)
        if ending.kind in {EndingKind.TIMEOUT, EndingKind.GARBAGE}:
            return ending
        code = child.wait(_GRACE_SECONDS)
        if ending.kind is EndingKind.DIED and code is None:
            return Ending(EndingKind.DIED, None, "it closed its channel and did not end")
        return Ending(ending.kind, code, ending.detail)
    finally:
        child.kill()
        child.channel.close()


def _follow(child: Child, deadline: float, on_message: Callable[[dict[str, Any]], None]) -> Ending:
    decoder = Decoder()
    events: list[socket.socket | int] = [child.channel]
    if child.end_event is not None:
        events.append(child.end_event)
    while True:
        left = deadline - time.monotonic()
        ready = wait(events, left) if left > 0 else []
        if not ready:
            return Ending(EndingKind.TIMEOUT)
        if child.channel not in ready:
            child.kill()  # what the child left behind, and with it the channel closes
            events = [child.channel]
            continue
        try:
            chunk = child.channel.recv(_CHUNK)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            return Ending(EndingKind.DIED)
        begin = time.monotonic()
        try:
            ending = _hand_on(decoder.feed(chunk), on_message)
        except IsolationError as error:
            return Ending(EndingKind.GARBAGE, detail=str(error))
        deadline += time.monotonic() - begin
        if ending is not None:
            return ending


def _hand_on(received: Iterator[dict[str, Any]], on_message: Callable[[dict[str, Any]], None]) -> Ending | None:
    for message in received:
        if message["kind"] == "end":
            return Ending(EndingKind.COMPLETE)
        if message["kind"] == "error":
            return Ending(EndingKind.ERROR, detail=message.get("traceback", ""))
        on_message(message)
    return None
