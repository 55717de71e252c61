"""What an iterative solver returns."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Solution:
    """The end of one run: parameters, objective, and why it stopped.

    `failure` is the error that the step from `params` ended in, None for a run that ended well.
    """

    params: object
    value: float
    n_iter: int
    converged: bool
    reason: str
    history: list = field(default_factory=list)
    failure: Exception | None = None
