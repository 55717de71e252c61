"""Penalties with a strength per coordinate.

    penalty(w) = sum_j  l2_j w_j^2 / 2 + l1_j |w_j|

Intercepts have strength zero, so no solver knows of intercepts. Zou and Hastie (2005).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ElasticNet:
    """Squared and absolute strengths `l2` and `l1`, arrays of shape (p,)."""

    l2: np.ndarray
    l1: np.ndarray

    @property
    def smooth(self):
        """Whether the penalty has a gradient everywhere."""
        return not self.l1.any()

    @property
    def absent(self):
        """Whether nothing is penalized."""
        return self.smooth and not self.l2.any()

    def squared(self, w):
        """The differentiable part and its gradient."""
        gradient = self.l2 * w
        return 0.5 * float(gradient @ w), gradient

    def absolute(self, w):
        """The part with kinks."""
        return float(self.l1 @ np.abs(w))
