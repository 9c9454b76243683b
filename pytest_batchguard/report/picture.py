"""One picture of what tuning found: memory, throughput and noise against batch size, a row for each guard and size."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_batchguard.core.tuning import Tuning
from pytest_batchguard.errors import last_line
from pytest_batchguard.report.tuning_lines import noise_text, titles

_GIB = 2**30
_LIMIT_STYLE: dict[str, Any] = {"color": "tab:red", "linestyle": "--", "linewidth": 1}
_NOISE_STYLE: dict[str, Any] = {"color": "tab:purple", "alpha": 0.15}


def draw_beside(path: Path, tunings: Sequence[Tuning], shown: Callable[[Path], str]) -> str:
    """Draw into a file of the same name as `path`; return a line that says where, or what is needed to draw.

    Args:
        path: Of the tuning file.
        tunings: What to draw.
        shown: Writes a path for people.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return "no picture was drawn: pip install 'pytest-batchguard[report]'"
    picture = path.with_suffix(".svg")
    try:
        draw(picture, tunings)
    except OSError:
        raise
    except Exception as error:  # whatever matplotlib or its import raises: the table is worth more
        return f"no picture was drawn: {type(error).__name__}: {last_line(str(error))}"
    return f"drawn: {shown(picture)}"


def draw(path: Path, tunings: Sequence[Tuning]) -> None:
    """Draw what was found.

    Args:
        path: Of the picture, as SVG.
        tunings: A row each.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "pytest-batchguard", "font.size": 9}):
        figure = Figure(figsize=(10, 2.9 * len(tunings)), layout="constrained")
        FigureCanvasSVG(figure)
        rows = figure.subplots(len(tunings), 3, squeeze=False)
        for panels, title, tuning in zip(rows, titles(tunings), tunings, strict=True):
            for axes, (draw_panel, is_there) in zip(panels, _panels(tuning), strict=True):
                if is_there:
                    draw_panel(axes, tuning)
                    _finish(axes, tuning)
                else:
                    axes.text(0.5, 0.5, "not measured", ha="center", va="center", color="gray")
                    axes.set_axis_off()
            panels[0].set_title(title, loc="left", fontsize=9, fontweight="bold")
        figure.savefig(path, metadata={"Date": None})


def _panels(tuning: Tuning) -> list[tuple[Callable[[Any, Tuning], None], bool]]:
    """Return what to draw in each panel, and whether there is anything to draw."""
    return [
        (_draw_memory, bool(tuning.peaks)),
        (_draw_speed, bool(tuning.curve)),
        (_draw_learning, bool(tuning.trials or tuning.noise)),
    ]


def _draw_memory(axes: Any, tuning: Tuning) -> None:
    axes.plot(list(tuning.peaks), [peak / _GIB for peak in tuning.peaks.values()], "o-", color="tab:blue")
    axes.set_ylabel("peak memory in GiB")
    if tuning.largest is not None:
        axes.axhline(tuning.largest.limit_bytes / _GIB, label="limit", **_LIMIT_STYLE)
        if tuning.largest.smallest_failing is not None:
            axes.axvline(tuning.largest.smallest_failing, **_LIMIT_STYLE)
    axes.set_ylim(bottom=0)


def _draw_speed(axes: Any, tuning: Tuning) -> None:
    sizes = [point.batch_size for point in tuning.curve]
    rates = [point.images_per_second for point in tuning.curve]
    below = [point.images_per_second * (1 - point.pace / point.pace_high) for point in tuning.curve]
    above = [point.images_per_second * (point.pace / point.pace_low - 1) for point in tuning.curve]
    axes.errorbar(sizes, rates, yerr=[below, above], fmt="o-", color="tab:green", capsize=3)
    if tuning.plateau is not None:
        axes.axvline(tuning.plateau, color="tab:green", linestyle=":", label=f"plateau from {tuning.plateau}")
    axes.set_ylabel("images/s")
    axes.set_ylim(bottom=0)


def _draw_learning(axes: Any, tuning: Tuning) -> None:
    """Draw the validation loss, and the noise scale as a band of batch sizes."""
    if tuning.trials:
        sizes = [trial.batch_size for trial in tuning.trials]
        axes.plot(sizes, [trial.loss for trial in tuning.trials], "o-", color="tab:orange")
        axes.set_ylabel("validation loss at equal work")
    else:
        axes.set_ylabel("validation was not measured")
        axes.set_yticks([])
    noise = tuning.noise[-1] if tuning.noise else None
    if noise is not None and noise.images is not None:
        axes.axvline(noise.images, color="tab:purple", linewidth=1, label=f"noise scale {noise_text(noise)}")
        axes.axvspan(max(1.0, noise.low or 1.0), noise.high or noise.images * 10, **_NOISE_STYLE)


def _finish(axes: Any, tuning: Tuning) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set_xlabel("batch size")
    axes.grid(alpha=0.3)
    if tuning.recommended is not None:
        size = tuning.recommended.batch_size
        axes.axvline(size, color="black", linewidth=1.5, alpha=0.6, label=f"use {size}")
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=7)
