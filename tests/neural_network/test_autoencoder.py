"""Autoencoders: linear ones are PCA, noise is what it says, outliers are restored badly."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import subspace_angles
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from skgen.decomposition import PCA
from skgen.networks.activations import Tanh
from skgen.networks.losses import Binary, Squared
from skgen.networks.network import Layer, Network
from skgen.neural_network import Autoencoder
from skgen.neural_network.autoencoder import CorruptedBatches, tie
from skgen.rows import Rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LINEAR = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 0.0, "max_iter": 3000}
LINEAR |= {"tol": 1e-9, "max_fun": 10**6, "random_state": 0}


def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16.0, y


def plane(n=200, seed=0):
    """Rows near a plane in five dimensions."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(n, 5)) + 1.0


def differences(f, w, step=1e-5):
    return np.array([(f(w + step * e) - f(w - step * e)) / (2 * step) for e in np.eye(len(w))])


@pytest.mark.parametrize("loss", [Squared(), Binary()])
def test_gradient_of_shared_weights_is_that_of_the_differences(loss):
    rng = np.random.default_rng(0)
    layers = tie([Layer(5, 4, Tanh(), True), Layer(4, 2), Layer(2, 4, Tanh(), True), Layer(4, 5)])
    network = Network(layers, loss, l2=0.3)
    # Two matrices, not four.
    assert network.penalized.sum() == 5 * 4 + 4 * 2
    X, weight = rng.uniform(size=(8, 5)), rng.uniform(0.5, 2.0, 8)
    w = rng.normal(scale=0.5, size=network.layout.size)
    _, gradient = network.value_and_gradient(w, X, X, weight)
    expected = differences(lambda v: network.value_and_gradient(v, X, X, weight)[0], w)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_the_linear_code_is_that_of_principal_components(tied, k):
    X = plane()
    encoder = Autoencoder(k, tied=tied, **LINEAR).fit(X)
    pca = PCA(k).fit(X)
    least = 0.5 * ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1).mean()
    # Baldi and Hornik (1989): the objective has no other minimum.
    # L-BFGS-B stops where a step gains less than 2e-9 of the objective.
    assert -encoder.score(X) == pytest.approx(least, rel=1e-5)
    angles = subspace_angles(encoder.coefs_[-1].T, pca.components_.T)
    assert np.abs(angles).max() < 1e-3
    if tied:
        np.testing.assert_array_equal(encoder.coefs_[1], encoder.coefs_[0].T)


def test_scores_and_codes_are_what_the_layers_say():
    X, _ = digits()
    encoder = Autoencoder(3, hidden_layer_sizes=(12, 8), max_iter=5, random_state=0).fit(X)
    a = X
    for number in range(3):
        a = a @ encoder.coefs_[number] + encoder.intercepts_[number]
        a = np.maximum(a, 0.0) if number < 2 else a
    np.testing.assert_allclose(encoder.transform(X), a, rtol=1e-10)
    restored = encoder.inverse_transform(encoder.transform(X))
    assert restored.shape == X.shape
    np.testing.assert_allclose(
        encoder.score_samples(X), -0.5 * ((restored - X) ** 2).sum(axis=1), rtol=1e-9
    )
    assert encoder.score(X) == pytest.approx(encoder.score_samples(X).mean())
    assert list(encoder.get_feature_names_out()) == [f"autoencoder{i}" for i in range(3)]


def test_cross_entropy_of_chances_has_its_floor_at_their_entropy():
    X = np.random.default_rng(0).uniform(0.05, 0.95, size=(100, 4))
    entropy = -(X * np.log(X) + (1 - X) * np.log1p(-X)).sum(axis=1)
    encoder = Autoencoder(4, loss="cross_entropy", **LINEAR | {"max_iter": 500}).fit(X)
    assert (encoder.score_samples(X) <= -entropy + 1e-12).all()
    assert -encoder.score(X) == pytest.approx(entropy.mean(), rel=1e-2)
    restored = encoder.inverse_transform(encoder.transform(X))
    assert ((restored > 0) & (restored < 1)).all()


def corrupted(X, noise, level, weight=None, epoch=0, seed=7):
    network = Network([Layer(X.shape[1], 2), Layer(2, X.shape[1])], Squared())
    batches = CorruptedBatches(Rows(X, weight, X), network, seed, noise, level)
    batches.renew(epoch)
    return batches.X


def test_noise_is_what_it_says_and_new_in_every_epoch():
    X = np.random.default_rng(0).normal(size=(3000, 20)) + 5.0
    before = X.copy()
    added = corrupted(X, "gaussian", 0.3) - X
    # Six standard errors of mean and deviation of 60000 numbers.
    assert abs(added.mean()) < 6 * 0.3 / np.sqrt(added.size)
    assert added.std() == pytest.approx(0.3, abs=6 * 0.3 / np.sqrt(2 * added.size))
    masked = corrupted(X, "masking", 0.3)
    assert abs((masked == 0).mean() - 0.3) < 6 * np.sqrt(0.21 / masked.size)
    np.testing.assert_array_equal(masked[masked != 0], X[masked != 0])
    assert (corrupted(X, "masking", 0.3, epoch=1) != masked).any()
    assert (corrupted(X, "masking", 0.3, seed=8) != masked).any()
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("noise", ["gaussian", "masking"])
def test_rows_of_weight_zero_draw_no_noise(noise):
    X = np.random.default_rng(0).normal(size=(30, 4))
    weight = np.where(np.arange(30) % 3 == 0, 0.0, 1.0)
    found = corrupted(X, noise, 0.4, weight)[weight > 0]
    np.testing.assert_array_equal(found, corrupted(X[weight > 0], noise, 0.4))


def test_masks_of_sparse_rows_are_those_of_dense_ones():
    X = sparse.random(50, 30, 0.2, format="csr", random_state=0)
    for dtype in (np.float32, np.float64):
        found = corrupted(X.astype(dtype), "masking", 0.5)
        np.testing.assert_array_equal(
            found.toarray(), corrupted(X.toarray().astype(dtype), "masking", 0.5)
        )


def test_a_network_that_restores_noisy_rows_is_more_robust():
    X, _ = digits()
    rng = np.random.default_rng(0)
    noisy = X + 0.3 * rng.normal(size=X.shape)
    arguments = {"hidden_layer_sizes": (), "max_iter": 60, "learning_rate_init": 0.01}
    errors = []
    for noise in (None, "gaussian"):
        encoder = Autoencoder(
            48, activation="relu", noise=noise, noise_level=0.3, random_state=0, **arguments
        ).fit(X)
        restored = encoder.inverse_transform(encoder.transform(noisy))
        errors.append(((restored - X) ** 2).mean())
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("digit", [1, 4, 8])
def test_a_digit_never_seen_is_an_outlier_more_clearly_than_by_pca(digit):
    X, y = digits()
    seen = X[y != digit]
    encoder = Autoencoder(
        8, hidden_layer_sizes=(64,), max_iter=100, learning_rate_init=0.003, random_state=0
    ).fit(seen)
    pca = PCA(8).fit(seen)
    error = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1)
    ours = roc_auc_score(y == digit, -encoder.score_samples(X))
    assert ours > roc_auc_score(y == digit, error)
    assert ours > 0.85


@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.3])
def test_contamination_is_the_share_of_outliers(contamination):
    X, _ = digits()
    encoder = Autoencoder(
        4, hidden_layer_sizes=(10,), max_iter=3, contamination=contamination, random_state=0
    ).fit(X)
    assert (encoder.predict(X) == -1).mean() == pytest.approx(contamination, abs=1 / len(X))
    np.testing.assert_array_equal(encoder.predict(X) == -1, encoder.decision_function(X) < 0)
    np.testing.assert_array_equal(encoder.fit_predict(X), encoder.predict(X))


@pytest.mark.parametrize("noise", [None, "gaussian", "masking"])
@pytest.mark.parametrize("tied", [False, True])
def test_partial_fit_gives_the_bits_of_fit(noise, tied):
    X = plane()
    arguments = {"hidden_layer_sizes": (6,), "noise": noise, "tied": tied, "random_state": 0}
    whole = Autoencoder(2, max_iter=4, **arguments).fit(X)
    parts = Autoencoder(2, **arguments)
    for _ in range(4):
        parts.partial_fit(X)
    for one, other in zip(parts.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    assert parts.offset_ == whole.offset_


def test_early_stopping_watches_rows_of_its_own():
    X, _ = digits()
    encoder = Autoencoder(4, hidden_layer_sizes=(20,), max_iter=4, random_state=0)
    encoder.fit(X[:1000], X_val=X[1000:])
    assert len(encoder.validation_loss_curve_) == 4
    assert encoder.validation_loss_curve_[-1] == pytest.approx(-encoder.score(X[1000:]), rel=1e-6)


REFUSED = {
    "rows beyond [0, 1]": ({"loss": "cross_entropy"}, r"cross_entropy.*X in \[0, 1\].*-"),
    "masks of all": ({"noise": "masking", "noise_level": 1.0}, r"noise_level=1.0.*\[0, 1\)"),
    "noise in one whole descent": (
        {"noise": "masking", "solver": "lbfgs"},
        "noise='masking'.*lbfgs",
    ),
    "tied maxout": ({"tied": True, "activation": "maxout"}, "tied=True.*maxout"),
    "a contamination of all": ({"contamination": 0.6}, "contamination"),
    "an unknown noise": ({"noise": "salt"}, "noise"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_name_what_was_given(what):
    arguments, message = REFUSED[what]
    with pytest.raises(ValueError, match=message):
        Autoencoder(2, **arguments).fit(plane() - 1.0)


def test_refusals_of_sparse_rows_and_codes():
    X = plane()
    with pytest.raises(ValueError, match=r"noise='gaussian'.*sparse"):
        Autoencoder(2, noise="gaussian").fit(sparse.csr_matrix(X))
    encoder = Autoencoder(2, hidden_layer_sizes=(3,), max_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="3 columns, but codes have 2"):
        encoder.inverse_transform(X[:, :3])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_never_dense_as_a_whole(solver):
    X = sparse.random(6000, 3000, 1e-3, "csr", np.float32, random_state=0)
    encoder = Autoencoder(
        2, hidden_layer_sizes=(4,), solver=solver, max_iter=1, random_state=0, n_jobs=1
    )
    tracemalloc.start()
    encoder.fit(X).score_samples(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # In float64, 144 MB; a block has 17 MB, and some arrays of its size.
    assert peak < 120e6


@pytest.mark.parametrize("arguments", [{}, {"tied": True}, {"noise": "masking"}])
def test_sparse_rows_train_as_dense_ones(arguments):
    X, _ = digits()
    arguments = {"hidden_layer_sizes": (9,), "max_iter": 3, "random_state": 0} | arguments
    dense = Autoencoder(3, early_stopping=True, **arguments).fit(X)
    found = Autoencoder(3, early_stopping=True, **arguments).fit(sparse.csr_matrix(X))
    np.testing.assert_allclose(found.coefs_[0], dense.coefs_[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.validation_scores_, dense.validation_scores_, rtol=1e-9)
    np.testing.assert_allclose(found.score_samples(X), dense.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_weight_two_is_the_row_twice(tied):
    X = plane()
    weight = np.arange(len(X)) % 3
    arguments = {"hidden_layer_sizes": (5,), "activation": "tanh", "solver": "lbfgs"}
    encoder = Autoencoder(2, tied=tied, max_iter=10, random_state=0, **arguments)
    one = clone(encoder).fit(X, sample_weight=weight)
    other = clone(encoder).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-6, atol=1e-8)
    assert one.offset_ == pytest.approx(other.offset_, rel=1e-6)


@pytest.mark.parametrize("noise", [None, "gaussian"])
@pytest.mark.parametrize("tied", [False, True])
def test_threads_change_no_bit(noise, tied):
    X, _ = digits()
    arguments = {"hidden_layer_sizes": (9,), "max_iter": 3, "noise": noise, "tied": tied}
    one, two = (Autoencoder(3, random_state=0, n_jobs=n, **arguments).fit(X) for n in (1, 2))
    for first, second in zip(one.coefs_, two.coefs_, strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one.score_samples(X), two.score_samples(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict(X), one.predict(X))
