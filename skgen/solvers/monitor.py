"""Decides when an iterative fit stops, and keeps its history.

A run stops when the objective changes by less than `tol`, when a callback asks for it, or after
`max_iter` iterations; `reason` says which.
"""

import math

# Within tol=1e-4 a relative gap of 1e-7 is asked for.
GAP_SHARE = 1e-3
# A mean loss (in nats) below which only absolute gaps count: without errors or noise it falls
# for ever.
SMALL_LOSS = 1e-6


class Monitor:
    """Watches one run, and only one: every run takes a monitor of its own.

    Parameters
    ----------
    max_iter : int
    tol : float
        The run has converged when the objective changes by less.
    run : object with begin() and end(attributes), or None if nobody watches
        As `skgen.base.FitTask.restart` yields. `attributes` is a function without arguments; the
        run ends early if end() returns true.
    attributes : callable of params
        The fitted attributes that callbacks see, none by default.
    report : callable of (iteration, value, change), or None
    start : float
        The objective before the first iteration, where an earlier fit is continued.
    """

    def __init__(
        self,
        max_iter=100,
        tol=1e-3,
        run=None,
        attributes=lambda params: {},
        report=None,
        start=-math.inf,
    ):
        self.max_iter, self.tol = max_iter, tol
        self.run, self.attributes, self.report = run, attributes, report
        self.latest = start
        self.history = []
        self.converged = False
        self.reason = f"max_iter={max_iter} reached"

    def begin(self):
        """Call before each iteration."""
        if self.run is not None:
            self.run.begin()

    def end(self, value, params, plain=True):
        """Record the iteration's objective; whether the run is over.

        Only the change over a `plain` step tells that the run has converged.
        """
        change = value - self.latest
        self.latest = value
        self.history.append(value)
        if self.report is not None:
            self.report(len(self.history), value, change)
        stop = self._show(params)
        if plain and abs(change) < self.tol:
            self.converged = True
            self.reason = f"objective changed by less than tol={self.tol:g}"
        elif stop:
            self.reason = "stopped by a callback"
        return self.converged or stop

    def reject(self, params):
        """Record an iteration that led nowhere, `params` still the best; whether to stop."""
        return self.end(self.latest, params, plain=False)

    def take_back(self, params, reason, converged=True):
        """End the run before the iteration that has begun; `params` stay the result."""
        self._show(params)
        self.converged, self.reason = converged, reason

    def _show(self, params):
        """End the iteration for whoever watches; whether they ask to stop."""
        return self.run is not None and bool(self.run.end(lambda: self.attributes(params)))


class DescentMonitor:
    """Watches one minimization by descent; the objective never rises.

    A run has converged when the largest entry of the gradient is at most `tol` and the objective
    is estimated to lie within ``GAP_SHARE * tol`` of its own size above the optimum: the gradient
    alone says nothing when columns have unequal scales.

    Parameters
    ----------
    max_iter : int
    tol : float
    run : object with begin() and end(attributes), as `skgen.base.FitTask.restart` yields
    attributes : callable of params
        The fitted attributes that callbacks see.
    report : callable of (iteration, value, gradient norm), or None

    Attributes
    ----------
    gap_share : float
        The largest gap, as a share of tol and the objective.
    halt : callable of (value, params), or None
        Returns a reason to stop that only the model knows, or None.
    """

    def __init__(self, max_iter, tol, run, attributes, report=None):
        self.max_iter, self.tol = max_iter, tol
        self.run, self.attributes, self.report = run, attributes, report
        self.history, self.gradient_norms = [], []
        self.gap, self.gap_share = math.inf, GAP_SHARE
        self.converged = False
        self.ended = max_iter == 0
        self.halt = None
        self.reason = f"max_iter={max_iter} reached"

    def begin(self):
        """Call before each iteration."""
        self.run.begin()

    def goal(self, value):
        """The gap at which a run at `value` has converged."""
        return self.gap_share * self.tol * max(abs(value), SMALL_LOSS)

    def reached(self, value, gradient_norm, gap):
        """Whether values like these end the run; records nothing."""
        return gradient_norm <= self.tol and gap <= self.goal(value)

    def end(self, value, params, gradient_norm, gap):
        """Record what the iteration reached; whether the run is over."""
        self.history.append(value)
        self.gradient_norms.append(gradient_norm)
        self.gap = gap
        if self.report is not None:
            self.report(len(self.history), value, gradient_norm)
        stop = self.run.end(lambda: self.attributes(params))
        if self.reached(value, gradient_norm, gap):
            self.converged = True
            self.reason = (
                f"gradient norm {gradient_norm:.2g} and gap {gap:.2g} within tol={self.tol:g}"
            )
        elif stop:
            self.reason = "stopped by a callback"
        elif self.halt is not None and (halted := self.halt(value, params)) is not None:
            self.reason, stop = halted, True
        self.ended = self.converged or stop or len(self.history) >= self.max_iter
        return self.converged or stop

    def settle(self, reason, converged):
        """End the run for a reason of the solver's own."""
        self.reason, self.converged, self.ended = reason, converged, True
