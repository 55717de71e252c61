"""What an iterative solver returns."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Solution:
    """The end of one run: parameters, objective, and why it stopped."""

    params: object
    value: float
    n_iter: int
    converged: bool
    reason: str
    history: list = field(default_factory=list)
