"""Splits, scores and experiments where some rows have no label."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression as PeerLogistic
from sklearn.metrics import get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgen.linear_model import LogisticRegression
from skgen.mixture import GaussianMixtureClassifier
from skgen.model_selection import (
    PartiallyLabeledKFold,
    PartiallyLabeledShuffleSplit,
    PartiallyLabeledStratifiedKFold,
    PartiallyLabeledStratifiedShuffleSplit,
    hide_labels,
    is_unlabeled_data_helping,
    labeled_scorer,
)
from skgen.semi_supervised import (
    EntropyRegularizedClassifier,
    LabelSpreading,
    SelfTrainingClassifier,
)

SPLITTERS = [
    PartiallyLabeledKFold(3),
    PartiallyLabeledKFold(3, shuffle=True, random_state=0),
    PartiallyLabeledStratifiedKFold(3),
    PartiallyLabeledShuffleSplit(4, test_size=0.3, random_state=0),
    PartiallyLabeledStratifiedShuffleSplit(4, test_size=0.3, random_state=0),
]
MODELS = {
    "mixture": GaussianMixtureClassifier(covariance_type="diag"),
    "self-training": SelfTrainingClassifier(LogisticRegression()),
    "entropy": EntropyRegularizedClassifier(n_stages=1),
    "spreading": LabelSpreading("knn"),
}


def marked(kind):
    """Iris with two thirds of the labels hidden, in labels of some kind, and the mask."""
    X, y = load_iris(return_X_y=True)
    hidden = np.random.default_rng(0).random(150) < 0.65
    if kind == "integers":
        return X, np.where(hidden, -1, y), hidden
    if kind == "floats":
        return X, np.where(hidden, np.nan, y), hidden
    names = np.array(["a", "b", "c"], dtype=object)[y]
    names[hidden] = None
    if kind == "strings":
        return X, names, hidden
    pandas = pytest.importorskip("pandas")
    return X, pandas.Series(names, dtype="string"), hidden


KINDS = ["integers", "floats", "strings", "pandas"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_rows_without_a_label_are_in_every_training_set(splitter, kind):
    X, y, hidden = marked(kind)
    splits = list(splitter.split(X, y))
    assert len(splits) == splitter.get_n_splits()
    for training, test in splits:
        assert not hidden[test].any()
        assert np.isin(np.flatnonzero(hidden), training).all()
        assert not np.intersect1d(training, test).size
        assert len(np.unique(training)) == len(training)
    if "KFold" in repr(splitter):
        everything = np.sort(np.concatenate([test for _, test in splits]))
        np.testing.assert_array_equal(everything, np.flatnonzero(~hidden))
    again = list(pickle.loads(pickle.dumps(splitter)).split(X, y))
    for one, two in zip(splits, again, strict=True):
        np.testing.assert_array_equal(one[1], two[1])


def test_labeled_folds_are_those_of_scikit_learn():
    X, y = load_iris(return_X_y=True)
    ours = PartiallyLabeledKFold(4, shuffle=True, random_state=3).split(X, y)
    theirs = KFold(4, shuffle=True, random_state=3).split(X)
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
    with pytest.raises(ValueError, match="labels none of its 150 rows"):
        next(PartiallyLabeledKFold().split(X, np.full(150, -1)))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_labeled_rows(kind):
    X, y, hidden = marked(kind)
    model = GaussianMixtureClassifier(covariance_type="diag").fit(X, y)
    labeled = np.flatnonzero(~hidden)
    right = model.predict(X[labeled]) == np.asarray(y, dtype=object)[labeled]
    for scorer in (labeled_scorer(), labeled_scorer("accuracy"), labeled_scorer(correct)):
        assert scorer(model, X, y) == pytest.approx(right.mean())
        again = pickle.loads(pickle.dumps(scorer))
        assert again(model, X, y) == scorer(model, X, y)
    assert np.isnan(labeled_scorer()(model, X[hidden], np.asarray(y, dtype=object)[hidden]))
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 150)
    weighted = labeled_scorer("accuracy")(model, X, y, sample_weight=weight)
    assert weighted == pytest.approx(np.average(right, weights=weight[labeled]))


def correct(estimator, X, y):
    assert len(X) == len(y)
    return float(np.mean(estimator.predict(X) == y))


def test_weights_are_routed_to_scorers():
    assert "accuracy_score" in repr(labeled_scorer("accuracy"))
    with pytest.raises(TypeError, match="scoring=3"):
        labeled_scorer(3)
    X, y, _ = marked("integers")
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = get_scorer("accuracy").set_score_request(sample_weight=True)
        base = PeerLogistic(max_iter=1000).set_fit_request(sample_weight=True)
        model = SelfTrainingClassifier(base)
        cv = PartiallyLabeledStratifiedKFold(3)
        found = cross_val_score(
            model, X, y, cv=cv, scoring=labeled_scorer(inner), params={"sample_weight": weight}
        )
        for (training, test), score in zip(cv.split(X, y), found, strict=True):
            alone = SelfTrainingClassifier(base)
            alone.fit(X[training], y[training], sample_weight=weight[training])
            right = alone.predict(X[test]) == y[test]
            assert score == pytest.approx(np.average(right, weights=weight[test]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_searches_and_curves(name, kind):
    X, y, _ = marked(kind)
    pipe = make_pipeline(StandardScaler(), MODELS[name])
    step = pipe.steps[-1][0]
    grid = {
        "mixture": {"unlabeled_weight": [0.1, 1.0]},
        "self-training": {"threshold": [0.7, 0.9]},
        "entropy": {"entropy_weight": [0.1, 1.0]},
        "spreading": {"n_neighbors": [5, 9]},
    }[name]
    cv = PartiallyLabeledStratifiedKFold(3)
    search = GridSearchCV(
        pipe,
        {f"{step}__{key}": values for key, values in grid.items()},
        cv=cv,
        scoring=labeled_scorer("accuracy"),
        error_score="raise",
    ).fit(X, y)
    assert search.best_score_ > 0.85
    scores = cross_val_score(pipe, X, y, cv=cv, scoring=labeled_scorer("neg_log_loss"))
    assert (scores > -1.0).all()
    if kind == "integers":
        _, training, test = learning_curve(
            pipe,
            X,
            y,
            cv=PartiallyLabeledStratifiedKFold(3, shuffle=True, random_state=0),
            train_sizes=[0.9, 1.0],
            scoring=labeled_scorer("accuracy"),
        )
        assert np.isfinite(test).all()
        assert np.isfinite(training).all()


def test_hidden_labels():
    y = np.repeat([0, 1, 2], [10, 20, 30])
    hidden = hide_labels(y, 0.5, random_state=0)
    kept = np.bincount(hidden[hidden >= 0])
    np.testing.assert_array_equal(kept, [5, 10, 15])
    np.testing.assert_array_equal(hidden[hidden >= 0], y[hidden >= 0])
    np.testing.assert_array_equal(y, np.repeat([0, 1, 2], [10, 20, 30]))
    np.testing.assert_array_equal(hidden, hide_labels(y, 0.5, random_state=0))
    assert (hidden != hide_labels(y, 0.5, random_state=1)).any()
    for given in (y, y.astype(float), y.astype(np.uint8), np.array(list("abc"))[y], y.tolist()):
        answer = hide_labels(given, per_class=2, random_state=0)
        mark = {"i": -1, "f": np.nan, "O": None}[answer.dtype.kind]
        unknown = np.array([label is None or label != label or label == -1 for label in answer])
        assert (~unknown).sum() == 6
        assert mark is None or np.isnan(mark) or (answer[unknown] == mark).all()
    # What is hidden already stays so.
    twice = hide_labels(hidden, 0.5, random_state=0)
    assert (twice[hidden < 0] < 0).all()
    fewest = hide_labels(y, 1.0)
    np.testing.assert_array_equal(fewest[fewest >= 0], [0, 1, 2])


def test_hidden_labels_of_pandas():
    pandas = pytest.importorskip("pandas")
    for values, dtype in (
        (["a", "b"], "string"),
        (["a", "b"], object),
        ([0, 1], "Int64"),
        ([0, 1], int),
        (["a", "b"], "category"),
    ):
        y = pandas.Series(values * 10, dtype=dtype, index=np.arange(100, 120))
        hidden = hide_labels(y, per_class=3, random_state=0)
        assert hidden.dtype == y.dtype
        assert list(hidden.index) == list(y.index)
        model = GaussianMixtureClassifier(covariance_type="diag", reg_covar=1.0)
        model.fit(np.arange(20.0)[:, None], hidden)
        np.testing.assert_array_equal(model.classes_, values)
        left = hidden[~hidden.isna()]
        assert (left.isin(values)).sum() == 6


def test_bad_hiding_is_named():
    y = np.repeat([0, 1], 5)
    for options in ({}, {"share": 0.5, "per_class": 1}):
        with pytest.raises(ValueError, match="give one of share and per_class"):
            hide_labels(y, **options)
    with pytest.raises(ValueError, match=r"share=1\.5"):
        hide_labels(y, 1.5)
    with pytest.raises(ValueError, match="per_class=0"):
        hide_labels(y, per_class=0)
    with pytest.raises(ValueError, match="6 labels of class"):
        hide_labels(y, per_class=6)
    with (
        pytest.warns(UserWarning, match="two classes"),
        pytest.raises(ValueError, match="class -1"),
    ):
        hide_labels(2 * y - 1, 0.5)


def test_whether_unlabeled_rows_help():
    generator = np.random.default_rng(0)
    X = np.concatenate([generator.normal(-2, 1, (300, 6)), generator.normal(2, 1, (300, 6))])
    y = np.repeat([0, 1], 300)
    some = hide_labels(y, per_class=10, random_state=0)
    result = is_unlabeled_data_helping(
        GaussianMixtureClassifier(covariance_type="full"), X, some, cv=5
    )
    assert result.gain > 0.0
    assert result.interval[0] < result.gain < result.interval[1]
    assert "unlabeled rows" in str(result)
    # By hand: the same folds, log loss and t.
    cv = PartiallyLabeledStratifiedKFold(5, shuffle=True, random_state=0)
    for number, (training, test) in enumerate(cv.split(X, some)):
        full = GaussianMixtureClassifier(covariance_type="full").fit(X[training], some[training])
        expected = -log_loss(some[test], full.predict_proba(X[test]), labels=[0, 1])
        assert result.with_unlabeled[number] == pytest.approx(expected, abs=1e-9)
        alone = training[some[training] >= 0]
        poor = GaussianMixtureClassifier(covariance_type="full").fit(X[alone], some[alone])
        expected = -log_loss(some[test], poor.predict_proba(X[test]), labels=[0, 1])
        assert result.without_unlabeled[number] == pytest.approx(expected, rel=1e-9)
    gains = result.with_unlabeled - result.without_unlabeled
    half = 2.7764451052 * gains.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(result.interval, [gains.mean() - half, gains.mean() + half])
    # A wrong model is hurt: classes are not the clusters.
    X = np.repeat([[-1.0], [1.0]], 300, axis=0) + generator.normal(size=(600, 3))
    X[:, 0] = np.where(generator.random(600) < 0.5, 6.0, -6.0) + generator.normal(size=600)
    some = hide_labels(y, per_class=30, random_state=0)
    wrong = GaussianMixtureClassifier(covariance_type="spherical")
    worse = is_unlabeled_data_helping(wrong, X, some)
    assert worse.helps is False
    assert "hurt" in str(worse)
    right = is_unlabeled_data_helping(wrong, X, some, scoring="accuracy")
    assert right.scoring == "accuracy"
    assert right.helps is None


def test_bad_comparisons_are_named():
    X, y = load_iris(return_X_y=True)
    model = GaussianMixtureClassifier()
    with pytest.raises(ValueError, match="not all"):
        is_unlabeled_data_helping(model, X, y)
    with pytest.raises(ValueError, match="at least 2 labels"):
        is_unlabeled_data_helping(model, X, hide_labels(y, per_class=1))
    with pytest.raises(ValueError, match="confidence=1"):
        is_unlabeled_data_helping(model, X, hide_labels(y, per_class=5), confidence=1.0)


def test_scorers_made_of_functions():
    X, y, _ = marked("strings")
    model = GaussianMixtureClassifier(covariance_type="diag").fit(X, y)
    scorer = labeled_scorer(make_scorer(log_loss, response_method="predict_proba"))
    assert scorer(model, X, y) > 0.0
