"""What the three Gaussian mixtures share: fit, partial_fit, one set of answers."""

from skgen.base import fit_context, one_blas_thread
from skgen.distributions.gaussian import STRUCTURES
from skgen.mixture import streaming
from skgen.mixture.answers import MixtureAnswers
from skgen.mixture.fitting import MixtureFit, penalize_material_floor
from skgen.mixture.inference import MaximumLikelihood
from skgen.mixture.model import MixtureModel
from skgen.solvers.solution import Solution


class MixtureEstimator(MixtureAnswers, MixtureFit):
    """A Gaussian mixture that is fitted by EM."""

    # Constructor arguments with one value per feature: they fit no other set of columns.
    _per_feature = ()

    @fit_context
    def fit(self, X, y=None, sample_weight=None):
        """Estimate the parameters from the rows of X.

        Parameters
        ----------
        X : array of shape (n, d)
            NaN marks a missing cell, which is integrated out.
        y : ignored
        sample_weight : array of shape (n,), default=None
            Weight 2 means the same as the row twice, 0 as no row.

        Returns
        -------
        self : estimator
        """
        self._fit(X, y, sample_weight)
        return self

    @fit_context
    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit and return the most probable component of every row; see `fit`.

        Returns
        -------
        labels : ndarray of shape (n,)
        """
        training, _ = self._fit(X, y, sample_weight)
        return self._evaluate(training.rows, "label", training.patterns)

    @fit_context
    def partial_fit(self, X, y=None, sample_weight=None, batch=None):
        """Continue from the last parameters with new rows; the first call fits the rows it gets.

        Rows that `fit` was given count as one block.

        Without `batch` this is a step of stepwise EM (Cappe and Moulines 2009; for a posterior it
        is stochastic variational inference, Hoffman et al. 2013): the expected moments per row
        become (1 - g) times the old plus g times those of X, g = (t + learning_offset) ^
        -learning_decay after t calls. With `batch` moments are memoized (Neal and Hinton 1998;
        Hughes and Sudderth 2013): those kept of that batch are replaced, `lower_bound_` is the
        exact objective over all batches, and it does not fall when batches are visited again.

        Parameters
        ----------
        X : array of shape (n, d)
            The first call needs as many rows as components; NaN as in `fit`.
        y : ignored
        sample_weight : array of shape (n,), default=None
        batch : int or str, default=None
            Name of these rows, under which they may come again.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            Also where named and unnamed rows are mixed.
        """
        stream = getattr(self, "_stream", None)
        fitted = getattr(self, "_fitted_rows", None)
        if stream is not None or fitted is not None:
            self._require_same_model(self.n_features_in_)
        if stream is None and fitted is not None:
            stream = self._resumed_stream(fitted)
        streaming.check_batch(batch, stream)
        if stream is None:
            training, model = self._fit(X, y, sample_weight)
            stream, history = streaming.begin(model), []
        else:
            rows = self._admit(X, sample_weight, reset=False)
            with one_blas_thread(rows):
                training = self._training(rows, begun=True)
            if not training.rows.weight_sum > 0.0:
                return self  # rows without any cell say nothing
            stream, history = dict(stream), self.objective_history_
            model = self._streamed_model(stream, training.rows.dtype, training.patterns)
        with one_blas_thread(training.rows):
            params = self._fitted_params()
            model = penalize_material_floor(model, params)
            if batch is not None:
                # One objective for all visits, whatever a component has become since.
                model = model.with_penalty(True)
                step = streaming.memoize(stream, model, params, training.rows, batch)
            else:
                rate = streaming.Rate(self.learning_decay, self.learning_offset)
                total = getattr(self, "total_samples", None)
                step = streaming.average(stream, model, params, training.rows, rate, total)
        params, value, weight = step
        solution = Solution(
            params,
            value,
            stream["steps"],
            False,
            f"{stream['steps']} calls of partial_fit so far",
            [*history, value],
        )
        bounds = [*(self.lower_bounds_ if history else ()), value]
        self._set_fitted(model, solution, weight)
        self.lower_bounds_ = bounds
        self.objective_history_ = [*history, *self._objectives([value], weight)]
        self._stream = stream
        del self._fitted_rows
        return self

    def _resumed_stream(self, fitted):
        """The stream that the rows of `fit` began."""
        model = self._streamed_model(fitted, self.means_.dtype, None)
        return streaming.resume(model, self._fitted_params(), fitted["weight"])

    def _streamed_model(self, stream, dtype, patterns):
        """The EM model of a stream that has begun, for other rows."""
        return MixtureModel(
            STRUCTURES[self.covariance_type],
            dtype,
            self._fitted_inference(),
            stream["floor"],
            patterns=patterns,
            scale=stream["scale"],
        )

    def _fitted_inference(self, columns=None):
        """The inference that the fitted attributes came from, or that of these columns."""
        return MaximumLikelihood()
