"""Whether rows without a label are used at all: the fit without them is kept where they hurt."""

from functools import wraps

import numpy as np
from sklearn.utils import _safe_indexing

from skgen.base import check_partial_labels
from skgen.model_selection import is_unlabeled_data_helping


def with_fallback(fit):
    """A `fit` that, with ``fallback=True``, is first judged on labels held out.

    Where the mean score is lower with the rows that have no label than without, they are left out
    of the fit and only told. Scores are minus the log loss, accuracies where there are no
    probabilities. `fell_back_` says what happened, `unlabeled_gain_` by how much.
    """

    @wraps(fit)
    def judged(self, X, y, sample_weight=None, **params):
        for name in ("fell_back_", "unlabeled_gain_"):
            if hasattr(self, name):
                delattr(self, name)
        if not self.fallback:
            return fit(self, X, y, sample_weight, **params)
        if getattr(self, "kernel", None) == "precomputed":
            raise ValueError("fallback=True cannot split a precomputed kernel; give X and a kernel")
        if params:
            raise ValueError(
                f"fallback=True knows no metadata but sample_weight, got {sorted(params)}"
            )
        labels, unlabeled = check_partial_labels(y, signed=self._signed)
        if unlabeled.all() or not unlabeled.any():
            return fit(self, X, y, sample_weight)
        X = X if hasattr(X, "shape") else np.asarray(X)
        scoring = None if hasattr(self, "predict_proba") else "accuracy"
        model = type(self)(**self.get_params(deep=False) | {"fallback": False})
        result = is_unlabeled_data_helping(
            model, X, y, sample_weight=sample_weight, scoring=scoring
        )
        if result.gain >= 0.0:
            fit(self, X, y, sample_weight)
        else:
            known = np.flatnonzero(~unlabeled)
            weight = None if sample_weight is None else np.asarray(sample_weight)[known]
            fit(self, _safe_indexing(X, known), labels[known], weight)
            self._spread_out(X, labels, unlabeled)
        self.fell_back_ = bool(result.gain < 0.0)
        self.unlabeled_gain_ = result.gain
        return self

    return judged


class Fallback:
    """What estimators with `fallback` share."""

    # Whether -1 and 1 alone are two classes.
    _signed = True

    def _spread_out(self, X, labels, unlabeled):
        """Attributes of all rows after a fit of the labeled ones."""
        free = np.flatnonzero(unlabeled)
        told = self.predict(_safe_indexing(X, free))
        transduction = np.empty(len(labels), dtype=self.classes_.dtype)
        transduction[~unlabeled], transduction[free] = labels[~unlabeled], told
        self.transduction_ = transduction
