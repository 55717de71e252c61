"""Expectation maximization (Dempster, Laird and Rubin 1977) as one reduction per iteration.

    statistic = sum over rows of e_step(row; params)        params = m_step(params, statistic)

`model` is any object with

- ``prepare(params)``: what ``e_step`` needs of them, computed once per iteration,
- ``e_step(block, prepared)``: a statistic with ``merge``,
- ``value(params, statistic)``: the objective at `params`,
- ``m_step(params, statistic)``: better parameters.

Acceleration needs more of it:

- ``pack(params)``: an unconstrained vector, float64: log-ratio weights, means in units of the
  columns' deviations, logarithms of the diagonal of precision factors in these units and whatever
  has no unit for the rest; parameters of components without rows may be any constants,
- ``unpack(vector, like)``: parameters; those of components that are without rows in `like` are
  taken from there. ValueError where there are none,
- ``merit(params, statistic)``: what the M-step climbs, in the units of the value: the same, unless
  the M-step regularizes in a way that the value does not know of,
- ``gain(statistic, old, new)``: a lower bound of merit(new) - merit(old) without a pass,
  `statistic` being that of the E-step at `old`. With Jensen's inequality: the difference of the
  expected complete log likelihoods, regularizers included.

Parameters are values: no step changes them in place, so keeping the best is keeping a reference.
"""

from math import inf, isfinite

from skgen.solvers.acceleration import ACCELERATIONS, Place
from skgen.solvers.solution import Solution

# A fall of the objective below this share of its size counts as rounding (by bytes per number).
ROUNDING = {4: 1e-6, 8: 5e-11}
# Near a limit, with a slow step, value(F(x)) - value(x) is up to twice its lower bound.
LOOSENESS = 2.0


def em(model, params, rows, monitor, acceleration=None):
    """Iterate until `monitor` ends the run; return a `Solution`.

    An M-step that raises ValueError ends the run too, at the parameters it was to improve.

    The E-step that ends the run is followed by its M-step, so ``solution.value`` is the
    objective one step before ``solution.params``, as everywhere in EM.

    A step that lowers the objective by more than rounding is taken back and ends the run: exact
    EM cannot do that, so what the M-step adds (a covariance floor) has become as large as what
    EM still gains.

    `acceleration` names one of ``ACCELERATIONS``, whose leaps are iterations too. A leap is
    rejected, and its iteration repeats the objective in the history, where no M-step exists, where
    the merit is below what the next step of EM is known to reach or the objective below the last
    one. Convergence is judged over plain steps only.

    Where the merit is not the objective, EM may lower the objective after a leap while the merit
    rises. The history then repeats the best objective, whose parameters are the result unless
    the objective recovers; the run ends when the merit changes by less than tol.
    """
    scheme = None if acceleration is None else ACCELERATIONS[acceleration](model)
    previous, place, vector, best = params, None, None, None
    n_iter, failure = 0, None
    if monitor.max_iter == 0:
        statistic = rows.sum(model.e_step, model.prepare(params))
        monitor.latest = model.value(params, statistic)
    for n_iter in range(1, monitor.max_iter + 1):
        monitor.begin()
        plain = vector is None
        if plain:
            statistic = rows.sum(model.e_step, model.prepare(params))
            value = model.value(params, statistic)
            # A run that continues another may have other rows.
            low = n_iter > 1 and fell(value, monitor.latest, rows.dtype)
            if low:
                best = previous if best is None else best
                target = climb(model, params, statistic, place, scheme, monitor.tol)
                if target is None:
                    params, n_iter = best, n_iter - 1
                    monitor.take_back(params, "the covariance floor outweighs what EM still gains")
                    break
                previous, params = params, target
            else:
                try:
                    previous, params = params, model.m_step(params, statistic)
                except ValueError as error:
                    failure = error
            if scheme is not None and failure is None:
                place = place_of(model, previous, params, value, statistic)
        else:
            least = monitor.latest if best is None else -inf
            landed = land(model, vector, params, rows, place.merit + max(place.gain, 0.0), least)
            vector = None
            if landed is None:
                scheme.reject()
                if monitor.reject(params if best is None else best):
                    break
                continue
            scheme.accept()
            place, previous, params = landed, landed.params, landed.target
            value, low = place.value, place.value < monitor.latest
        if low:
            over = monitor.reject(best)
        else:
            best = None
            over = monitor.end(value, params, plain)
        if over or failure:
            break
        # The plain step that may end the run must be made.
        if scheme is not None and LOOSENESS * place.gain >= monitor.tol:
            vector = scheme.propose(place, plain)
    if best is not None:
        params = best
    return Solution(
        params,
        monitor.latest,
        n_iter,
        monitor.converged and failure is None,
        monitor.reason if failure is None else str(failure),
        monitor.history,
        failure,
    )


def climb(model, params, statistic, place, scheme, tol):
    """The next parameters where the objective went down but the merit changes, else None."""
    if scheme is None or scheme.leaps == 0:
        return None
    if abs(model.merit(params, statistic) - place.merit) < tol:
        return None
    try:
        return model.m_step(params, statistic)
    except ValueError:
        return None


def land(model, vector, like, rows, least_merit, least_value):
    """The `Place` of a packed vector, None for one that is not good enough."""
    try:
        params = model.unpack(vector, like)
        statistic = rows.sum(model.e_step, model.prepare(params))
        value = model.value(params, statistic)
        if not (value >= least_value and model.merit(params, statistic) >= least_merit):
            return None
        target = model.m_step(params, statistic)
    except ValueError:
        return None
    return place_of(model, params, target, value, statistic)


def place_of(model, params, target, value, statistic):
    return Place(
        params,
        target,
        value,
        model.merit(params, statistic),
        model.gain(statistic, params, target),
    )


def fell(value, before, dtype):
    """Whether the objective went down by more than rounding."""
    return isfinite(before) and value < before - ROUNDING[dtype.itemsize] * max(abs(before), 1e-3)
