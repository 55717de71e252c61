"""The generative classifier: a Gaussian, or a mixture of them, per class.

    p(c | x) = pi_c p(x | c) / p(x)

Rows without a label are rows of the mixture of all classes; EM fills their labels in
(`skgen.mixture.labeled`). With one component per class this is linear ("tied") or quadratic
("full") discriminant analysis or Gaussian naive Bayes ("diag"). Nigam, McCallum, Thrun and Mitchell
(2000); Hastie, Tibshirani and Friedman (2009), sections 4.3 and 6.8.
"""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np

from skgen.base import (
    Interval,
    StrOptions,
    admit_partly_labeled,
    fit_context,
    one_blas_thread,
    thread_count,
)
from skgen.distributions.gaussian import STRUCTURES, DegenerateComponent
from skgen.labels import find_missing
from skgen.mixture import given, streaming
from skgen.mixture.answers import look_through
from skgen.mixture.class_answers import ClassAnswers
from skgen.mixture.fitting import (
    MixtureFit,
    fitted_attributes,
    in_dtype,
    penalize_material_floor,
)
from skgen.mixture.inference import MaximumLikelihood, MaximumPosterior
from skgen.mixture.initialization import DRAWN, partition_moments, partition_params
from skgen.mixture.labeled import (
    GivenShares,
    LabeledModel,
    LabeledRows,
    linear_scores,
    with_labels,
)
from skgen.mixture.map_gaussian_mixture import MAPGaussianMixture, default_prior
from skgen.mixture.streaming import log_joint
from skgen.rows import Rows
from skgen.solvers.solution import Solution

# Parameters of a mixture that a classifier has no use for.
OF_MIXTURES = {
    "n_components",
    "weights_init",
    "means_init",
    "precisions_init",
    "warm_start",
    "learning_decay",
    "learning_offset",
    "total_samples",
}
# Fitted attributes that only some configurations have.
OF_CONFIGURATIONS = (
    "coef_",
    "intercept_",
    "mean_prior_",
    "mean_precision_prior_",
    "degrees_of_freedom_prior_",
    "covariance_prior_",
    "weight_concentration_prior_",
)


class GaussianMixtureClassifier(ClassAnswers, MixtureFit):
    """Classifier by Bayes' rule from Gaussian densities of the classes; labels may be missing.

    Parameters
    ----------
    n_components_per_class : int or array-like of shape (n_classes,), default=1
        Gaussians per class, in the order of `classes_`. A class with fewer different labeled rows
        has one component for each of them, and the others stay empty.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="tied"
        One covariance matrix per component, one for all, one variance per component and
        feature, or one variance per component. With one component per class: quadratic and
        linear discriminant analysis, Gaussian naive Bayes, and balls of different sizes. One
        matrix is known from few labeled rows, one per component is not.
    inference : {"ml", "map"}, default="ml"
        Maximum likelihood, or maximum a posteriori under the priors of `MAPGaussianMixture`, which
        keep the covariances of small classes apart from zero.
    priors : array-like of shape (n_classes,), default=None
        Probabilities of the classes; None estimates them. All must be positive.
    unlabeled_weight : float, default=1.0
        Weight of a row without label as a share of one with (Nigam's lambda). 0 leaves unlabeled
        rows out; with few labels and classes that are not Gaussian, small values are safer.
    tol : float, default=1e-3
        EM stops when the objective per unit of weight changes by less.
    reg_covar : float, default=1e-6
        Variance added to the diagonal of every covariance, as in `GaussianMixture`.
    max_iter : int, default=100
        Iterations of EM. None are needed where all rows are labeled, no cell is missing and
        classes have one component.
    n_init : int, default=1
        Starts, which differ where a class has several components only.
    init_params : str, default="kmeans"
        How the labeled rows of a class are divided among its components, as in `GaussianMixture`.
    weight_concentration_prior : float, default=1.0
        Of every component's weight, at least 1; used by "map" as the next four.
    mean_precision_prior, mean_prior, degrees_of_freedom_prior, covariance_prior : default=None
        As in `MAPGaussianMixture`.
    acceleration : {"squarem", "anderson"} or None, default=None
        As in `GaussianMixture`.
    random_state : int, RandomState or None, default=None
    verbose, verbose_interval : int, default=0, 10
    n_jobs : int, default=None
        Threads, as in `GaussianMixture`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    priors_ : ndarray of shape (n_classes,)
        Probabilities of the classes.
    components_class_ : ndarray of shape (k,)
        Number of the class of each component, ascending.
    weights_ : ndarray of shape (k,)
        Weights of the components; those of a class add up to its prior.
    means_ : ndarray of shape (k, d)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shapes (k, d, d) for "full", (d, d) for "tied", (k, d) for "diag", (k,) for "spherical".
    coef_, intercept_ : ndarray of shape (n_classes, d) and (n_classes,)
        Of the linear boundaries, with "tied" and one component per class only; with two classes
        of shape (1, d) and (1,), as LinearDiscriminantAnalysis has them.
    transduction_ : ndarray of shape (n,)
        Class of every row of the last `fit` or `partial_fit`; labels that were given are kept.
    objective_history_ : list of float
        Log likelihood of the labeled rows with their labels, plus unlabeled_weight times that of
        the unlabeled rows, plus the log prior, at the start of every iteration; it never falls by
        more than rounding. After `partial_fit` that of all rows so far, for every call.
    lower_bound_, lower_bounds_ : float, list of float
        The same per unit of weight.
    converged_ : bool
    n_iter_ : int
    n_degenerate_starts_ : int
        Starts that were drawn again, as in `GaussianMixture`.
    stop_reason_ : str
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Raises
    ------
    ValueError
        Where X, y, weights or priors are unusable, a class has no labeled row, or a covariance is
        singular; the message names what.

    References
    ----------
    Nigam, McCallum, Thrun and Mitchell (2000), "Text classification from labeled and unlabeled
    documents using EM", Machine Learning 39.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.mixture import GaussianMixtureClassifier
    >>> X = np.array([[0.0], [0.4], [0.6], [5.0], [5.4], [5.6]])
    >>> y = np.array([0, -1, -1, 1, -1, -1])
    >>> GaussianMixtureClassifier().fit(X, y).transduction_
    array([0, 0, 0, 1, 1, 1])
    """

    _fewest_rows = 1

    _parameter_constraints = {
        name: constraint
        for name, constraint in MAPGaussianMixture._parameter_constraints.items()
        if name not in OF_MIXTURES
    } | {
        "n_components_per_class": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "inference": [StrOptions({"ml", "map"})],
        "priors": [None, "array-like"],
        "unlabeled_weight": [Interval(Real, 0.0, None, closed="left")],
        # Below 1 a class could lose all its components.
        "weight_concentration_prior": [Interval(Real, 1.0, None, closed="left")],
    }

    def __init__(
        self,
        n_components_per_class=1,
        *,
        covariance_type="tied",
        inference="ml",
        priors=None,
        unlabeled_weight=1.0,
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weight_concentration_prior=1.0,
        mean_precision_prior=None,
        mean_prior=None,
        degrees_of_freedom_prior=None,
        covariance_prior=None,
        acceleration=None,
        random_state=None,
        verbose=0,
        verbose_interval=10,
        n_jobs=None,
    ):
        self.n_components_per_class = n_components_per_class
        self.covariance_type = covariance_type
        self.inference = inference
        self.priors = priors
        self.unlabeled_weight = unlabeled_weight
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.acceleration = acceleration
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @fit_context
    def fit(self, X, y, sample_weight=None):
        """Estimate the densities of the classes.

        Parameters
        ----------
        X : array of shape (n, d)
            NaN marks a missing cell, which is integrated out.
        y : array-like of shape (n,)
            Classes; a row without label is -1 among integers, NaN among floats, None, NaN or
            pandas.NA among objects and strings. Integers that are all -1 or 1 are two classes.
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : estimator
        """
        self._fit_labeled(X, y, sample_weight)
        return self

    @fit_context
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Continue from the last parameters with new rows; the first call fits the rows it gets.

        Moments of all rows are kept and those of the new ones added, then the parameters are
        estimated once. Where all rows are labeled and classes have one component this is the fit
        of all rows together; otherwise labels that are missing are filled in once, under the
        parameters of the time (incremental EM without revisits, Neal and Hinton 1998).

        Parameters
        ----------
        X : array of shape (n, d)
            The first call needs a labeled row of every class.
        y : array-like of shape (n,)
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in no call, checked where given.
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : estimator
        """
        if classes is not None:
            classes = sorted_classes(classes)
        begun = hasattr(self, "_stream") or hasattr(self, "_fitted_rows")
        if begun and classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={classes.tolist()[:10]} differ from those of the first call,"
                f" {self.classes_.tolist()[:10]}"
            )
        if not begun:
            training, model = self._fit_labeled(X, y, sample_weight, classes)
            stream, history, kept = streaming.begin(model) | {"entropy": 0.0}, [], None
        else:
            training = self._admit_labeled(X, y, sample_weight, self.classes_, reset=False)
            self._require_same_model(training)
            stream, history = self._begun_stream(training), self.objective_history_
            model = self._streamed_model(training, stream)
            kept = streaming.restored(stream["moments"])
        with one_blas_thread(training.rows):
            params = self._fitted_params()
            model = penalize_material_floor(model, params)
            moments = streaming.own_moments(model, params, training.rows)
            stream["entropy"] += moments.log_norm - log_joint(model, params, moments)
            if kept is not None:
                # The copy is what merges change.
                moments = kept.about(moments.origin, model.structure).scaled(1.0).merge(moments)
            params = model.m_step(params, moments)
            value = log_joint(model, params, moments) + stream["entropy"]
        stream.update(
            steps=stream["steps"] + 1, weight=moments.weight, moments=streaming.stored(moments)
        )
        value = model.in_units(value + model.regularizer(params), moments.weight)
        reason = f"{stream['steps']} calls of partial_fit so far"
        solution = Solution(params, value, stream["steps"], False, reason, [value])
        bounds = [*(self.lower_bounds_ if history else ()), value]
        self._set_fitted(model, solution, moments.weight)
        self.lower_bounds_ = bounds
        self.objective_history_ = [*history, value * moments.weight]
        self.transduction_ = self._transduction(training)
        self._stream = stream
        return self

    def _begun_stream(self, training):
        """The stream so far; the rows of `fit` are one block."""
        if hasattr(self, "_stream"):
            return dict(self._stream)
        fitted, params = self._fitted_rows, self._fitted_params()
        model = penalize_material_floor(self._streamed_model(training, fitted), params)
        count = fitted["count"]
        if count is None:
            count = model.inference.counts(params, fitted["weight"])
        moments = model.inference.moments_of(model.structure, params, count, fitted["floor"])
        entropy = self.lower_bound_ * fitted["weight"] - model.regularizer(params)
        entropy -= log_joint(model, params, moments)
        return streaming.begin(model) | {
            "steps": 1,
            "weight": fitted["weight"],
            "moments": streaming.stored(moments),
            "entropy": entropy,
        }

    def _require_same_model(self, training):
        """Raise where parameters were changed since the fit that is to be continued."""
        inference = "map" if hasattr(self, "degrees_of_freedom_prior_") else "ml"
        counts = np.diff(training.starts).tolist(), np.bincount(self.components_class_).tolist()
        for name, value, fitted in (
            ("covariance_type", self.covariance_type, self._structure),
            ("inference", self.inference, inference),
            ("n_components_per_class", *counts),
        ):
            if value != fitted:
                raise ValueError(
                    f"{name}: {value!r} was given, but the parameters to continue from have"
                    f" {fitted!r}; fit a clone of the estimator instead"
                )

    def _streamed_model(self, training, stream):
        """The EM model of a stream that has begun, for other rows."""
        inference = MaximumLikelihood()
        if self.inference == "map":
            prior = given.fitted_prior(self)
            inference = MaximumPosterior(prior, self.weight_concentration_prior_)
        return LabeledModel(
            STRUCTURES[self.covariance_type],
            training.rows.dtype,
            self._under_given_priors(inference, training),
            stream["floor"],
            patterns=training.patterns,
            scale=stream["scale"],
            starts=training.starts,
            classes=training.classes,
        )

    def _fit_labeled(self, X, y, sample_weight, classes=None):
        """Fit; returns the `LabeledRows` and the model."""
        training = self._admit_labeled(X, y, sample_weight, classes, reset=True)
        require_all_classes(training)
        model = self._fit_training(training, X, y, sample_weight)
        self.transduction_ = self._transduction(training)
        return training, model

    def _admit_labeled(self, X, y, sample_weight, classes=None, *, reset):
        """`LabeledRows`; unlabeled rows of weight zero are left out."""
        power = 2 if self.covariance_type == "full" else 1
        rows, classes, codes = admit_partly_labeled(
            self,
            X,
            y,
            sample_weight,
            reset=reset,
            classes=classes,
            n_threads=thread_count(self.n_jobs),
            row_work=lambda d, n_classes: 2.0 * n_classes * float(d) ** power,
            check_finite=False,
        )
        if len(classes) < 2:
            hint = " (-1 marks rows without a label)" if (codes < 0).any() else ""
            raise ValueError(
                f"y labels rows of one class only, {classes.tolist()[0]!r}{hint}; a classifier"
                " needs at least two classes"
            )
        rows, codes, left_out = self._weighed(rows, codes)
        starts = self._starts(classes, rows.n_rows)
        with one_blas_thread(rows):
            looked_at = self._training(rows, begun=not reset)
        rows = with_labels(looked_at.rows, codes)
        return LabeledRows(
            rows,
            looked_at.columns,
            looked_at.patterns,
            codes=codes,
            classes=classes,
            starts=starts,
            left_out=left_out,
        )

    def _weighed(self, rows, codes):
        """Rows and codes, unlabeled ones by their weight, and what a weight of 0 leaves out."""
        labeled, share = codes >= 0, self.unlabeled_weight
        if labeled.all() or share == 1.0:
            return rows, codes, None
        weight = rows.weight
        if share > 0.0:
            weight = np.ones(len(codes)) if weight is None else weight
            return rows.with_weight(np.where(labeled, weight, share * weight)), codes, None
        if not labeled.any():
            raise ValueError(
                f"y labels none of its {len(codes)} rows and unlabeled_weight=0 leaves the others"
                " out; nothing is left to learn from"
            )
        weight = None if weight is None else weight[labeled]
        kept = Rows(rows.X[labeled], weight, n_threads=rows.n_threads)
        return kept, codes[labeled], (rows.X[~labeled], labeled)

    def _starts(self, classes, n_rows):
        """Components at which the classes begin, and their number."""
        counts = np.asarray(self.n_components_per_class)
        if counts.ndim == 0:
            counts = np.full(len(classes), counts)
        if counts.shape != classes.shape or not all(is_count(count) for count in counts.tolist()):
            raise ValueError(
                f"n_components_per_class={self.n_components_per_class!r} must be a positive"
                f" integer or one for each of the {len(classes)} classes"
            )
        if max(counts.tolist()) > n_rows:
            raise ValueError(
                f"n_components_per_class={self.n_components_per_class!r} asks for more components"
                f" of a class than X has rows, {n_rows}"
            )
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _inference(self, structure, training):
        if self.inference == "ml":
            return self._under_given_priors(MaximumLikelihood(), training)
        rows = ("mean_precision_prior", "weight_concentration_prior")
        given.require_countable(self, rows, none=True)
        prior = given.check_prior(
            self, structure, default_prior(self, structure, training, training.k)
        )
        given.require_mode(prior, structure)
        inference = MaximumPosterior(prior, float(self.weight_concentration_prior))
        return self._under_given_priors(inference, training)

    def _under_given_priors(self, inference, training):
        """`inference` with the classes' shares fixed, where the caller gave them."""
        if self.priors is None:
            return inference
        priors = given.check_given(self.priors, training.classes.shape, "priors")
        if not (priors > 0.0).all() or abs(1.0 - priors.sum()) > 1e-6:
            raise ValueError(
                f"priors={priors.tolist()[:10]} must be positive and sum to one; their sum is"
                f" {priors.sum():.8g}"
            )
        return GivenShares(inference, priors / priors.sum(), training.starts)

    def _require_rows(self, rows):
        """Every class has a labeled row, which is enough."""

    def _prepare(self, training):
        training.seeds  # noqa: B018

    def _model(self, structure, training):
        model = super()._model(structure, training)
        return LabeledModel(
            **vars(model) | {"starts": training.starts, "classes": training.classes}
        )

    def _initial_params(self, model, training, given, random_state):
        """The supervised fit; under a prior where there are too few labeled rows for one."""
        structure, labeled = model.structure, training.labeled
        if model.scatter is not None:
            model = replace(model, scatter=labeled.scatter)
        partition = training.labeled_partition(self.init_params, random_state)
        own = self.inference == "map" or training.all_labeled
        if own or not training.scarce(structure):
            try:
                return partition_params(labeled, partition, model)
            except DegenerateComponent:
                if own:
                    raise
        # Of Fraley and Raftery (2007); unlabeled rows decide from there on.
        prior = default_prior(self, structure, training, training.k)
        inference = self._under_given_priors(MaximumPosterior(prior, 1.0), training)
        return partition_params(labeled, partition, replace(model, inference=inference))

    def _replacement(self, model, training, given, random_state):
        if training.k == len(training.classes) or self.init_params not in DRAWN:
            return None
        return self._initial_params(model, training, given, random_state)

    def _run(self, task, model, training, given, continued, number, random_state, degenerate=None):
        if not training.decided:
            return super()._run(
                task, model, training, given, continued, number, random_state, degenerate
            )
        partition = training.labeled_partition(self.init_params, random_state)
        moments = partition_moments(training, partition, model.structure)
        try:
            params = model.m_step(None, moments)
        except DegenerateComponent as error:
            return error
        model = penalize_material_floor(model, params)
        with task.restart(number) as run:
            run.begin()
            value = log_joint(model, params, moments) + model.regularizer(params)
            value = model.in_units(value, moments.weight)
            report = self._report(number)
            if report is not None:
                report(1, value, np.inf)
            run.end(lambda: self._attributes(model, params))
        reason = "all rows are labeled: the parameters are known without iterating"
        return Solution(params, value, 1, True, reason, [value])

    def _n_starts(self, training):
        return 1 if training.k == len(training.classes) else super()._n_starts(training)

    def _set_parameters(self, model, params):
        # What another configuration had.
        for name in OF_CONFIGURATIONS:
            self.__dict__.pop(name, None)
        super()._set_parameters(model, params)

    def _attributes(self, model, params):
        attributes = fitted_attributes(model.structure, model.dtype, params)
        starts = model.starts
        attributes["classes_"] = model.classes
        attributes["components_class_"] = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        of_classes = np.add.reduceat(params.weights, starts[:-1])
        attributes["priors_"] = of_classes.astype(model.dtype)
        inference = getattr(model.inference, "inference", model.inference)
        if self.inference == "map":
            attributes |= given.prior_attributes(
                inference.prior, inference.concentration, model.dtype
            )
        if model.structure.name == "tied" and len(starts) == len(params) + 1:
            slopes, offsets = linear_boundaries(params)
            attributes |= in_dtype({"coef_": slopes, "intercept_": offsets}, model.dtype)
        return attributes

    def _objectives(self, history, weight):
        return [weight * value for value in history]

    def _set_fitted(self, model, solution, weight):
        super()._set_fitted(model, solution, weight)
        self._fitted_rows["count"] = getattr(solution.params, "count", None)

    def _setting(self, model):
        numbers = np.repeat(np.arange(len(model.starts) - 1), np.diff(model.starts))
        return (
            f"the components are of the classes number {numbers.tolist()[:20]},"
            f" covariance_type={self.covariance_type!r}, reg_covar={self.reg_covar:g},"
            f" inference={self.inference!r} ('map' keeps covariances positive definite)"
        )

    def _transduction(self, training):
        """The class of every row that `fit` was given."""
        if training.left_out is None and training.all_labeled:
            return self.classes_[training.codes]
        if training.left_out is None:
            # The patterns are known.
            found = self._codes(training.rows, training.patterns)
            return self.classes_[np.where(training.codes >= 0, training.codes, found)]
        X, labeled = training.left_out
        codes = np.empty(len(labeled), dtype=np.int64)
        codes[labeled] = training.codes
        codes[~labeled] = self._codes(*look_through(self, Rows(X)))
        return self.classes_[codes]


def sorted_classes(classes):
    """The different ones of the argument of partial_fit."""
    classes = np.ravel(np.asarray(classes))
    if find_missing(classes).any():
        raise ValueError(f"classes={classes.tolist()[:10]} must not hold NaN or None: no label")
    return np.unique(classes)


def is_count(value):
    """Whether a value is a positive integer."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1


def require_all_classes(training):
    """Raise where a class has no labeled row of positive weight."""
    codes, weight = training.codes, training.rows.weight
    known = codes >= 0
    totals = np.bincount(
        codes[known],
        weights=None if weight is None else weight[known],
        minlength=len(training.classes),
    )
    if not (totals > 0.0).all():
        c = int(np.argmin(totals))
        raise ValueError(
            f"y has no labeled row of the class {training.classes.tolist()[c]!r} with a positive"
            " sample_weight; every class needs one, in the first call of partial_fit too"
        )


def linear_boundaries(params):
    """Slopes and intercepts as linear discriminant analysis has them: of two classes one."""
    slopes, offsets = linear_scores(params)
    if len(slopes) == 2:
        slopes, offsets = slopes[1:] - slopes[:1], offsets[1:] - offsets[:1]
    return slopes, offsets
