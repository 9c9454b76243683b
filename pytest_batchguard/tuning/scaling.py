"""How the learning rate goes with the batch size.

For stochastic gradient descent it grows in proportion: Goyal et al., Accurate, Large Minibatch SGD (2017), arXiv
1706.02677, section 2.1. For optimizers that divide by the size of the gradient it grows with the square root:
Malladi et al., On the SDEs and Scaling Rules for Adaptive Gradient Algorithms (2022), arXiv 2205.10287, section 4.
"""

from __future__ import annotations

import enum
import math

_PROPORTIONAL = {"SGD"}
_ADAPTIVE = {"Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "Lamb", "Ftrl"}


class ScalingRule(enum.Enum):
    """How the learning rate follows the batch size; the value says it to people."""

    LINEAR = "linear (SGD: Goyal et al. 2017)"
    SQUARE_ROOT = "square root (adaptive optimizers: Malladi et al. 2022)"
    NONE = "unchanged (no rule is known for this optimizer)"

    def factor(self, batch_size: int, declared: int) -> float:
        """Return by how much the learning rate of the declared batch size is to be multiplied.

        Args:
            batch_size: The size to train at.
            declared: The size that the project's own learning rate was chosen for.
        """
        if self is ScalingRule.NONE:
            return 1.0
        ratio = batch_size / declared
        return ratio if self is ScalingRule.LINEAR else math.sqrt(ratio)

    def scaled(self, learning_rate: float | None, batch_size: int, declared: int) -> float | None:
        """Return the learning rate for a batch size; `None` where the project's own is not known."""
        return None if learning_rate is None else learning_rate * self.factor(batch_size, declared)


def rule_for(optimizer: str | None) -> ScalingRule:
    """Return the rule of a Keras optimizer's class name."""
    if optimizer in _PROPORTIONAL:
        return ScalingRule.LINEAR
    return ScalingRule.SQUARE_ROOT if optimizer in _ADAPTIVE else ScalingRule.NONE
