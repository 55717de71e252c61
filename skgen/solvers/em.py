"""Expectation maximization (Dempster, Laird and Rubin 1977) as one reduction per iteration.

    statistic = sum over rows of e_step(row; params)        params = m_step(params, statistic)

`model` is any object with

- ``prepare(params)``: what ``e_step`` needs of them, computed once per iteration,
- ``e_step(block, prepared)``: a statistic with ``merge``,
- ``value(params, statistic)``: the objective at `params`,
- ``m_step(params, statistic)``: better parameters; a ValueError where there are none.

The best parameters are those that maximize the expected complete log likelihood

    Q(new) = sum_i w_i sum_z p(z | x_i, old) log p(x_i, z | new)  (+ log p(new))

and any of a Q that is not lower than Q(old) are better: generalized EM. `skgen.solvers.ascent`
finds such where no formula gives the best.

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
  expected complete log likelihoods, regularizers included, in the units of the value.

It extrapolates m_step as a map of packed vectors. What is not packed, such as the step size of
generalized EM, `unpack` takes from `like`; where it keeps changing, gains are not steady and there
are few leaps or none.

Parameters are values: no step changes them in place, so keeping the best is keeping a reference.
"""

from math import inf, isfinite, isnan

from skgen.solvers.acceleration import ACCELERATIONS, Place
from skgen.solvers.monitor import Monitor
from skgen.solvers.solution import Solution

# A fall of the objective below this share of its size counts as rounding, ...
ROUNDING = 5e-11
# ... below that one where the rows are float32.
SINGLE_ROUNDING = 1e-6
# Near a limit, with a slow step, value(F(x)) - value(x) is up to twice its lower bound.
LOOSENESS = 2.0
NAN_AT_START = "the objective is NaN at the start"
LOWERED = (
    "the M-step lowered the objective: what it adds, such as a covariance floor, outweighs what EM"
    " still gains"
)


def em(model, params, rows, monitor=None, acceleration=None):
    """Iterate until `monitor` ends the run.

    Parameters
    ----------
    model : object with prepare, e_step, value and m_step
        As the module says; for `acceleration` also pack, unpack, merit and gain.
    params : object
        Where to start; whatever the model understands.
    rows : Rows
    monitor : Monitor or None
        When to stop, and who watches; None for ``Monitor()``.
    acceleration : {"squarem", "anderson"} or None

    Returns
    -------
    Solution
        ``params``, ``value``, ``history`` (the objective of every iteration), ``n_iter``,
        ``converged``, ``reason`` and ``failure``.

    Raises
    ------
    ValueError
        If the objective is NaN at the start, or from the E-step, or there is no such acceleration.

    Notes
    -----
    An M-step that raises ValueError ends the run too, at the parameters it was to improve.

    The E-step that ends the run is followed by its M-step, so ``solution.value`` is the
    objective one step before ``solution.params``, as everywhere in EM.

    A step that lowers the objective by more than rounding is taken back and ends the run as
    converged: exact EM cannot do that, so what the M-step adds (a covariance floor) has become as
    large as what EM still gains. Of an M-step that is wrong ``reason`` is the only sign. A step to
    where the objective is NaN is taken back likewise, and the run has not converged.

    `acceleration` names one of ``ACCELERATIONS``, whose leaps are iterations too. A leap is
    rejected, and its iteration repeats the objective in the history, where no M-step exists, where
    the merit is below what the next step of EM is known to reach or the objective below the last
    one. Convergence is judged over plain steps only.

    Where the merit is not the objective, EM may lower the objective after a leap while the merit
    rises. The history then repeats the best objective, whose parameters are the result unless
    the objective recovers; the run ends when the merit changes by less than tol.
    """
    monitor = Monitor() if monitor is None else monitor
    if acceleration is not None and acceleration not in ACCELERATIONS:
        raise ValueError(
            f"acceleration={acceleration!r} must be one of {sorted(ACCELERATIONS)}, or None"
        )
    scheme = None if acceleration is None else ACCELERATIONS[acceleration](model)
    previous, place, vector, best = params, None, None, None
    n_iter, failure = 0, None
    if monitor.max_iter == 0:
        statistic = rows.sum(model.e_step, model.prepare(params))
        monitor.latest = model.value(params, statistic)
        if isnan(monitor.latest):
            raise ValueError(NAN_AT_START)
    for n_iter in range(1, monitor.max_iter + 1):
        monitor.begin()
        plain = vector is None
        if plain:
            statistic = rows.sum(model.e_step, model.prepare(params))
            value = model.value(params, statistic)
            if isnan(value):
                if n_iter == 1:
                    raise ValueError(NAN_AT_START)
                params, n_iter = previous if best is None else best, n_iter - 1
                monitor.take_back(params, "the M-step made the objective NaN", converged=False)
                best = None
                break
            # A run that continues another may have other rows.
            low = n_iter > 1 and fell(value, monitor.latest, rows.dtype)
            if low:
                best = previous if best is None else best
                target = climb(model, params, statistic, place, scheme, monitor.tol)
                if target is None:
                    params, n_iter = best, n_iter - 1
                    monitor.take_back(params, LOWERED)
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
    share = SINGLE_ROUNDING if dtype == "float32" else ROUNDING
    return isfinite(before) and value < before - share * max(abs(before), 1e-3)
