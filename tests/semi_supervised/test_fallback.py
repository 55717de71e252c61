"""The fit without rows that hurt is kept on request."""

import warnings

import numpy as np
import pytest

from skgen.linear_model import LogisticRegression, SoftmaxRegression
from skgen.model_selection import hide_labels, is_unlabeled_data_helping
from skgen.semi_supervised import (
    EntropyRegularizedClassifier,
    LaplacianRegularizedClassifier,
    SelfTrainingClassifier,
    TransductiveSVC,
)

MODELS = {
    "self-training": SelfTrainingClassifier(LogisticRegression(), fallback=True),
    "entropy": EntropyRegularizedClassifier(entropy_weight=3.0, n_stages=1, fallback=True),
    "laplacian": LaplacianRegularizedClassifier(SoftmaxRegression(), fallback=True),
    "machine": TransductiveSVC("linear", n_init=1, fallback=True),
}


def crossed(seed=0):
    """Classes differ in one column, rows crowd into two groups by another."""
    generator = np.random.default_rng(seed)
    y = np.repeat([0, 1], 100)
    X = np.column_stack([y + 0.5 * generator.normal(size=200), generator.normal(size=200)])
    X[:, 1] += np.where(generator.random(200) < 0.5, 4.0, -4.0)
    order = generator.permutation(200)
    return X[order], hide_labels(y[order], per_class=12, random_state=seed)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_is_the_better_fit(name):
    X, y = crossed()
    known = y >= 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MODELS[name].fit(X, y)
        plain = type(model)(**model.get_params(deep=False) | {"fallback": False})
        scoring = "accuracy" if name == "machine" else None
        gain = is_unlabeled_data_helping(plain, X, y, scoring=scoring).gain
        assert model.unlabeled_gain_ == gain
        assert model.fell_back_ == (gain < 0.0)
        rows = known if model.fell_back_ else np.ones(200, dtype=bool)
        same = plain.fit(X[rows], y[rows])
        np.testing.assert_array_equal(model.predict(X), same.predict(X))
        assert len(model.transduction_) == 200
        np.testing.assert_array_equal(model.transduction_[known], y[known])
        again = model.set_params(fallback=False).fit(X, y)
        model.set_params(fallback=True)
    assert not hasattr(again, "fell_back_")


def test_some_fall_back_and_some_do_not():
    X, y = crossed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fell = {name: model.fit(X, y).fell_back_ for name, model in MODELS.items()}
        generator = np.random.default_rng(1)
        clear = np.repeat([[-2.0] * 5, [2.0] * 5], 100, axis=0) + generator.normal(size=(200, 5))
        some = hide_labels(np.repeat([0, 1], 100), per_class=4, random_state=0)
        kept = SelfTrainingClassifier(LogisticRegression(), fallback=True).fit(clear, some)
    assert any(fell.values())
    assert not kept.fell_back_
    assert kept.unlabeled_gain_ > 0.0


def test_what_cannot_be_judged_is_told():
    X, y = crossed()
    alone = hide_labels(np.where(y >= 0, y, 0), per_class=1, random_state=0)
    with pytest.raises(ValueError, match="at least 2 labels"):
        EntropyRegularizedClassifier(fallback=True).fit(X, alone)
    with pytest.raises(ValueError, match="precomputed"):
        TransductiveSVC("precomputed", fallback=True).fit(X @ X.T, y)
