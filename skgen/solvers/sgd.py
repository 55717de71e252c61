"""Minibatch gradient training: one loop, any update rule, any schedule, any problem.

    for every epoch, for every batch B of its shuffled rows:
        g = gradient of the mean loss over B (plus penalty) at w;  g *= min(1, clip_norm / |g|)
        w, memory = rule(w, g, memory, rate of this update)

`problem` is any object with

- ``n_rows``,
- ``value_and_gradient(w, index)``: the objective estimated from the rows `index`, and the
  gradient (p,) of its smooth part, which the loop may overwrite; its mean over batches that
  share the rows out evenly is the gradient of the whole,
- ``proximal(w, step)`` or None: what the part with kinks (or a constraint) makes of w after a
  step, in place, scaled by what the rule returned,
- ``advance`` or None: `advance` below, compiled.

`Training` holds all that a later epoch depends on, so that training is continued to the same bits
by whoever kept it. Robbins and Monro (1951); Bottou, Curtis and Nocedal (2018).
"""

import math
from dataclasses import dataclass, field

import numpy as np

from skgen.solvers.solution import Solution

# A mean loss so many times the one training began with is not coming back.
EXPLODED = 1e6


@dataclass
class Training:
    """Where minibatch training stands.

    `best` is the least loss or largest score (as its negative) so far, `n_stale` the epochs since
    it improved by tol, `kept` the state at the best score.
    """

    w: np.ndarray
    memory: np.ndarray
    n_updates: int = 0
    n_epochs: int = 0
    rate_factor: float = 1.0
    start: float | None = None
    best: float = math.inf
    n_stale: int = 0
    kept: tuple | None = field(default=None, repr=False)

    @classmethod
    def begin(cls, w, rule):
        """At parameters `w`, with an empty memory."""
        return cls(w.copy(), rule.begin(len(w)).astype(w.dtype, copy=False))

    def copy(self):
        """The same place, in arrays of its own."""
        other = Training(**vars(self))
        other.w, other.memory = self.w.copy(), self.memory.copy()
        return other

    def keep(self):
        """Remember this place as the best."""
        counts = self.n_updates, self.n_epochs, self.rate_factor
        self.kept = self.w.copy(), self.memory.copy(), *counts

    def restore(self):
        """Go back to the best place; what follows is judged anew."""
        if self.kept is not None:
            self.w, self.memory, self.n_updates, self.n_epochs, self.rate_factor = self.kept
            self.kept, self.best, self.n_stale = None, math.inf, 0


class Diverged(ValueError):
    """Training ran away."""


class EpochMonitor:
    """Decides when training stops, and keeps its history.

    Parameters
    ----------
    max_iter : int
        Epochs.
    tol : float
        A loss (or score) that is not better by this much than the best is no improvement.
    n_iter_no_change : int
        Training has come to rest after so many epochs in a row without improvement.
    run : object with begin() and end(attributes), as `skgen.base.FitTask.restart` yields
    attributes : callable of w
        The fitted attributes that callbacks see.
    report : callable of (epoch, value, score), or None
    stops : bool
        Whether training ends where it has come to rest; else an adaptive rate falls there and that
        is all.
    """

    def __init__(self, max_iter, tol, n_iter_no_change, run, attributes, report=None, stops=True):
        self.max_iter, self.tol, self.patience = max_iter, tol, n_iter_no_change
        self.run, self.attributes, self.report = run, attributes, report
        self.stops = stops
        self.history, self.scores = [], []
        self.converged = False
        self.reason = f"max_iter={max_iter} epochs reached"

    def begin(self):
        """Call before each epoch."""
        self.run.begin()

    def end(self, value, training, schedule, score=None):
        """Record an epoch; whether the run is over."""
        self.history.append(value)
        if score is not None:
            self.scores.append(score)
        if self.report is not None:
            self.report(len(self.history), value, score)
        self._compare(value if score is None else -score, training, score is not None)
        stop = self.run.end(lambda: self.attributes(training.w))
        if training.n_stale >= self.patience:
            lowered = schedule.adaptive and self._lower(training, schedule)
            if lowered or not self.stops:
                return self._stop_requested(stop)
            what = "training loss" if score is None else "validation score"
            self.converged = True
            self.reason = (
                f"{what} did not improve by tol={self.tol:g} for {training.n_stale} epochs"
            )
            return True
        return self._stop_requested(stop)

    def _compare(self, loss, training, keep):
        training.n_stale = training.n_stale + 1 if loss > training.best - self.tol else 0
        if loss < training.best:
            training.best = loss
            if keep:
                training.keep()

    def _lower(self, training, schedule):
        """Lower an adaptive rate, unless it was small enough; whether it was lowered."""
        if schedule.learning_rate_init * training.rate_factor <= schedule.smallest:
            return False
        training.rate_factor *= schedule.factor
        training.n_stale = 0
        return True

    def _stop_requested(self, stop):
        if stop:
            self.reason = "stopped by a callback"
        return stop


def sgd(
    problem,
    training,
    monitor,
    rule,
    schedule,
    batch_size,
    random_state=None,
    clip_norm=None,
    validate=None,
):
    """Train from `training`, which is changed, until `monitor` ends the run.

    Parameters
    ----------
    problem : see the module
    training : Training
    monitor : EpochMonitor
    rule : a rule of `skgen.solvers.update_rules`
    schedule : a schedule of `skgen.solvers.schedules`
    batch_size : int
        The last batch of an epoch may be smaller; an epoch has ceil(n_rows / batch_size) updates.
    random_state : RandomState, or None to take the rows in their order
    clip_norm : float or None
        Longer gradients are shortened to this Euclidean norm.
    validate : callable of w that returns a score, or None
        Given, the state at the best score is restored at the end.

    Returns
    -------
    Solution
        ``value`` is the mean over the last epoch's batches, each at the parameters it met.

    Raises
    ------
    Diverged
        If the loss explodes or is not finite, naming learning_rate_init.
    """
    n, value = problem.n_rows, math.nan
    if training.start is None:
        first = np.arange(min(n, batch_size))
        with np.errstate(over="ignore", invalid="ignore"):
            training.start, _ = problem.value_and_gradient(training.w, first)
    take_epoch = problem.advance or (lambda *state: advance(problem, *state))
    for _ in range(monitor.max_iter):
        monitor.begin()
        order = np.arange(n) if random_state is None or n <= batch_size else None
        order = random_state.permutation(n) if order is None else order
        rates = schedule.rates(training.n_epochs, training.n_updates, -(-n // batch_size))
        rates = rates * training.rate_factor
        with np.errstate(over="ignore", invalid="ignore"):
            value = take_epoch(training, rule, rates, order, batch_size, clip_norm)
        training.n_epochs += 1
        require_stable(value, training, schedule, len(monitor.history) + 1)
        score = None if validate is None else validate(training.w)
        if monitor.end(value, training, schedule, score):
            break
    training.restore()
    return Solution(
        training.w,
        value,
        len(monitor.history),
        monitor.converged,
        monitor.reason,
        monitor.history,
    )


def advance(problem, training, rule, rates, order, batch_size, clip_norm):
    """Take one epoch's updates; return the objective averaged over its batches."""
    total = 0.0
    for number, rate in enumerate(rates):
        index = order[number * batch_size : (number + 1) * batch_size]
        value, gradient = problem.value_and_gradient(training.w, index)
        if clip_norm is not None:
            clip(gradient, clip_norm)
        training.n_updates += 1
        step = rule.step(training.w, gradient, training.memory, rate, training.n_updates)
        if problem.proximal is not None:
            problem.proximal(training.w, step)
        total += value * len(index)
    return total / len(order)


def clip(gradient, norm):
    """Shorten `gradient` to Euclidean `norm`, in place (Pascanu, Mikolov and Bengio 2013)."""
    length = math.sqrt(float(gradient @ gradient))
    if length > norm:
        gradient *= norm / length


def require_stable(value, training, schedule, epoch):
    """Raise where the loss or the parameters have run away."""
    limit = EXPLODED * max(abs(training.start), 1.0)
    if math.isfinite(value) and value <= limit and np.isfinite(training.w).all():
        return
    raise Diverged(
        f"training diverged in epoch {epoch}: the loss went from {training.start:g} to {value:g};"
        f" lower learning_rate_init (now {schedule.learning_rate_init:g}), scale the columns of X"
        " to about one, or set clip_norm"
    )
