"""Expectation maximization (Dempster, Laird and Rubin 1977) as one reduction per iteration.

    statistic = sum over rows of e_step(row; params)        params = m_step(params, statistic)

`model` is any object with

- ``prepare(params)``: what ``e_step`` needs of them, computed once per iteration,
- ``e_step(block, prepared)``: a statistic with ``merge``,
- ``value(params, statistic)``: the objective at `params`,
- ``m_step(params, statistic)``: better parameters.

Parameters are values: no step changes them in place, so keeping the best is keeping a reference.
"""

from math import isfinite

from skgen.solvers.solution import Solution

# A fall of the objective below this share of its size counts as rounding (by bytes per number).
ROUNDING = {4: 1e-6, 8: 5e-11}


def em(model, params, rows, monitor, acceleration=None):
    """Iterate until `monitor` ends the run; return a `Solution`.

    An M-step that raises ValueError ends the run too, at the parameters it was to improve.

    The E-step that ends the run is followed by its M-step, so ``solution.value`` is the
    objective one step before ``solution.params``, as everywhere in EM.

    A step that lowers the objective by more than rounding is taken back and ends the run: exact
    EM cannot do that, so what the M-step adds (a covariance floor) has become as large as what
    EM still gains.
    """
    previous = params
    n_iter, failure = 0, None
    if monitor.max_iter == 0:
        statistic = rows.sum(model.e_step, model.prepare(params))
        monitor.latest = model.value(params, statistic)
    for n_iter in range(1, monitor.max_iter + 1):
        monitor.begin()
        statistic = rows.sum(model.e_step, model.prepare(params))
        value = model.value(params, statistic)
        # A run that continues another may have other rows.
        if n_iter > 1 and fell(value, monitor.latest, rows.dtype):
            params, n_iter = previous, n_iter - 1
            monitor.take_back(params, "the covariance floor outweighs what EM still gains")
            break
        try:
            previous, params = params, model.m_step(params, statistic)
        except ValueError as error:
            failure = error
        if monitor.end(value, params) or failure:
            break
    return Solution(
        params,
        monitor.latest,
        n_iter,
        monitor.converged and failure is None,
        monitor.reason if failure is None else str(failure),
        monitor.history,
        failure,
    )


def fell(value, before, dtype):
    """Whether the objective went down by more than rounding."""
    return isfinite(before) and value < before - ROUNDING[dtype.itemsize] * max(abs(before), 1e-3)
