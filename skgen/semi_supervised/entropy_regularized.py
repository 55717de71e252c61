"""Entropy regularization: rows without a label want an answer that is sure, whichever it is.

    J = sum_labeled cross-entropy + entropy_weight * sum_unlabeled entropy + penalty

The objective is that of a logistic or softmax regression or a network, with one more term. It has
many minima; the way is from the optimum of the labeled rows, the weight of the entropy rising in
stages (deterministic annealing). Grandvalet and Bengio (2005).
"""

from copy import copy
from numbers import Integral, Real

import numpy as np

from skgen.base import (
    HasMethods,
    Interval,
    announce,
    collected_warnings,
    fit_context,
    frames_inside,
    one_blas_thread,
    warn_convergence,
)
from skgen.linear_model import LogisticRegression, SoftmaxRegression
from skgen.linear_model.fitting import LinearFit
from skgen.networks.losses import Binary, Categorical
from skgen.neural_network import MLPClassifier
from skgen.neural_network.mlp_classifier import Labels
from skgen.neural_network.training import outputs
from skgen.rows import Rows
from skgen.semi_supervised.around import (
    OneMoreTerm,
    Watched,
    fit_labeled,
    linear_problem,
    weighted_classes,
)
from skgen.semi_supervised.classes import wanted_shares
from skgen.semi_supervised.entropy import BalancedEntropy, PartlyLabeledObjective, entropies
from skgen.semi_supervised.fallback import with_fallback
from skgen.solvers.lbfgs import lbfgs
from skgen.statistics import column_moments

# Fitted attributes of a network whose names do not say so.
FITTED_PRIVATE = ("_architecture", "_loss_form", "_kind", "_kept")
# Rows that the terms of a network's objective are taken from.
SAMPLED_ROWS = 2000


class EntropyRegularizedClassifier(OneMoreTerm):
    """Logistic or softmax regression, or a network, that is also sure of rows without a label.

    Minimizes ``sum_l s_l CE_l + entropy_weight * sum_u s_u H_u`` (both sums, not means; ``s`` are
    sample weights) with the penalty and C of `estimator`, where CE is the negative log-likelihood
    of a label and H the entropy of the predicted classes of a row without one.

    Parameters
    ----------
    estimator : LogisticRegression, SoftmaxRegression or MLPClassifier, default=None
        Says what is fitted; None means ``LogisticRegression()``. Penalties must be smooth:
        ``l1_ratio=0``.
    entropy_weight : float, default=1.0
        What a nat of entropy of a row costs, in nats of log-likelihood. 0 is the fit of the labeled
        rows, and so are the first steps; towards infinity it is self-training with hard labels.
    n_stages : int, default=5
        Weights ``entropy_weight * s / n_stages`` are used one after the other, s = 1, 2, ...; 1
        goes to the full weight at once.
    balance_weight : float, default=0.0
        Cost, times the weight of the rows without a label, of the Kullback-Leibler divergence of
        their mean probabilities from `class_shares`: keeps all of them from ending in one class.
        A network estimates it from each batch.
    class_shares : array-like of shape (n_classes,), default=None
        Shares of the sorted classes to keep near; None means those of the labeled rows.
    verbose : bool, default=False
    fallback : bool, default=False
        Judge the fit on labels held out first (stratified folds), and leave rows without a label
        out where they lower the score; costs ten fits more.

    Attributes
    ----------
    estimator_ : classifier
        Fitted; its parameters are those of the minimum.
    supervised_estimator_ : classifier
        Fitted to the labeled rows alone: where the way began.
    classes_ : ndarray of shape (n_classes,)
    transduction_ : ndarray of shape (n,)
        The label of every row, predicted where y has none.
    objective_history_ : list of float
        The objective per unit of weight after every iteration of all stages: an epoch of a network,
        with ``solver="lbfgs"`` a whole stage of it.
    supervised_losses_, entropies_ : list of float
        Mean cross-entropy of the labeled rows and mean entropy of the others at the same times; of
        a network on up to 2000 rows of either kind.
    stages_ : list of dict
        entropy_weight, n_iter, converged and reason of every stage.
    n_iter_ : int
        Iterations of all stages.
    converged_ : bool
    stop_reason_ : str
    fell_back_, unlabeled_gain_ : bool, float
        With `fallback`: whether the rows without a label were left out, and the mean gain in score
        by them.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be.

    References
    ----------
    Grandvalet and Bengio, Semi-supervised learning by entropy minimization, NIPS 2005. Krause,
    Perona and Gomes, Discriminative clustering by regularized information maximization, NIPS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.semi_supervised import EntropyRegularizedClassifier
    >>> X = np.array([[-2.0], [-1.5], [-1.2], [1.0], [1.2], [1.6], [2.0]])
    >>> y = np.array([0, -1, -1, -1, -1, -1, 1])
    >>> model = EntropyRegularizedClassifier(entropy_weight=0.3).fit(X, y)
    >>> model.transduction_.tolist()
    [0, 0, 0, 1, 1, 1, 1]
    >>> model.entropies_[-1] < model.entropies_[0]
    True
    """

    _inner = (LogisticRegression, SoftmaxRegression, MLPClassifier)
    _parameter_constraints = {
        "fallback": ["boolean"],
        "estimator": [HasMethods(["fit"]), None],
        "entropy_weight": [Interval(Real, 0.0, None, closed="left")],
        "n_stages": [Interval(Integral, 1, None, closed="left")],
        "balance_weight": [Interval(Real, 0.0, None, closed="left")],
        "class_shares": ["array-like", None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        entropy_weight=1.0,
        n_stages=5,
        balance_weight=0.0,
        class_shares=None,
        verbose=False,
        fallback=False,
    ):
        self.estimator = estimator
        self.entropy_weight = entropy_weight
        self.n_stages = n_stages
        self.balance_weight = balance_weight
        self.class_shares = class_shares
        self.verbose = verbose
        self.fallback = fallback

    @fit_context
    @with_fallback
    def fit(self, X, y, sample_weight=None):
        """Fit the labeled rows, then all rows in stages.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN,
            pandas.NA or -1 among objects and strings. Integers that are all -1 or 1 are two
            classes.
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice.

        Returns
        -------
        self : object
        """
        base, rows, classes, codes = self._admit(X, y, sample_weight)
        wanted = wanted_shares(self.class_shares, classes, codes, rows.weight)
        supervised = fit_labeled(base, rows, classes, codes)
        story, estimator, counts = Story(), supervised, codes < 0
        if rows.weight is not None:
            counts &= rows.weight > 0.0
        if self.entropy_weight + self.balance_weight > 0.0 and counts.any():
            kind = NetworkStages if isinstance(base, MLPClassifier) else LinearStages
            stages = kind(base, supervised, rows, classes, codes, self.balance_weight, wanted)
            with one_blas_thread(rows):
                self._run(stages, story)
            estimator = stages.finished()
        self._keep(estimator, supervised, rows, classes, codes)
        self._record(story)
        return self

    def _run(self, stages, story):
        for number in range(1, self.n_stages + 1):
            weight = self.entropy_weight * number / self.n_stages
            outcome = stages.descend(weight, number == self.n_stages, story)
            story.stages.append({"entropy_weight": weight} | outcome)
            if self.verbose:
                announce(
                    "Stage %d of %d, entropy weight %g: cross-entropy %.6g, entropy %.6g",
                    number,
                    self.n_stages,
                    weight,
                    story.supervised[-1],
                    story.entropies[-1],
                )
        last = story.stages[-1]
        if not last["converged"]:
            warn_convergence(
                f"{type(stages.base).__name__} with entropy_weight={self.entropy_weight:g} did not"
                f" converge in its last stage: {last['reason']}. Increase estimator.max_iter (now"
                f" {stages.base.max_iter}) or estimator.tol, or lower entropy_weight",
                stacklevel=frames_inside() + 1,
            )

    def _record(self, story):
        self.objective_history_ = story.objective
        self.supervised_losses_, self.entropies_ = story.supervised, story.entropies
        self.stages_ = story.stages
        last = {"converged": True, "reason": "there is nothing but the fit of the labeled rows"}
        last = story.stages[-1] if story.stages else last
        self.n_iter_ = max(len(story.objective), 1)
        self.converged_, self.stop_reason_ = last["converged"], last["reason"]


class Story:
    """What happened, iteration by iteration."""

    def __init__(self):
        self.objective, self.supervised, self.entropies, self.stages = [], [], [], []


class LinearStages:
    """Stages of a logistic or softmax regression: L-BFGS over all rows."""

    def __init__(self, base, supervised, rows, classes, codes, balance_weight, wanted):
        self.base, self.supervised, self.classes = base, supervised, classes
        self.balance_weight, self.wanted = balance_weight, wanted
        weight = weighted_classes(base, rows, classes, codes)
        rows = Rows(rows.X, weight, codes, n_threads=rows.n_threads)
        self.T, self.dtype = getattr(base, "temperature", 1.0), supervised.coef_.dtype
        self.fit = LinearFit(
            linear_problem(base, len(classes), rows.weight_sum), rows, column_moments(rows)
        )
        self.w = self.fit.start(supervised.coef_ / self.T, supervised.intercept_ / self.T)
        self.rows = self.fit.rows
        known = np.flatnonzero(codes >= 0)
        own = None if self.rows.weight is None else self.rows.weight[known]
        self.labeled = Rows(self.rows.take(known), own, codes[known], n_threads=rows.n_threads)

    def descend(self, entropy_weight, last, story):
        """Minimize from the last parameters; earlier stages need not be exact."""
        objective = PartlyLabeledObjective(
            self.fit.objective, entropy_weight, self.balance_weight, self.wanted
        )
        tol = self.base.tol if last else 10.0 * self.base.tol
        monitor = Watched(
            self.base.max_iter, tol, lambda value, w: self.tell(objective, value, w, story)
        )
        solution = lbfgs(objective, self.w, self.rows, monitor)
        self.w = solution.params
        if not solution.n_iter:
            self.tell(objective, solution.value, self.w, story)
        return {
            "n_iter": solution.n_iter,
            "converged": bool(solution.converged),
            "reason": solution.reason,
        }

    def tell(self, objective, value, w, story):
        loss = self.fit.objective.mean_loss(w, self.labeled)
        story.objective.append(value)
        story.supervised.append(loss)
        story.entropies.append(objective.mean_entropy(w, value, self.rows, self.labeled, loss))

    def finished(self):
        """The classifier with the parameters of the last stage."""
        estimator = copy(self.supervised)
        coef, intercept = self.fit.parameters(self.T * self.w, self.dtype)
        estimator.coef_, estimator.intercept_ = coef, intercept
        return estimator


class NetworkStages:
    """Stages of a network: its own training, with a loss that knows rows without a label."""

    def __init__(self, base, supervised, rows, classes, codes, balance_weight, wanted):
        self.base, self.supervised = base, supervised
        two = len(classes) == 2
        target = np.where(codes >= 0, codes, np.nan if two else -1.0).astype(rows.dtype)
        weight = weighted_classes(base, rows, classes, codes)
        self.rows = Rows(rows.X, weight, target[:, None], n_threads=rows.n_threads)
        self.network = PartlyLabeledNetwork(**base.get_params(deep=False))
        self.network.__dict__.update(fitted_attributes(supervised))
        self.network.set_params(warm_start=True, early_stopping=False)
        self.network.given = self.rows, Labels("binary" if two else "multiclass", classes)
        self.balance_weight, self.wanted = balance_weight, tuple(wanted.tolist())
        known = np.flatnonzero(codes >= 0)
        self.samples = [some_of(self.rows, part) for part in (known, np.flatnonzero(codes < 0))]

    def descend(self, entropy_weight, last, story):
        network, rows = self.network, self.rows
        plain = Binary if len(self.wanted) == 2 else Categorical
        network.own_loss = plain(entropy_weight)
        if self.balance_weight:
            network.own_loss = BalancedEntropy(network.own_loss, self.balance_weight, self.wanted)
        network.tell = lambda value, parts: self.tell(value, parts, story)
        del network.loss_curve_[:]
        with collected_warnings():
            network.fit(rows.X, rows.target[:, 0])
        if self.base.solver == "lbfgs":
            self.tell(network.loss_, network._parts(), story)
        return {
            "n_iter": int(network.n_iter_),
            "converged": network.converged_,
            "reason": network.stop_reason_,
        }

    def tell(self, value, parts, story):
        """Record the terms on a sample of the rows."""
        known, unknown = self.samples
        story.objective.append(float(value))
        for sample, loss, told in (
            (known, self.network.own_loss, story.supervised),
            (unknown, None, story.entropies),
        ):
            raw = outputs(self.network._layers, parts, sample.X).astype(np.float64)
            weight = np.ones(len(raw)) if sample.weight is None else sample.weight
            if loss is None:
                total = float(weight @ entropies(raw)[0])
            else:
                plain = getattr(loss, "plain", loss)
                total = plain.value_and_gradient(raw, sample.target, weight)[0]
            told.append(total / float(weight.sum()))

    def finished(self):
        """The classifier with the parameters of the last stage."""
        estimator = copy(self.supervised)
        kept = fitted_attributes(self.network)
        # How answers are read from raw outputs has not changed.
        kept.pop("_loss_form")
        estimator.__dict__.update(kept)
        return estimator


class PartlyLabeledNetwork(MLPClassifier):
    """A network that is handed validated rows and a loss."""

    def _admit(self, X, y, sample_weight, reset, classes=None):
        return self.given

    def _network(self, rows, known):
        return replace(super()._network(rows, known), self.own_loss)

    def _train(self, problem, training, monitor, random_state, validate=None):
        end, network = monitor.end, problem.network

        def end_and_tell(value, training, schedule, score=None):
            over = end(value, training, schedule, score)
            self.tell(value, network.parts(training.w))
            return over

        monitor.end = end_and_tell
        return super()._train(problem, training, monitor, random_state, validate)


def replace(network, loss):
    """The same network with another loss."""
    network = copy(network)
    network.loss = loss
    return network


def fitted_attributes(network):
    """What a fit has written into a network."""
    return {
        name: value
        for name, value in vars(network).items()
        if name in FITTED_PRIVATE or (name.endswith("_") and not name.startswith("_"))
    }


def some_of(rows, numbers):
    """At most SAMPLED_ROWS of some rows, spread evenly."""
    numbers = numbers[:: -(-len(numbers) // SAMPLED_ROWS)]
    weight = None if rows.weight is None else rows.weight[numbers]
    return Rows(rows.take(numbers), weight, rows.target[numbers])
