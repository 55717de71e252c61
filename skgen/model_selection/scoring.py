"""Scores of the rows that have a label."""

import numpy as np
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import _check_method_params

from skgen.base import check_partial_labels


def labeled_scorer(scoring=None):
    """A scorer that leaves rows without a label out, and is `scoring` on the others.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        A name or a scorer of scikit-learn, or any callable of (estimator, X, y); None means the
        `score` of the estimator. Sample weights and other metadata are sliced with the rows.

    Returns
    -------
    scorer : callable of (estimator, X, y, **metadata)
        NaN where no row has a label.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.linear_model import LogisticRegression
    >>> from skgen.model_selection import labeled_scorer
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> model = LogisticRegression().fit(X, y)
    >>> labeled_scorer("accuracy")(model, X, np.array([0, -1, 1, -1]))
    1.0
    """
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(
            f"scoring={scoring!r} must be the name of a scorer, a callable of (estimator, X, y) or"
            " None"
        )
    return LabeledScorer(get_scorer(scoring) if isinstance(scoring, str) else scoring)


class LabeledScorer:
    """What `labeled_scorer` returns; pickles as the scorer inside does."""

    def __init__(self, scorer):
        self.scorer = scorer

    def __call__(self, estimator, X, y, **metadata):
        labels, unlabeled = check_partial_labels(y)
        if unlabeled.all():
            return np.nan
        scorer = check_scoring(estimator) if self.scorer is None else self.scorer
        if not unlabeled.any():
            return scorer(estimator, X, labels, **metadata)
        rows = np.flatnonzero(~unlabeled)
        metadata = _check_method_params(X, metadata, indices=rows)
        return scorer(estimator, _safe_indexing(X, rows), labels[rows], **metadata)

    def __repr__(self):
        return f"labeled_scorer({self.scorer!r})"

    def get_metadata_routing(self):
        """What metadata the scorer asks for.

        Returns
        -------
        routing : MetadataRequest
        """
        return get_routing_for_object(self.scorer)
