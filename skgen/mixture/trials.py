"""What a search of mixtures tries and how it judges: cells, their rows, criteria, ranks."""

from dataclasses import dataclass, field
from math import isnan, nan

import joblib
import numpy as np

from skgen.base import fit_context
from skgen.distributions.gaussian import STRUCTURES, log_weights
from skgen.distributions.missing import find_patterns, holds_nan, weigh_observed
from skgen.mixture.answers import weighted_sum
from skgen.mixture.gaussian_mixture import GaussianMixture
from skgen.mixture.model import EVALUATIONS
from skgen.rows import Rows


@dataclass(frozen=True)
class Cell:
    """One combination of the grid."""

    n_components: int
    covariance_type: str
    inference: str

    def n_parameters(self, d):
        """Free parameters of d columns."""
        k = self.n_components
        return STRUCTURES[self.covariance_type].n_parameters(k, d) + k * d + k - 1


@dataclass
class Trial:
    """What became of a mixture that was fitted."""

    mixture: object
    values: dict = field(default_factory=dict)
    seconds: float = 0.0
    said: list = field(default_factory=list)
    error: str = ""


@dataclass
class Outcome:
    """What became of a cell: of its one trial, or of one per fold."""

    values: dict
    seconds: float
    converged: bool
    n_iter: int
    n_parameters: int
    error: str
    trial: Trial


@dataclass(frozen=True)
class Seen:
    """Rows as the fits of a search see them.

    Attributes
    ----------
    rows : Rows
        With patterns of missing cells as target, where there are any.
    patterns : skgen.distributions.missing.Patterns or None
    trainings : dict
        `TrainingRows` by whether rows without any observed cell count.
    """

    rows: Rows
    patterns: object
    trainings: dict

    @classmethod
    def of(cls, mixtures, rows):
        """Look at the rows, once where all mixtures see the same."""
        counting = {mixture._counts_empty_rows: mixture for mixture in mixtures}
        trainings = {}
        for counts, mixture in sorted(counting.items(), reverse=True):
            first = next(iter(trainings.values()), None)
            if first is None or (first.patterns is not None and weigh_observed(rows) is not rows):
                first = mixture._training(rows)
                first.drawn = {}
            trainings[counts] = first
        if True not in trainings and trainings[False].patterns is not None:
            return cls(*find_patterns(rows), trainings)
        training = trainings.get(True, first)
        return cls(training.rows, training.patterns, trainings)

    def prepare(self, mixtures):
        """Compute what several fits need before threads ask for it."""
        for counts, training in self.trainings.items():
            training.seeds  # noqa: B018
            whole = any(
                mixture._counts_empty_rows == counts
                and (mixture.covariance_type == "tied" or not isinstance(mixture, GaussianMixture))
                for mixture in mixtures
            )
            if whole and training.patterns is None:
                training.scatter  # noqa: B018

    def with_threads(self, n_threads):
        """The same, summed over by another number of threads."""
        trainings = {c: t.with_threads(n_threads) for c, t in self.trainings.items()}
        return Seen(self.rows.with_threads(n_threads), self.patterns, trainings)


@dataclass(frozen=True)
class HeldOut:
    """The mean log density of rows that were held out."""

    rows: Rows
    patterns: object

    @classmethod
    def of(cls, rows):
        if holds_nan(rows.X):
            return cls(*find_patterns(rows))
        return cls(rows, None)

    def __call__(self, mixture, seen):
        weight = self.rows.weight_sum
        if not weight > 0.0:
            return {"held_out": nan}
        rows = self.rows.with_threads(seen.rows.n_threads)
        total = weighted_sum(rows, mixture._log_densities(rows, self.patterns))
        return {"held_out": total / weight}


def held_out_values(trials, share):
    """The columns of a cell from its trials, folds weighed by their `share` of the weight."""
    scores = [trial.values.get("held_out", nan) for trial in trials]
    known = [(score, part) for score, part in zip(scores, share, strict=True) if part > 0.0]
    seen = np.array([score for score, _ in known])
    unit = np.abs(seen).max()
    return {
        "held_out": sum(score * part for score, part in known),
        # Scores may be too large to square.
        "std_held_out": float(unit * np.std(seen / unit)) if unit > 0.0 else 0.0,
    } | {f"split{number}_held_out": score for number, score in enumerate(scores)}


def criteria(mixture, seen):
    """`bic`, `icl` and `aic` of the rows, from two passes over them."""
    structure, rows = STRUCTURES[mixture.covariance_type], seen.rows
    constants = log_weights(structure, mixture._point_estimate())
    prepared = mixture._prepared(structure, constants, rows.dtype, seen.patterns)
    loss = -2.0 * weighted_sum(rows, EVALUATIONS["log_norm"](rows, prepared))
    entropy = weighted_sum(rows, EVALUATIONS["entropy"](rows, prepared))
    n_parameters = mixture._n_parameters()
    bic = loss + n_parameters * float(np.log(rows.weight_sum))
    return {"bic": bic, "icl": bic + 2.0 * entropy, "aic": loss + n_parameters * 2.0}


def no_values(mixture, seen):
    return {}


@fit_context
def fit_ready(mixture, training):
    """Fit to rows that were looked at."""
    return mixture._fit_training(training, training.rows.X, None, training.rows.weight)


def effort(cell, d):
    """About what a pass over the rows costs for a cell, or for its mixture."""
    return cell.n_components * (d if cell.covariance_type in ("full", "tied") else 1)


def ranks(costs, n_parameters, tie):
    """1 for the lowest cost; what differs by a share of `tie` by parameters, NaN last."""
    order = sorted((i for i, cost in enumerate(costs) if not isnan(cost)), key=costs.__getitem__)
    result = np.full(len(costs), len(order) + 1)
    place = 0
    while place < len(order):
        lowest = costs[order[place]]
        limit = lowest + tie * max(1.0, abs(lowest))
        equals = [i for i in order[place:] if costs[i] <= limit]
        for i in equals:
            smaller = sum(n_parameters[j] < n_parameters[i] for j in equals)
            result[i] = 1 + place + smaller
        place += len(equals)
    return result


def part(rows, positions):
    """Some of the rows."""
    return Rows(
        np.ascontiguousarray(rows.X[positions]),
        None if rows.weight is None else rows.weight[positions],
        n_threads=rows.n_threads,
    )


def side_by_side(function, items, at_a_time):
    """Results of `function` for all items, that many of them at a time."""
    if at_a_time == 1:
        return [function(item) for item in items]
    return joblib.Parallel(at_a_time, prefer="threads")(
        joblib.delayed(function)(item) for item in items
    )
