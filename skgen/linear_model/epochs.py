"""Epochs of the perceptron until it has learned its rows, cannot, or stops getting better.

Novikoff (1962): where unit weights u leave every row a margin of g and no row is longer than R,
there are at most (R / g)^2 mistakes, because every mistake adds at least g to <w, u> and at most
R^2 to |w|^2. So one pass without a mistake ends the run; and weights that come back with mistakes
in between prove that no such u exists, as <w, u> would have grown.
"""

from dataclasses import dataclass, field

import numpy as np

from skgen.linear_model.learners import Judge, Pocket
from skgen.linear_model.visits import walk

CLEAN = "a pass over all rows without a mistake"


@dataclass
class Story:
    """How a run went: per epoch the mistakes of every unit and the objective; why units stopped."""

    mistakes: list = field(default_factory=list)
    objective: list = field(default_factory=list)
    reasons: dict = field(default_factory=dict)
    clean: np.ndarray = None
    repeats: dict = field(default_factory=dict)
    callback: bool = False

    @property
    def n_iter(self):
        return len(self.mistakes)

    @property
    def reason(self):
        """One sentence; where units ended differently, how many for which reason."""
        found = {}
        for reason in self.reasons.values():
            found[reason] = found.get(reason, 0) + 1
        if len(found) == 1:
            return next(iter(found))
        total = len(self.reasons)
        return "; ".join(f"{count} of {total} classes: {why}" for why, count in found.items())


@dataclass(frozen=True)
class Limits:
    """When to stop: after `max_iter` epochs, `patience` epochs that gain less than `tol`."""

    max_iter: int
    tol: float | None
    patience: int


@dataclass(frozen=True)
class Training:
    """What is learned from: all rows, the course over them, its rule, rows held out or None.

    `generator` (1,) uint64 shuffles before every epoch; None keeps the order.
    """

    rows: object
    course: object
    rule: object
    limits: Limits
    generator: np.ndarray | None = None
    validation: Judge | None = None
    pocket: bool = False


class Run:
    """One fit: `learners` through the epochs of `training`."""

    def __init__(self, training, learners):
        self.training, self.learners = training, learners
        self.story = Story(clean=np.zeros(learners.units.size, dtype=bool))
        self.latest = np.full(learners.units.size, np.nan)
        self.best = np.full(learners.units.size, np.inf)
        self.idle = np.zeros(learners.units.size, dtype=int)
        self.seen = {}
        self.share_sum = training.course.share_sum

    def start_pocket(self):
        """Judge the weights that the run starts from."""
        learners = self.learners
        coef, intercept = learners.working()
        learners.pocket = Pocket(coef, intercept, np.full(learners.units.size, np.inf))
        for unit in learners.units:
            self.consider(unit)

    def consider(self, unit):
        self.learners.pocket.consider(self.learners, unit, self.count)

    def count(self, unit, coef, intercept, limit):
        """Weighted errors on the rows that judge: held out, or all of the course."""
        judge = self.training.validation
        if judge is None:
            rows = self.training.rows
            judge = Judge(rows, rows.weight, self.training.rule)
        return judge(unit, coef, intercept, limit)

    def train(self, watch):
        """Epochs until all units have stopped; returns the `Story`."""
        story, limits = self.story, self.training.limits
        if self.training.pocket:
            self.start_pocket()
        active = self.learners.units
        self.remember(active, 0)
        for epoch in range(1, limits.max_iter + 1):
            watch.begin()
            counts = self.epoch(epoch, active)
            story.mistakes.append(counts)
            story.objective.append(float(self.latest.sum()))
            asked = watch.end(self.learners, story)
            active = self.still_active(epoch, active, counts)
            if asked:
                story.callback = True
                story.reasons |= {int(unit): "stopped by a callback" for unit in active}
                break
            if not active.size:
                break
        for unit in active:
            story.reasons.setdefault(int(unit), self.at_the_end(int(unit)))
        return story

    def epoch(self, epoch, active):
        """One pass; the mistakes of every unit, -1 where it has stopped before."""
        training, learners = self.training, self.learners
        if training.generator is not None and epoch > 1:
            training.course.shuffle(training.generator, epoch - 1)
        learners.begin_epoch()
        pocket = training.pocket and training.validation is None
        walk(training.course, training.rule, learners, active, self.consider if pocket else None)
        if not learners.finite():
            raise ValueError(
                f"Floating-point under-/overflow occurred at epoch #{epoch}: weights or decision"
                " values leave the range of float64. Divide the columns of X by their largest"
                " absolute value (StandardScaler or MinMaxScaler), or sample_weight, class_weight"
                " or eta0 by a constant."
            )
        if training.pocket:
            for unit in active:
                self.consider(unit)
        mistakes = learners.read("mistakes").astype(np.int64)
        counts = np.full(learners.units.size, -1)
        counts[active] = mistakes[active]
        total = learners.read("loss") + learners.read("penalty")
        self.latest[active] = total[active] / self.share_sum
        self.story.clean[active] = mistakes[active] == 0
        return counts

    def still_active(self, epoch, active, counts):
        """The units that go on; the reasons of the others are written down."""
        limits, reasons = self.training.limits, self.story.reasons
        free = self.training.rule.penalty == 0
        left = []
        repeated = self.remember(active, epoch) if free else {}
        for unit in active.tolist():
            if free and counts[unit] == 0:
                reasons[unit] = CLEAN
            elif unit in repeated:
                reasons[unit] = repetition(repeated[unit], epoch)
            elif limits.tol is not None and self.no_better(unit):
                reasons[unit] = self.patience_over()
            else:
                left.append(unit)
        return np.array(left, dtype=np.int32)

    def no_better(self, unit):
        """Whether what is watched has gained less than tol for `patience` epochs."""
        limits, judge = self.training.limits, self.training.validation
        value = self.latest[unit]
        if judge is not None:
            value = -judge.accuracy(unit, *self.learners.working(unit))
        self.idle[unit] = self.idle[unit] + 1 if value > self.best[unit] - limits.tol else 0
        self.best[unit] = min(self.best[unit], value)
        return self.idle[unit] >= limits.patience

    def patience_over(self):
        limits = self.training.limits
        what = "training objective" if self.training.validation is None else "validation score"
        return f"{what} better by less than tol={limits.tol:g} for {limits.patience} epochs"

    def remember(self, active, epoch):
        """Units whose weights are those of an earlier epoch's end, and that epoch.

        Where the rows are shuffled and the weights that are kept may still get better (averages,
        a pocket), a repetition is only noted.
        """
        repeated = {}
        for unit in active.tolist():
            earlier = self.seen.setdefault((unit, self.learners.digest(unit)), epoch)
            if earlier < epoch and self.learners.read("mistakes")[unit] > 0:
                self.story.repeats.setdefault(unit, (earlier, epoch))
                repeated[unit] = earlier
        gains = self.training.pocket or self.learners.sums.size
        return {} if gains and self.training.generator is not None else repeated

    def at_the_end(self, unit):
        reason = f"max_iter={self.training.limits.max_iter} reached"
        if unit in self.story.repeats:
            reason += f"; {repetition(*self.story.repeats[unit])}"
        return reason


def repetition(earlier, epoch):
    """What weights that come back prove."""
    return (
        f"weights after epoch {epoch} are those after epoch {earlier}, so no weights separate the"
        " classes"
    )
