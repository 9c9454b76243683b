"""One registry of quantities: label, direction and formatter. Reports format with it; they never recompute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_batchguard.core import units


@dataclass(frozen=True)
class Quantity:
    """What a figure is and how people read it.

    Attributes:
        label: Its name in tables.
        lower_is_better: The direction.
        format: The figure with its unit.
    """

    label: str
    lower_is_better: bool
    format: Callable[[float], str]


def _pace(value: float) -> str:
    return f"{units.format_number(value)} yardsticks"


QUANTITIES = {
    "budget": Quantity("peak memory in budget", True, units.format_bytes),
    "max_memory": Quantity("peak memory", True, units.format_bytes),
    "peak_memory": Quantity("peak memory", True, units.format_bytes),
    "min_throughput": Quantity("throughput", False, units.format_rate),
    "pace": Quantity("pace", True, _pace),
    "finite_loss": Quantity("steps with a finite loss", False, lambda value: f"{value:.0f}"),
    "diverged_loss": Quantity("loss at the end", True, units.format_loss),
    "largest_loss": Quantity("largest loss", True, units.format_loss),
    "min_loss_decrease": Quantity("loss decrease", False, units.format_percent),
    "loss_decrease": Quantity("loss decrease", False, units.format_percent),
}

LOSS_DECREASES = {"min_loss_decrease", "loss_decrease"}
"""What a fresh process measures differently where threads draw its random numbers in another order."""

NOISY_QUANTITIES = {"pace", "peak_memory", "min_throughput", "max_memory", *LOSS_DECREASES}
"""What a fresh process may measure differently; the rest is taken as it is."""
