"""Make the README's terminal pictures out of real runs of the sample project, one that passes and one that fails.

    pip install rich
    python docs/make_pictures.py

Runs `pytest sample_project --batchguard` in a terminal of 80 columns, and once more in a temporary copy with one change
planted, and draws what pytest wrote as docs/pictures/pass.svg and failure.svg. Whole lines are left out (where things
lie, what repeats); no line is altered. Needs committed baselines of the CPU it runs on, and no picture is made of a run
that came out otherwise. rich is this script's own dependency, the package does not need it.
"""  # noqa: INP001 -- a script beside the pages, not a package

from __future__ import annotations

import difflib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "docs" / "pictures"
PROJECT = "sample_project"
CHANGED_FILE = Path("digits_classifier", "model.py")
BEFORE, AFTER = "FIRST_FILTERS = 8\n", "FIRST_FILTERS = 16\n"
WIDTH = 80

PASSED, FAILED = 0, 1
LEFT_OUT = "\x1b[2m[…]\x1b[0m"
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_RULE = re.compile(r"(?P<sign>[=_-])(?P=sign)+ (?P<title>.+) (?P=sign)+")
_WHERE_THINGS_LIE = ("platform ", "rootdir: ", "configfile: ", "plugins: ")
_FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Run, draw, and stop where a run does not show what its picture is for."""
    passed = guarded_run(REPOSITORY, PASSED)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, PROJECT)
        shutil.copytree(REPOSITORY / PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
        change = plant(copy)
        failed = guarded_run(Path(folder), FAILED)
    draw("pass", command_line() + passed)
    draw("failure", [*change, "", *command_line(), *failed])


def guarded_run(folder: Path, expected: int) -> list[str]:
    """Return what pytest wrote, line by line.

    Args:
        folder: Where the sample project lies.
        expected: The exit code without which there is no picture.
    """
    command = [sys.executable, "-m", "pytest", PROJECT, "--batchguard", "--color=yes"]
    environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTEST_ADDOPTS": ""}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode != expected or "NOTHING WAS COMPARED" in ended.stdout:
        found = f"exit code {ended.returncode}, expected {expected} and every case compared"
        sys.exit(f"{ended.stdout}\nno picture: {found}")
    return list(shortened(ended.stdout.splitlines()))


def plant(project: Path) -> list[str]:
    """Plant the change in a copy of the project and return it as a coloured diff."""
    file = project / CHANGED_FILE
    old = file.read_text(encoding="utf-8")
    new = old.replace(BEFORE, AFTER)
    file.write_text(new, encoding="utf-8")
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    colours = {"-": "\x1b[31m", "+": "\x1b[32m"}
    changed = [line for line in diff if line[:1] in colours and line[:3] not in {"---", "+++"}]
    return [f"\x1b[2m{CHANGED_FILE.as_posix()}\x1b[0m", *(f"{colours[line[0]]}{line}\x1b[0m" for line in changed)]


def command_line() -> list[str]:
    """Return the line that a user types."""
    return [f"$ \x1b[1mpytest {PROJECT} --batchguard\x1b[0m"]


def shortened(lines: list[str]) -> Iterator[str]:
    """Yield the lines without where things lie, all failures but the first, captured output and the short summary."""
    keeps, failures = True, 0
    for line in lines:
        plain = _COLOUR.sub("", line)
        if plain.startswith(_WHERE_THINGS_LIE):
            continue
        rule = _RULE.fullmatch(plain)
        if rule:
            failures += rule["sign"] == "_"
            kept_before, keeps = keeps, _keeps(rule["sign"], rule["title"], failures)
            if kept_before and not keeps:
                yield LEFT_OUT
        if keeps:
            yield line


def _keeps(sign: str, title: str, failures: int) -> bool:
    if sign == "=":
        return not title.startswith("short test summary")
    return sign == "_" and failures == 1


def draw(name: str, lines: list[str]) -> None:
    """Draw lines with their colours as docs/pictures/NAME.svg."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi("\n".join(lines)))
    svg = console.export_svg(title="", unique_id=name)
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(_FONT_FROM_ELSEWHERE.sub("", svg), encoding="utf-8")


if __name__ == "__main__":
    main()
