"""A second child that works only when it is asked, while the first one stands still.

Two processes that run side by side disturb one another, and one that merely waits still does: its threads spin, its
input pipeline fills its buffers. So whoever has not got the turn is stopped by the system, whole process group.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pytest_batchguard.errors import IsolationError
from pytest_batchguard.isolation import messages
from pytest_batchguard.isolation.launch import Child
from pytest_batchguard.isolation.supervise import Ending, supervise

Listen = Callable[[dict[str, Any]], None]

_ANSWERS = {"ready", "reading"}


class Companion:
    """A child that answers questions. Its job asks for the next one by `link.ask`, the first time by being `ready`.

    Args:
        child: Just launched.
        timeout_seconds: For each of its answers.
        listen: Takes what else it says.

    Attributes:
        has_failed: Whether it did not answer once, and so never will.
    """

    def __init__(self, child: Child, timeout_seconds: float, listen: Listen = lambda _message: None) -> None:
        self._child = child
        self._timeout_seconds = timeout_seconds
        self._listen = listen
        self._inbox = messages.Inbox(child.channel)
        self._is_ready = False
        self.has_failed = False

    def ask(self, question: dict[str, Any], asker: Child) -> dict[str, Any]:
        """Stop `asker`, let this child answer, stop it again and let `asker` go on.

        Args:
            question: A message.
            asker: The child whose turn it is otherwise.

        Raises:
            IsolationError: It failed, with its traceback, died, or gave no answer in time.
        """
        asker.pause()
        try:
            if self._is_ready:
                self._child.resume()
            else:
                self._answer()
                self._is_ready = True
            self._child.channel.sendall(messages.encode(question))
            answer = self._answer()
            self._child.pause()
        except IsolationError:
            self._give_up()
            raise
        except OSError as error:
            self._give_up()
            raise IsolationError(f"the process beside it is gone: {error}") from error
        finally:
            asker.resume()
        return answer

    def _give_up(self) -> None:
        """End the child, whose memory and time whoever goes on without it may need."""
        self.has_failed = True
        self._child.kill()

    def finish(self, timeout_seconds: float) -> Ending:
        """Tell the child that it was asked enough, and let it come to its end.

        Args:
            timeout_seconds: From now to its end.

        Raises:
            IsolationError: It was gone already.
        """
        self._child.resume()
        try:
            if not self._is_ready:
                self._answer()
            self._child.channel.sendall(messages.encode({"kind": "enough", "enough": True}))
        except OSError as error:
            raise IsolationError(f"the process beside it is gone: {error}") from error
        return supervise(self._child, timeout_seconds, self._listen)

    def close(self) -> None:
        """Kill the child."""
        self._child.kill()
        self._child.channel.close()

    def _answer(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout_seconds
        while True:
            try:
                message = self._inbox.next_message(max(0.0, deadline - time.monotonic()))
            except TimeoutError as error:
                raise IsolationError(f"the process beside it gave no answer in {self._timeout_seconds:g} s") from error
            except EOFError as error:
                raise IsolationError("the process beside it ended") from error
            if message["kind"] in _ANSWERS:
                return message
            if message["kind"] == "error":
                raise IsolationError(str(message.get("traceback", "")))
            self._listen(message)
