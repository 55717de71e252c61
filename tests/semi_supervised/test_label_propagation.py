"""Label propagation and spreading against closed forms, and where scikit-learn's go wrong."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelPropagation as PeerPropagation
from sklearn.semi_supervised import LabelSpreading as PeerSpreading
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgen.semi_supervised import LabelPropagation, LabelSpreading
from skgen.solvers.conjugate_gradients import conjugate_gradients

BOTH = [LabelPropagation, LabelSpreading]


@parametrize_with_checks(
    [
        LabelPropagation(),
        LabelSpreading(),
        LabelPropagation(class_mass_normalization=True),
        LabelSpreading(solver="direct"),
    ]
)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def some(n=40, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n, 2))
    y = np.where(X[:, 0] + 0.3 * X[:, 1] > 0, 1, 0)
    hidden = np.where(np.arange(n) % 4 > 0, -1, y)
    return X, hidden, y


@pytest.mark.parametrize("solver", ["auto", "direct", "cg"])
def test_harmonic_solution(solver):
    X, hidden, _ = some()
    W = rbf_kernel(X, gamma=1.5)
    open_rows, known = hidden < 0, hidden >= 0
    L = np.diag(W.sum(axis=1)) - W
    Y = np.eye(2)[hidden[known]]
    expected = np.linalg.solve(L[np.ix_(open_rows, open_rows)], W[np.ix_(open_rows, known)] @ Y)
    model = LabelPropagation(gamma=1.5, solver=solver, tol=1e-9).fit(X, hidden)
    np.testing.assert_allclose(model.label_distributions_[open_rows], expected, atol=1e-9)
    np.testing.assert_array_equal(model.label_distributions_[known], Y)
    assert model.converged_


@pytest.mark.parametrize("solver", ["auto", "direct", "cg"])
@pytest.mark.parametrize("alpha", [0.2, 0.9])
def test_spreading_solution(alpha, solver):
    X, hidden, _ = some()
    W = rbf_kernel(X, gamma=1.5)
    np.fill_diagonal(W, 0.0)
    root = 1.0 / np.sqrt(W.sum(axis=1))
    S = root[:, None] * W * root
    Y = np.zeros((len(X), 2))
    Y[hidden >= 0, hidden[hidden >= 0]] = 1.0
    expected = np.linalg.solve(np.eye(len(X)) - alpha * S, Y)
    expected /= expected.sum(axis=1, keepdims=True)
    model = LabelSpreading(gamma=1.5, alpha=alpha, solver=solver, tol=1e-9, max_iter=500)
    model.fit(X, hidden)
    np.testing.assert_allclose(model.label_distributions_, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("ours", "peer"), [(LabelPropagation, PeerPropagation), (LabelSpreading, PeerSpreading)]
)
def test_as_scikit_learn_when_that_goes_on_to_the_end(ours, peer):
    X, hidden, _ = some()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = peer(gamma=1.5, max_iter=100_000, tol=1e-14).fit(X, hidden)
    model = ours(gamma=1.5, tol=1e-9).fit(X, hidden)
    np.testing.assert_allclose(model.label_distributions_, theirs.label_distributions_, atol=1e-7)
    np.testing.assert_array_equal(model.transduction_, theirs.transduction_)
    new = np.random.default_rng(1).normal(size=(30, 2))
    np.testing.assert_allclose(model.predict_proba(new), theirs.predict_proba(new), atol=1e-7)


def far_groups():
    """Two groups of rows that no edge joins; the second has no label."""
    generator = np.random.default_rng(0)
    X = np.concatenate([generator.normal(0, 1, (20, 2)), generator.normal(500.0, 1, (20, 2))])
    hidden = np.full(40, -1)
    hidden[:5] = [3, 7, 7, 7, 7]
    return X, hidden


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("kernel", ["knn", "rbf"])
def test_rows_that_no_label_reaches_are_told(kind, kernel):
    X, hidden = far_groups()
    options = {"kernel": kernel, "gamma": 0.5, "n_neighbors": 6}
    with pytest.warns(UserWarning, match="20 of 40 rows are joined to no labeled row"):
        model = kind(**options).fit(X, hidden)
    np.testing.assert_allclose(model.label_distributions_[20:], np.tile([0.2, 0.8], (20, 1)))
    assert model.n_unreached_ == 20
    with pytest.warns(UserWarning, match="left without a label"):
        model = kind(**options, unreached="unlabeled").fit(X, hidden)
    np.testing.assert_array_equal(model.transduction_[20:], -1)
    assert not model.label_distributions_[20:].any()
    # A mark of the kind of y.
    with pytest.warns(UserWarning):
        names = np.where(hidden == 3, "a", "b").astype(object)
        names[hidden < 0] = None
        model = kind(**options, unreached="unlabeled").fit(X, names)
    assert model.transduction_[20:].tolist() == [None] * 20
    # scikit-learn calls them class 0, and says nothing of it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = PeerPropagation(kernel="knn", n_neighbors=6).fit(X, hidden)
    np.testing.assert_array_equal(theirs.transduction_[20:], 3)


@pytest.mark.parametrize("kind", BOTH)
def test_weight_two_is_the_row_twice(kind):
    X, hidden, _ = some()
    weight = np.random.default_rng(3).integers(0, 4, len(X))
    weight[[0, 4, 8, 12]] = [1, 2, 3, 1]
    copies = np.repeat(np.arange(len(X)), weight)
    options = {"gamma": 1.5, "tol": 1e-9, "max_iter": 1000}
    heavy = kind(**options).fit(X, hidden, sample_weight=weight)
    twice = kind(**options).fit(X[copies], hidden[copies])
    np.testing.assert_allclose(
        heavy.label_distributions_[copies], twice.label_distributions_, atol=1e-9
    )
    new = np.random.default_rng(1).normal(size=(30, 2))
    np.testing.assert_allclose(heavy.predict_proba(new), twice.predict_proba(new), atol=1e-9)
    # A row of weight zero is told like a new one, from the rows that are there.
    assert np.isfinite(heavy.label_distributions_).all()


def test_absent_rows_carry_no_label():
    X = np.array([[0.0], [1.0], [2.0], [10.0]])
    hidden = np.array([0, -1, -1, 1])
    weight = np.array([1.0, 0.0, 1.0, 1.0])
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        LabelPropagation("radius", radius=1.5).fit(X, hidden, sample_weight=weight)


@pytest.mark.parametrize("kind", BOTH)
def test_graphs_given_and_made_are_the_same(kind):
    X, hidden, _ = some()
    made = kind("knn", n_neighbors=7, tol=1e-9).fit(X, hidden)
    graph = KNeighborsTransformer(n_neighbors=7, mode="connectivity").fit(X)
    A = graph.transform(X)
    A.setdiag(0.0)
    A.eliminate_zeros()
    ring = A.maximum(A.T)
    for given in (ring, ring.toarray()):
        model = kind("precomputed", tol=1e-9).fit(given, hidden)
        np.testing.assert_allclose(model.label_distributions_, made.label_distributions_, atol=1e-8)
    distances = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
    full = kind("precomputed_distances", gamma=1.5, tol=1e-9).fit(distances, hidden)
    rbf = kind(gamma=1.5, tol=1e-9).fit(X, hidden)
    called = kind(lambda A, B: rbf_kernel(A, B, gamma=1.5), tol=1e-9).fit(X, hidden)
    for model in (full, called):
        np.testing.assert_allclose(model.label_distributions_, rbf.label_distributions_, atol=1e-9)


def test_a_transformer_of_neighbors_in_a_pipeline():
    X, y = load_digits(return_X_y=True)
    hidden = np.where(np.arange(len(y)) % 10 > 0, -1, y)
    pipe = make_pipeline(
        KNeighborsTransformer(n_neighbors=10, mode="distance"),
        LabelSpreading("precomputed_distances", gamma=1e-3),
    ).fit(X, hidden)
    assert pipe[-1].transduction_[hidden < 0].tolist().count(0) > 0
    assert (pipe[-1].transduction_ == y).mean() > 0.95
    assert (pipe.predict(X[:200]) == y[:200]).mean() > 0.95


def test_self_tuning_follows_the_density():
    X, hidden, _ = some()
    k = 6
    D = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
    order = np.argsort(D, axis=1)[:, 1 : k + 1]
    near = np.zeros_like(D, dtype=bool)
    np.put_along_axis(near, order, True, axis=1)
    width = np.take_along_axis(D, order[:, -1:], axis=1)
    W = np.where(near | near.T, np.exp(-(D**2) / (width * width.T)), 0.0)
    model = LabelPropagation("self_tuning", n_neighbors=k + 1, tol=1e-9).fit(X, hidden)
    given = LabelPropagation("precomputed", tol=1e-9).fit(W, hidden)
    np.testing.assert_allclose(model.label_distributions_, given.label_distributions_, atol=1e-9)
    assert model.predict(X[:7]).shape == (7,)


def test_class_mass():
    X, hidden, _ = some()
    hidden[[0, 4, 8]] = 0
    plain = LabelPropagation(gamma=1.5, tol=1e-9).fit(X, hidden)
    model = LabelPropagation(gamma=1.5, tol=1e-9, class_mass_normalization=True).fit(X, hidden)
    open_rows, known = hidden < 0, hidden >= 0
    prior = np.bincount(hidden[known]) / known.sum()
    F = plain.label_distributions_[open_rows]
    F = F * prior / F.sum(axis=0)
    np.testing.assert_allclose(
        model.label_distributions_[open_rows], F / F.sum(axis=1, keepdims=True), atol=1e-9
    )


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("kernel", ["rbf", "knn", "self_tuning"])
def test_two_moons_with_a_label_each(kind, kernel):
    X, y = make_moons(200, noise=0.05, random_state=0)
    hidden = np.full(200, -1)
    for label in (0, 1):
        hidden[np.flatnonzero(y == label)[0]] = label
    options = {"alpha": 0.99, "max_iter": 1000} if kind is LabelSpreading else {}
    model = kind(kernel, gamma=60.0, **options).fit(X, hidden)
    np.testing.assert_array_equal(model.transduction_, y)
    assert (model.predict(X + 0.01) == y).all()


@pytest.mark.parametrize("kind", BOTH)
def test_sparse_rows_marks_and_pickles(kind):
    X, y = load_iris(return_X_y=True)
    hidden = np.where(np.arange(150) % 5 > 0, -1, y)
    dense = kind("knn").fit(X, hidden)
    thin = kind("knn").fit(sparse.csr_matrix(X), hidden)
    np.testing.assert_array_equal(dense.transduction_, thin.transduction_)
    names = np.array(["x", "y", "z"], dtype=object)[y]
    names[hidden < 0] = None
    named = kind("knn").fit(X, names)
    assert named.transduction_.tolist() == [["x", "y", "z"][k] for k in dense.transduction_]
    again = pickle.loads(pickle.dumps(dense))
    np.testing.assert_array_equal(again.predict_proba(X), dense.predict_proba(X))
    single = kind(gamma=0.5).fit(X.astype(np.float32), hidden)
    double = kind(gamma=0.5).fit(X, hidden)
    np.testing.assert_allclose(single.label_distributions_, double.label_distributions_, atol=1e-4)


def test_memory_is_that_of_the_edges():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(20_000, 3))
    hidden = np.where(np.arange(len(X)) < 100, X[:, 0] > 0, -1)
    tracemalloc.start()
    LabelSpreading("knn").fit(X, hidden)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Some 130000 edges; all pairs would take 3.2 GB.
    assert peak < 60e6


def test_what_does_not_converge_says_so():
    X, hidden, _ = some()
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        LabelSpreading(gamma=1.5, alpha=0.99, max_iter=2, solver="cg").fit(X, hidden)


def test_conjugate_gradients_solve():
    generator = np.random.default_rng(0)
    A = generator.normal(size=(30, 30))
    A = A @ A.T + np.eye(30)
    B = np.column_stack([generator.normal(size=(30, 3)), np.zeros(30)])
    found = conjugate_gradients(lambda P: A @ P, np.diag(A), B, 1e-12, 500)
    np.testing.assert_allclose(found.X, np.linalg.solve(A, B), atol=1e-9)
    assert found.converged
    near = conjugate_gradients(lambda P: A @ P, np.diag(A), B, 1e-12, 500, start=found.X)
    assert near.n_iter <= 1


def test_a_search_over_graphs():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(LabelSpreading("knn"), {"n_neighbors": [3, 7]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.9


def test_bad_arguments_are_named():
    X, hidden, _ = some()
    with pytest.raises(ValueError, match="must be square, got X of shape"):
        LabelPropagation("precomputed").fit(X, hidden)
    with pytest.raises(ValueError, match="affinities of at least 0"):
        LabelPropagation("precomputed").fit(-np.eye(40), hidden)
    with pytest.raises(ValueError, match="y labels none"):
        LabelPropagation().fit(X, np.full(40, -1))
    with pytest.raises(ValueError, match="leaves no row that y labels"):
        LabelPropagation().fit(X, hidden, sample_weight=(hidden < 0).astype(float))
    with pytest.raises(ValueError, match="'kernel' parameter"):
        LabelPropagation("linear").fit(X, hidden)
