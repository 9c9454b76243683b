"""Frames on the private channel between a child process and its parent.

A frame is four bytes of length, big-endian, and that many bytes of JSON, an object with the key `kind`. JSON and not
pickle: whatever a broken child writes can be refused, but never run. Who writes garbage ends his own case alone.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

from pytest_batchguard.errors import IsolationError

_LENGTH = struct.Struct(">I")
LARGEST_FRAME = 64 * 2**20
_CHUNK = 2**16


def encode(message: dict[str, Any]) -> bytes:
    """Return the frame of `message`; what JSON does not know travels as its text."""
    body = json.dumps(message, default=str).encode()
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """Yield the messages that are whole after `chunk`, those before garbage too.

        Raises:
            IsolationError: The stream is not made of frames.
        """
        self._buffer += chunk
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > LARGEST_FRAME:
                raise IsolationError(f"the process sent a frame of {length} bytes; at most {LARGEST_FRAME} are allowed")
            if len(self._buffer) < _LENGTH.size + length:
                return
            body = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            yield self._message(body)

    @staticmethod
    def _message(body: bytes) -> dict[str, Any]:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise IsolationError(f"the process sent what is not a message: {body[:60]!r}") from error
        if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
            raise IsolationError(f"the process sent what is not a message: {body[:60]!r}")
        return message


class Inbox:
    """The messages that arrive over a socket, one at a time.

    Args:
        channel: The socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._decoder = Decoder()
        self._received: list[dict[str, Any]] = []

    def next_message(self, seconds: float | None = None) -> dict[str, Any]:
        """Wait for the next message.

        Args:
            seconds: To wait at the most; `None` for ever.

        Raises:
            TimeoutError: It did not come in time.
            EOFError: The other end was closed.
            IsolationError: The stream is not made of frames.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._received:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not wait([self._channel], left):
                raise TimeoutError
            chunk = self._channel.recv(_CHUNK)
            if not chunk:
                raise EOFError("the other end has closed the channel")
            self._received += self._decoder.feed(chunk)
        return self._received.pop(0)
