"""Decides when an iterative fit stops, and keeps its history.

A run stops when the objective changes by less than `tol`, when a callback asks for it, or after
`max_iter` iterations; `reason` says which.
"""

import math


class Monitor:
    """Watches one run.

    Parameters
    ----------
    max_iter : int
    tol : float
        The run has converged when the objective changes by less.
    run : object with begin() and end(attributes), as `skgen.base.FitTask.restart` yields
    attributes : callable of params
        The fitted attributes that callbacks see.
    report : callable of (iteration, value, change), or None
    start : float
        The objective before the first iteration, where an earlier fit is continued.
    """

    def __init__(self, max_iter, tol, run, attributes, report=None, start=-math.inf):
        self.max_iter, self.tol = max_iter, tol
        self.run, self.attributes, self.report = run, attributes, report
        self.latest = start
        self.history = []
        self.converged = False
        self.reason = f"max_iter={max_iter} reached"

    def begin(self):
        """Call before each iteration."""
        self.run.begin()

    def end(self, value, params):
        """Record the iteration's objective; whether the run is over."""
        change = value - self.latest
        self.latest = value
        self.history.append(value)
        if self.report is not None:
            self.report(len(self.history), value, change)
        stop = self.run.end(lambda: self.attributes(params))
        if abs(change) < self.tol:
            self.converged = True
            self.reason = f"objective changed by less than tol={self.tol:g}"
        elif stop:
            self.reason = "stopped by a callback"
        return self.converged or stop

    def take_back(self, params, reason):
        """End the run before the iteration that has begun; `params` stay the result."""
        self.run.end(lambda: self.attributes(params))
        self.converged, self.reason = True, reason
