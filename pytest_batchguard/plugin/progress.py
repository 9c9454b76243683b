"""The line that shows a case at work, behind what pytest has written, gone without a trace when the case has ended."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_batchguard.core.units import format_rate

_SAVE, _RESTORE, _ERASE = "\x1b7", "\x1b8", "\x1b[K"


class ProgressLine:
    """Draws on a terminal, and nowhere else.

    Args:
        config: For its terminal reporter.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        is_drawn = self._reporter is not None and self._reporter.isatty
        self._writer = config.get_terminal_writer() if is_drawn else None
        self._caption = ""

    def announce(self, text: str) -> None:
        """Write a line that stays, also where nothing is drawn."""
        self.clear()
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(text)

    def caption(self, text: str) -> None:
        """Put a text before all that is shown from now on."""
        self._caption = f" {text}:" if text else ""
        self._draw(self._caption)

    def show(self, message: dict[str, Any]) -> None:
        """Show phase, step and throughput of a progress message."""
        text = f"{self._caption} {message['phase']} {message['step']}/{message['steps']}"
        if "images_per_second" in message:
            text += f", {format_rate(message['images_per_second'])}"
        self._draw(text)

    def clear(self) -> None:
        """Remove it."""
        self._draw("")

    def _draw(self, text: str) -> None:
        if self._writer is None:
            return
        room = self._writer.fullwidth - self._writer.width_of_current_line - 1
        # Past the writer, whose count of the current line's width must stay pytest's.
        file = self._writer._file  # noqa: SLF001
        file.write(f"{_SAVE}{_ERASE}{text[: max(0, room)]}{_RESTORE}")
        file.flush()
