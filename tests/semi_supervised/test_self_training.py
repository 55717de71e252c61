"""Self-training against traces by hand, and that rows keep what belongs to them."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import LogisticRegression as PeerLogistic
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier as PeerSelfTraining
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgen.linear_model import LogisticRegression, Perceptron, SoftmaxRegression
from skgen.semi_supervised import SelfTrainingClassifier
from skgen.semi_supervised.self_training import quotas


@parametrize_with_checks([SelfTrainingClassifier(LogisticRegression())])
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


class Nearest(ClassifierMixin, BaseEstimator):
    """Probabilities from weighted distances to class means in one dimension; remembers its fits."""

    def fit(self, X, y, sample_weight=None, note=None):
        self.seen_ = getattr(self, "seen_", [])
        self.seen_.append((X.copy(), y.copy(), sample_weight, note))
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        self.classes_ = np.unique(y)
        self.means_ = np.array(
            [np.average(X[y == c, 0], weights=weight[y == c]) for c in self.classes_]
        )
        return self

    def predict_proba(self, X):
        closeness = np.exp(-np.abs(X[:, :1] - self.means_))
        return closeness / closeness.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


X_LINE = np.array([[0.0], [1.0], [2.0], [3.2], [6.0], [7.0], [8.0]])
Y_LINE = np.array([0, -1, -1, -1, -1, -1, 1])


def fraction(x, means):
    closeness = np.exp(-np.abs(x - np.array(means)))
    return (closeness / closeness.sum()).max()


def test_threshold_by_hand():
    model = SelfTrainingClassifier(Nearest(), threshold=0.98).fit(X_LINE, Y_LINE)
    # Round 1, means 0 and 8: 1, 2, 6 and 7 are above .98 (e^-4 against e^0), 3.2 is not. Round 2,
    # means 1 and 7: 3.2 lies 2.2 and 3.8 away, a share of 0.83. Nothing changes.
    np.testing.assert_array_equal(model.labeled_iter_, [0, 1, 1, -1, 1, 1, 0])
    np.testing.assert_array_equal(model.transduction_, [0, 0, 0, -1, 1, 1, 1])
    assert model.n_iter_ == 2
    assert model.termination_condition_ == "no_change"
    np.testing.assert_allclose(model.estimator_.means_, [1.0, 7.0])
    np.testing.assert_allclose(model.confidence_[1], fraction(1.0, [0.0, 8.0]))
    assert np.isnan(model.confidence_[3])
    assert model.confidence_[0] == 1.0
    assert model.n_labeled_ == [6, 6]


def test_k_best_by_hand():
    model = SelfTrainingClassifier(Nearest(), criterion="k_best", k_best=2, max_iter=2)
    model.fit(X_LINE, Y_LINE)
    # 1 and 7 are nearest to the ends, then 2 and 6.
    np.testing.assert_array_equal(model.labeled_iter_, [0, 1, 2, -1, 2, 1, 0])
    assert model.termination_condition_ == "max_iter"
    assert "max_iter=2" in model.stop_reason_


def test_quotas_follow_the_labeled_rows():
    np.testing.assert_array_equal(quotas(np.array([1, 3]), 4), [1, 3])
    np.testing.assert_array_equal(quotas(np.array([1, 1, 1]), 4), [2, 1, 1])
    X = np.concatenate([np.linspace(0, 1, 9), np.linspace(6.0, 8.0, 9)])[:, None]
    y = np.full(18, -1)
    y[0], y[15:] = 0, 1
    model = SelfTrainingClassifier(Nearest(), criterion="balanced", k_best=4, max_iter=1)
    model.fit(X, y)
    new = model.transduction_[model.labeled_iter_ == 1]
    np.testing.assert_array_equal(np.bincount(new), [1, 3])


class Turning(Nearest):
    """Changes its mind about the last row at every other fit."""

    def predict_proba(self, X):
        share = super().predict_proba(X)
        if len(self.seen_) % 2:
            share[-1] = [0.99, 0.01]
        return share


def test_labels_are_withdrawn_and_cycles_end():
    X, y = X_LINE[[0, 1, 6, 5]], np.array([0, -1, 1, -1])
    model = SelfTrainingClassifier(Turning(), relabel=True, max_iter=20).fit(X, y)
    assert model.termination_condition_ == "cycle"
    kept = SelfTrainingClassifier(Turning(), max_iter=None).fit(X, y)
    assert kept.transduction_[-1] == 0
    # A row that is no longer sure loses its label: 3.2 is given to class 0 and drawn back.
    drawn = SelfTrainingClassifier(Nearest(), relabel=True, threshold=0.9, max_iter=None)
    X = np.array([[0.0], [0.2], [3.0], [4.0], [4.2], [4.3], [8.0]])
    drawn.fit(X, np.array([0, -1, -1, -1, -1, -1, 1]))
    free = drawn.estimator_.predict_proba(X).max(axis=1) > 0.9
    assert drawn.termination_condition_ in ("no_change", "cycle")
    if drawn.termination_condition_ == "no_change":
        np.testing.assert_array_equal((drawn.labeled_iter_ >= 0)[1:-1], free[1:-1])


def test_soft_labels_are_weighted_copies():
    model = SelfTrainingClassifier(Nearest(), soft_labels=True, threshold=0.98, max_iter=1)
    weight = np.arange(1.0, 8.0)
    model.set_params(unlabeled_weight=0.5).fit(X_LINE, Y_LINE, sample_weight=weight)
    X, _, weights, _ = model.estimator_.seen_[-1]
    first = model.estimator_.seen_[0]
    np.testing.assert_array_equal(first[2], [1.0, 7.0])
    # Two labeled rows, four rows once per class.
    assert len(X) == 2 + 2 * 4
    for row, given in zip(X_LINE[:, 0], weight, strict=True):
        share = weights[X[:, 0] == row]
        if row in (0.0, 8.0):
            np.testing.assert_allclose(share, [given])
        elif row != 3.2:
            np.testing.assert_allclose(share.sum(), 0.5 * given)


def test_weights_stay_with_their_rows():
    generator = np.random.default_rng(0)
    X, y = load_iris(return_X_y=True)
    hidden = np.where(generator.random(150) < 0.7, -1, y)
    weight = generator.integers(0, 3, 150).astype(float)
    weight[np.flatnonzero(hidden == 0)[:2]] = 2.0
    options = {"threshold": 0.9, "warm_rounds": False}
    base = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000)
    heavy = SelfTrainingClassifier(base, **options).fit(X, hidden, sample_weight=weight)
    copies = np.repeat(np.arange(150), weight.astype(int))
    twice = SelfTrainingClassifier(base, **options).fit(X[copies], hidden[copies])
    np.testing.assert_allclose(heavy.predict_proba(X), twice.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(heavy.transduction_[copies], twice.transduction_)


def test_metadata_is_routed_and_sliced():
    with sklearn.config_context(enable_metadata_routing=True):
        base = Nearest().set_fit_request(sample_weight=True, note=True)
        model = SelfTrainingClassifier(base, threshold=0.98)
        note = np.arange(7)
        model.fit(X_LINE, Y_LINE, sample_weight=np.ones(7), note=note)
        np.testing.assert_array_equal(model.estimator_.seen_[0][3], [0, 6])
        np.testing.assert_array_equal(model.estimator_.seen_[-1][3], [0, 1, 2, 4, 5, 6])
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, model)
        pipe.fit(X_LINE, Y_LINE, sample_weight=np.ones(7), note=note)
    with pytest.raises(ValueError, match="only supported if enable_metadata_routing"):
        SelfTrainingClassifier(Nearest()).fit(X_LINE, Y_LINE, note=[1])


@pytest.mark.parametrize("kind", ["none", "minus one", "nan", "na"])
def test_marks_of_rows_without_a_label(kind):
    pandas = pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    open_rows = np.arange(150) % 5 > 0
    expected = SelfTrainingClassifier(LogisticRegression()).fit(X, np.where(open_rows, -1, y))
    if kind == "nan":
        given, names = np.where(open_rows, np.nan, y), np.arange(3.0)
    else:
        names = np.array(["a", "b", "c"], dtype=object)
        given = names[y].copy()
        given[open_rows] = {"none": None, "minus one": -1, "na": None}[kind]
        if kind == "na":
            given = pandas.Series(given, dtype="string")
    model = SelfTrainingClassifier(LogisticRegression()).fit(X, given)
    np.testing.assert_array_equal(model.classes_, names)
    np.testing.assert_array_equal(model.labeled_iter_, expected.labeled_iter_)
    labeled = model.labeled_iter_ >= 0
    np.testing.assert_array_equal(
        model.transduction_[labeled], names[expected.transduction_[labeled]]
    )
    assert model.predict(X[:5]).tolist() == names[expected.predict(X[:5])].tolist()


@pytest.mark.parametrize("criterion", ["threshold", "k_best"])
def test_as_scikit_learn_where_it_is_right(criterion):
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    hidden = np.where(np.arange(len(y)) % 20 > 0, -1, y)
    base = PeerLogistic(C=0.1, tol=1e-8, max_iter=2000)
    options = {"criterion": criterion, "k_best": 50, "max_iter": 4}
    ours = SelfTrainingClassifier(base, **options).fit(X, hidden)
    peer = PeerSelfTraining(base, **options).fit(X, hidden)
    np.testing.assert_array_equal(ours.labeled_iter_, peer.labeled_iter_)
    np.testing.assert_array_equal(ours.transduction_, peer.transduction_)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))
    assert (ours.n_iter_, ours.termination_condition_) == (
        peer.n_iter_,
        peer.termination_condition_,
    )


def test_weights_that_fail_in_scikit_learn():
    # Its weights are not sliced with the rows.
    weight = np.ones(150)
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 3 > 0, -1, y)
    with sklearn.config_context(enable_metadata_routing=True):
        base = PeerLogistic(max_iter=1000).set_fit_request(sample_weight=True)
        base.set_score_request(sample_weight=False)
        with pytest.raises(ValueError):
            PeerSelfTraining(base).fit(X, hidden, sample_weight=weight)
        SelfTrainingClassifier(base).fit(X, hidden, sample_weight=weight)


def test_warm_rounds_reach_the_same_optimum():
    X, y = load_digits(return_X_y=True)
    hidden = np.where(np.arange(len(y)) % 20 > 0, -1, y)
    base = SoftmaxRegression(C=0.01, tol=1e-8, max_iter=500)
    warm = SelfTrainingClassifier(base, threshold=0.9).fit(X / 16.0, hidden)
    cold = SelfTrainingClassifier(base, threshold=0.9, warm_rounds=False).fit(X / 16.0, hidden)
    np.testing.assert_array_equal(warm.transduction_, cold.transduction_)
    np.testing.assert_allclose(warm.estimator_.coef_, cold.estimator_.coef_, atol=1e-5)
    assert warm.estimator_.warm_start is False


def test_scores_are_calibrated_on_request():
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 3 > 0, -1, y)
    with pytest.raises(AttributeError, match="predict_proba"):
        SelfTrainingClassifier(LinearSVC()).fit(X, hidden)
    model = SelfTrainingClassifier(LinearSVC(), calibration="sigmoid").fit(X, hidden)
    assert model.score(X, y) > 0.8
    with pytest.raises(ValueError, match="at least 3 labeled rows of every class"):
        hidden[2:] = -1
        hidden[148:] = 2
        SelfTrainingClassifier(Perceptron(), calibration="sigmoid").fit(X, hidden)


def test_what_cannot_move_is_told():
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 3 > 0, -1, y)
    with pytest.raises(ValueError, match="is a regressor"):
        SelfTrainingClassifier(LinearRegression()).fit(X, hidden)
    with pytest.warns(UserWarning, match="soft labels teach LogisticRegression nothing"):
        soft = SelfTrainingClassifier(
            LogisticRegression(C=np.inf, tol=1e-9, max_iter=1000), soft_labels=True, threshold=0.0
        ).fit(X[:, :1], hidden)
    known = hidden >= 0
    alone = LogisticRegression(C=np.inf, tol=1e-9, max_iter=1000).fit(X[known, :1], hidden[known])
    np.testing.assert_allclose(
        soft.predict_proba(X[:, :1]), alone.predict_proba(X[:, :1]), atol=1e-5
    )


def test_any_rows_and_searches():
    pandas = pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 3 > 0, -1, y)
    dense = SelfTrainingClassifier(LogisticRegression()).fit(X, hidden)
    thin = SelfTrainingClassifier(LogisticRegression()).fit(sparse.csr_matrix(X), hidden)
    np.testing.assert_array_equal(dense.transduction_, thin.transduction_)
    frame = pandas.DataFrame(X, columns=list("abcd"))
    named = SelfTrainingClassifier(KNeighborsClassifier()).fit(frame, hidden)
    np.testing.assert_array_equal(named.feature_names_in_, list("abcd"))
    before = frame.copy()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), clone(dense)),
        {"selftrainingclassifier__threshold": [0.6, 0.9]},
        cv=3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(frame, y)
    pandas.testing.assert_frame_equal(frame, before)
    assert search.best_score_ > 0.9


def test_bad_arguments_are_named():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="y labels none of its 150 rows"):
        SelfTrainingClassifier(LogisticRegression()).fit(X, np.full(150, -1))
    with pytest.raises(ValueError, match="'threshold' parameter"):
        SelfTrainingClassifier(LogisticRegression(), threshold=1.0).fit(X, y)
    with pytest.raises(ValueError, match="mixes strings with int"):
        SelfTrainingClassifier(LogisticRegression()).fit(X[:3], np.array(["a", 1, -1], object))
