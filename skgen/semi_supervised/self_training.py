"""Self-training: a classifier labels the rows it is surest of, and learns from them.

    repeat { fit the labeled rows; predict the others; label those that the criterion selects }

Scudder (1965); Yarowsky (1995); with labels by shares instead of one class, Lee (2013) and
Amini and Gallinari (2002). Rows, labels and all that comes with a row (weights, other metadata)
are sliced together, so that a row keeps its own.
"""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, clone, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import (
    _check_feature_names,
    _check_method_params,
    _check_n_features,
    validate_data,
)

from skgen.base import (
    Estimator,
    HasMethods,
    Interval,
    StrOptions,
    announce,
    available_if,
    check_consistent_length,
    check_is_fitted,
    check_partial_labels,
    check_weight,
    fit_context,
    frames_inside,
)
from skgen.labels import encode_labels, marked
from skgen.semi_supervised.fallback import Fallback, with_fallback

# Estimators that minimize the cross-entropy of their own probabilities.
OWN_CROSS_ENTROPY = ("LogisticRegression", "SoftmaxRegression", "MLPClassifier")
# Folds of labeled rows that scores are calibrated on.
CALIBRATION_FOLDS = 3
OUTCOMES = {
    "all_labeled": "every row has a label",
    "no_change": "no row changed its label",
    "cycle": "labels came back to those of an earlier round, which would go on for ever",
    "max_iter": "max_iter={} rounds reached",
}


def has(method):
    """Whether the classifier, fitted or not, has a method."""

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class SelfTrainingClassifier(Fallback, MetaEstimatorMixin, ClassifierMixin, Estimator):
    """Any classifier, trained on its own confident predictions for rows without a label.

    Parameters
    ----------
    estimator : classifier
        With `predict_proba`, or with `calibration` at least `decision_function`.
    threshold : float in [0, 1), default=0.75
        ``criterion="threshold"`` labels every row predicted with more than this probability.
    criterion : {"threshold", "k_best", "balanced"}, default="threshold"
        "k_best" labels the `k_best` surest rows of a round; "balanced" shares these out among the
        classes in proportion to the rows that y labels, the surest of each predicted class first.
    k_best : int, default=10
    max_iter : int or None, default=10
        Rounds; None goes on until nothing changes.
    verbose : bool, default=False
        Print how many labels a round has added.
    soft_labels : bool, default=False
        A selected row is learned from as one row of every class, weighted by their probabilities,
        in place of one row of the likeliest. The classifier needs `sample_weight`.
    relabel : bool, default=False
        Judge all rows that y does not label in every round anew: labels given before may change
        or be withdrawn. Else a label given stays. "k_best" and "balanced" then select r times
        `k_best` rows in round r.
    unlabeled_weight : float, default=1.0
        Weight of a row labeled here, as a share of the weight it is given; other than 1 needs
        `sample_weight` of the classifier.
    calibration : {"sigmoid", "isotonic"} or None, default=None
        Turn scores into probabilities on three folds of the labeled rows
        (:class:`sklearn.calibration.CalibratedClassifierCV`).
    warm_rounds : bool, default=True
        Rounds after the first start from the parameters of the round before where the classifier
        is one of skgen with `warm_start`: fewer iterations to the same optimum, within its
        tolerance.
    fallback : bool, default=False
        Judge the fit on labels held out first (stratified folds), and leave rows without a label
        out where they lower the score; costs ten fits more.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on the labels of the end.
    classes_ : ndarray of shape (n_classes,)
    transduction_ : ndarray of shape (n,)
        The labels of the end; -1, NaN or None, as in y, where there is none.
    labeled_iter_ : int ndarray of shape (n,)
        The round that gave a row its label: 0 for those of y, -1 where there is none.
    confidence_ : ndarray of shape (n,)
        Probability of the label when it was given: 1 for those of y, NaN where there is none.
    n_iter_ : int
        Rounds; 1 where there was nothing to label.
    n_labeled_ : list of int
        Labeled rows after each round.
    termination_condition_ : {"max_iter", "no_change", "all_labeled", "cycle"}
    stop_reason_ : str
    fell_back_, unlabeled_gain_ : bool, float
        With `fallback`: whether the rows without a label were left out, and the mean gain in score
        by them.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be. A regressor is refused: its own predictions
        leave it where it is, as a least squares fit of them has no residual.

    Warns
    -----
    UserWarning
        Where self-training provably goes nowhere: shares that a classifier by cross-entropy (a
        logistic regression, a network) predicts itself are a minimum of the cross-entropy with
        them, so only the relative weight of its penalty changes.

    References
    ----------
    Scudder, Probability of error of some adaptive pattern-recognition machines, IEEE Transactions
    on Information Theory 11, 1965. Yarowsky, Unsupervised word sense disambiguation rivaling
    supervised methods, ACL 1995. Lee, Pseudo-label, ICML workshop 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.linear_model import LogisticRegression
    >>> from skgen.semi_supervised import SelfTrainingClassifier
    >>> X = np.array([[-2.0], [-1.5], [-1.0], [1.0], [1.5], [2.0]])
    >>> y = np.array([0, -1, -1, -1, -1, 1])
    >>> model = SelfTrainingClassifier(LogisticRegression(C=10.0)).fit(X, y)
    >>> model.transduction_.tolist(), model.labeled_iter_.tolist()
    ([0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 0])
    """

    # `predict_proba` may come with the fit of the classifier only.
    _parameter_constraints = {
        "fallback": ["boolean"],
        "estimator": [HasMethods(["fit"])],
        "threshold": [Interval(Real, 0.0, 1.0, closed="left")],
        "criterion": [StrOptions({"threshold", "k_best", "balanced"})],
        "k_best": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left"), None],
        "verbose": ["verbose"],
        "soft_labels": ["boolean"],
        "relabel": ["boolean"],
        "unlabeled_weight": [Interval(Real, 0.0, None, closed="neither")],
        "calibration": [StrOptions({"sigmoid", "isotonic"}), None],
        "warm_rounds": ["boolean"],
    }

    def __init__(
        self,
        estimator=None,
        threshold=0.75,
        criterion="threshold",
        k_best=10,
        max_iter=10,
        verbose=False,
        *,
        soft_labels=False,
        relabel=False,
        unlabeled_weight=1.0,
        calibration=None,
        warm_rounds=True,
        fallback=False,
    ):
        self.estimator = estimator
        self.threshold = threshold
        self.criterion = criterion
        self.k_best = k_best
        self.max_iter = max_iter
        self.verbose = verbose
        self.soft_labels = soft_labels
        self.relabel = relabel
        self.unlabeled_weight = unlabeled_weight
        self.calibration = calibration
        self.warm_rounds = warm_rounds
        self.fallback = fallback

    @fit_context
    @with_fallback
    def fit(self, X, y, sample_weight=None, **params):
        """Train in rounds.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, d)
            Whatever the classifier accepts.
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN,
            pandas.NA or -1 among objects and strings.
        sample_weight : array of shape (n,), default=None
            Goes to the classifier, row by row.
        **params : dict
            More metadata, handed on as the classifier requests (metadata routing).

        Returns
        -------
        self : object
        """
        if is_regressor(self.estimator):
            raise ValueError(
                f"estimator={type(self.estimator).__name__} is a regressor: trained on its own"
                " predictions it stays where it is. Choose a classifier"
            )
        self._refuse_metadata(params)
        X = admit_any(self, X)
        labels, unlabeled = check_partial_labels(y, signed=self._signed)
        check_consistent_length(X, labels)
        if unlabeled.all():
            raise ValueError(
                f"y labels none of its {len(labels)} rows; at least one row of every class needs a"
                " label (-1, NaN, None and pandas.NA mark rows without one)"
            )
        if sample_weight is not None:
            sample_weight = check_weight(sample_weight, X)
        self._warn_of(unlabeled)
        learner = Learner(self, X, self._routed("fit", sample_weight, params))
        progress = Progress(*encode_labels(labels[~unlabeled]), unlabeled)
        outcome = self._train(learner, progress)
        self._set(learner, progress, outcome)
        return self

    _signed = False

    def _spread_out(self, X, labels, unlabeled):
        super()._spread_out(X, labels, unlabeled)
        self.labeled_iter_ = np.where(unlabeled, -1, 0)
        self.confidence_ = np.where(unlabeled, np.nan, 1.0)

    def _routed(self, method, sample_weight, params):
        """Metadata for a method of the classifier."""
        self._refuse_metadata(params)
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        if not metadata_routing_is_on():
            return given
        return process_routing(self, method, **params, **given).estimator[method]

    def _refuse_metadata(self, params):
        if params and not metadata_routing_is_on():
            raise ValueError(
                f"[{', '.join(sorted(params))}] is only supported if"
                " enable_metadata_routing=True, which sklearn.set_config sets; without it"
                " sample_weight is all that goes along with rows"
            )

    def _warn_of(self, unlabeled):
        level = frames_inside() + 1
        if not unlabeled.any():
            warnings.warn("y contains no unlabeled samples", UserWarning, stacklevel=level)
        elif self.criterion != "threshold" and self.k_best > unlabeled.sum():
            warnings.warn(
                "k_best is larger than the amount of unlabeled samples. All unlabeled samples will"
                " be labeled in the first iteration",
                UserWarning,
                stacklevel=level,
            )
        if self.soft_labels and type(self.estimator).__name__ in OWN_CROSS_ENTROPY:
            warnings.warn(
                f"soft labels teach {type(self.estimator).__name__} nothing: probabilities it has"
                " predicted itself are a minimum of the cross-entropy with them; only the penalty"
                " weighs less. Use soft_labels=False or EntropyRegularizedClassifier",
                UserWarning,
                stacklevel=level,
            )

    def _train(self, learner, progress):
        """Rounds of fit, prediction and selection; the word for why they ended."""
        seen = {progress.state()}
        while self.relabel or not progress.all_labeled:
            if progress.n_rounds == self.max_iter:
                return "max_iter"
            learner.learn(progress)
            candidates = progress.candidates(self.relabel)
            if not len(candidates):
                return "all_labeled"
            share = learner.shares(candidates)
            rounds = progress.n_rounds + 1 if self.relabel else 1
            selected = self._select(share, progress.counts, rounds)
            n_added = progress.take(candidates, share, selected, self.relabel)
            if not n_added:
                return "no_change"
            if self.verbose:
                announce("End of iteration %d, added %d new labels.", progress.n_rounds, n_added)
            mark = progress.state()
            if mark in seen:
                return "cycle"
            seen.add(mark)
        # scikit-learn's order: a last round that labels the last row has labeled all.
        return "all_labeled"

    def _select(self, share, counts, rounds):
        """Which rows of `share` (n, n_classes) get a label: their numbers."""
        best = share.max(axis=1)
        if self.criterion == "threshold":
            return np.flatnonzero(best > self.threshold)
        n = min(self.k_best * rounds, len(best))
        if self.criterion == "k_best":
            return np.sort(np.argsort(-best, kind="stable")[:n])
        likeliest, taken = share.argmax(axis=1), []
        for number, quota in enumerate(quotas(counts, n)):
            rows = np.flatnonzero(likeliest == number)
            taken.append(rows[np.argsort(-best[rows], kind="stable")[:quota]])
        return np.sort(np.concatenate(taken))

    def _set(self, learner, progress, outcome):
        learner.learn(progress)
        self.estimator_ = learner.finished()
        self.classes_ = progress.classes
        self.transduction_ = progress.transduction()
        self.labeled_iter_ = progress.given_in
        self.confidence_ = progress.confidence
        self.n_iter_ = max(progress.n_rounds, 1)
        self.n_labeled_ = progress.history
        self.termination_condition_ = outcome
        self.stop_reason_ = OUTCOMES[outcome].format(self.max_iter)

    @available_if(has("predict"))
    def predict(self, X, **params):
        """Classes of rows.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, d)
        **params : dict
            Metadata (metadata routing).

        Returns
        -------
        y : ndarray of shape (n,)
        """
        return self._ask("predict", X, params)

    @available_if(has("predict_proba"))
    def predict_proba(self, X, **params):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, d)
        **params : dict
            Metadata (metadata routing).

        Returns
        -------
        share : ndarray of shape (n, n_classes)
        """
        return self._ask("predict_proba", X, params)

    @available_if(has("predict_log_proba"))
    def predict_log_proba(self, X, **params):
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, d)
        **params : dict
            Metadata (metadata routing).

        Returns
        -------
        log_share : ndarray of shape (n, n_classes)
        """
        return self._ask("predict_log_proba", X, params)

    @available_if(has("decision_function"))
    def decision_function(self, X, **params):
        """Scores of the classes.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, d)
        **params : dict
            Metadata (metadata routing).

        Returns
        -------
        score : ndarray of shape (n,) or (n, n_classes)
        """
        return self._ask("decision_function", X, params)

    @available_if(has("score"))
    def score(self, X, y, **params):
        """The score of the classifier on rows whose labels are all known.

        Parameters
        ----------
        X : array, data frame or sparse matrix of shape (n, d)
        y : array-like of shape (n,)
        **params : dict
            Metadata; without routing `sample_weight` at most.

        Returns
        -------
        score : float
        """
        return self._ask("score", X, params, y)

    def _ask(self, method, X, params, *more):
        weight = params.pop("sample_weight", None) if method == "score" else None
        routed = self._routed(method, weight, params)
        check_is_fitted(self, "estimator_")
        X = admit_any(self, X, reset=False)
        return getattr(self.estimator_, method)(X, *more, **routed)

    def get_metadata_routing(self):
        """What metadata the classifier asks for.

        Returns
        -------
        routing : MetadataRouter
        """
        methods = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score")
        mapping = MethodMapping().add(caller="fit", callee="fit")
        for method in methods:
            mapping.add(caller=method, callee=method)
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        return tags


class Progress:
    """Which rows have which label, since when and how sure.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    known : int ndarray
        Class numbers of the rows that y labels.
    unlabeled : mask of shape (n,)
    """

    def __init__(self, classes, known, unlabeled):
        n = len(unlabeled)
        self.classes, self.unlabeled = classes, unlabeled
        self.codes = np.full(n, -1, dtype=np.int32)
        self.codes[~unlabeled] = known
        self.given_in = np.where(unlabeled, -1, 0)
        self.confidence = np.where(unlabeled, np.nan, 1.0)
        # Probabilities of rows labeled here, (n, n_classes).
        self.shares = None
        self.counts = np.bincount(known, minlength=len(classes))
        self.n_rounds, self.history = 0, []

    @property
    def all_labeled(self):
        return bool((self.codes >= 0).all())

    def state(self):
        return self.codes.tobytes()

    def candidates(self, relabel):
        """Numbers of the rows to judge."""
        return np.flatnonzero(self.unlabeled if relabel else self.codes < 0)

    def take(self, candidates, share, selected, relabel):
        """Label rows `selected` of the candidates; the number of labels that are new."""
        self.n_rounds += 1
        if self.shares is None:
            self.shares = np.zeros((len(self.codes), len(self.classes)))
        before = self.codes.copy()
        if relabel:
            self.codes[candidates] = -1
        rows, share = candidates[selected], share[selected]
        self.codes[rows] = share.argmax(axis=1)
        self.shares[rows] = share
        changed = self.codes != before
        # A label that stays was given when it was given.
        new = rows[changed[rows]]
        self.given_in[new] = self.n_rounds
        self.confidence[rows] = share.max(axis=1)
        gone = self.codes < 0
        self.given_in[gone], self.confidence[gone] = -1, np.nan
        self.history.append(int((~gone).sum()))
        return int(changed.sum())

    def transduction(self):
        """The labels of all rows; the mark of y where there is none."""
        return marked(self.classes[self.codes], self.codes < 0)


class Learner:
    """The classifier, and rows with all that belongs to them."""

    def __init__(self, owner, X, metadata):
        self.owner, self.X, self.metadata = owner, X, metadata
        self.estimator = clone(owner.estimator)
        self.warm_start = None
        if owner.calibration is None and owner.warm_rounds and starts_warm(self.estimator):
            self.warm_start = self.estimator.warm_start
        self.learned = None

    def learn(self, progress):
        """Fit the rows that have a label, unless that has just been done."""
        mark = progress.state()
        if mark == self.learned:
            return
        rows = np.flatnonzero(progress.codes >= 0)
        labels, factors = progress.codes[rows], None
        own = progress.unlabeled[rows]
        if self.owner.soft_labels and own.any():
            rows, labels, factors = spread_out(rows, own, labels, progress.shares)
            own = progress.unlabeled[rows]
        if own.any() and self.owner.unlabeled_weight != 1.0:
            factors = np.ones(len(rows)) if factors is None else factors
            factors = np.where(own, factors * self.owner.unlabeled_weight, factors)
        metadata = _check_method_params(self.X, self.metadata, indices=rows)
        if factors is not None:
            metadata["sample_weight"] = factors * metadata.get("sample_weight", 1.0)
        if self.owner.calibration is not None:
            self.estimator = self.calibrated(progress.counts)
        X = (
            self.X
            if len(rows) == len(progress.codes) and factors is None
            else _safe_indexing(self.X, rows)
        )
        self.estimator.fit(X, progress.classes[labels], **metadata)
        if self.learned is None and self.warm_start is not None:
            self.estimator.set_params(warm_start=True)
        self.learned = mark

    def calibrated(self, counts):
        if counts.min() < CALIBRATION_FOLDS:
            raise ValueError(
                f"calibration={self.owner.calibration!r} needs at least {CALIBRATION_FOLDS} labeled"
                f" rows of every class, got {counts.tolist()}"
            )
        return CalibratedClassifierCV(
            clone(self.owner.estimator),
            method=self.owner.calibration,
            cv=StratifiedKFold(CALIBRATION_FOLDS),
        )

    def shares(self, rows):
        """Probabilities of the classes for some rows."""
        return np.asarray(self.estimator.predict_proba(_safe_indexing(self.X, rows)))

    def finished(self):
        if self.warm_start is not None:
            self.estimator.set_params(warm_start=self.warm_start)
        return self.estimator


def spread_out(rows, own, labels, shares):
    """Rows labeled here once per class, with the probability of the class as a factor."""
    n_classes = shares.shape[1]
    soft = rows[own]
    numbers = np.concatenate([rows[~own], np.repeat(soft, n_classes)])
    classes = np.concatenate([labels[~own], np.tile(np.arange(n_classes), len(soft))])
    factors = np.concatenate([np.ones(len(rows) - len(soft)), shares[soft].ravel()])
    kept = factors > 0.0
    return numbers[kept], classes[kept], factors[kept]


def quotas(counts, n):
    """`n` shared out in proportion to `counts`, largest remainders first (ties: first class)."""
    exact = n * counts / counts.sum()
    shares = np.floor(exact).astype(np.intp)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: n - shares.sum()]] += 1
    return shares


def starts_warm(estimator):
    """Whether a fit of the estimator may begin at the last parameters."""
    return type(estimator).__module__.startswith("skgen.") and hasattr(estimator, "warm_start")


def metadata_routing_is_on():
    return get_config()["enable_metadata_routing"]


def admit_any(estimator, X, reset=True):
    """X as the classifier inside gets it: a data frame as it is, else an array or CSR."""
    if hasattr(X, "iloc"):
        _check_feature_names(estimator, X, reset=reset)
        _check_n_features(estimator, X, reset=reset)
        return X
    return validate_data(
        estimator, X, reset=reset, accept_sparse="csr", ensure_all_finite=False, dtype=None
    )
