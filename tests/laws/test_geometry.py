"""Moving the data moves the model: translation, scale, rotation."""

import numpy as np
import pytest

from tests.catalogue import entries, location
from tests.problems import assert_same_answers, overlapping, rotation, same_partition, separated

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# How linear models move stands in test_linear_models.
unsupervised = entries(lambda entry: entry.moves and not entry.supervised)
partitions = entries(lambda entry: not entry.supervised and entry.groups)

# About 1e8 standard deviations. The data lie on a grid of 2**-20, so no bit is lost in the sum
# and whatever differs afterwards was lost by the fit.
FAR = 2.0**27


def assert_moved(entry, fitted, moved, *, scale=1.0, Q=None, shift=0.0, rtol, atol):
    """The parameters of `moved` are those of `fitted`, moved; `atol` in units of the data."""
    Q = np.eye(3) if Q is None else Q
    for name, move in entry.parameters.items():
        expected = move(entry.values(fitted)[name], scale, Q, shift)
        unit = np.abs(move(np.ones_like(expected), scale, np.eye(3), 0.0)).max()
        np.testing.assert_allclose(
            entry.values(moved)[name],
            expected,
            # Sums of squares are large themselves: `atol` relative, for them.
            rtol=rtol if move is location else max(rtol, atol),
            atol=atol * unit,
            err_msg=name,
        )


@pytest.mark.parametrize(**unsupervised)
@pytest.mark.parametrize("make", [separated, overlapping])
def test_translation_far_away_shifts_the_locations_only(entry, make):
    X = np.round(make() * 2**20) / 2**20
    shift = np.array([FAR, -FAR, FAR])
    fitted = entry.started(X).fit(X)
    moved = entry.started(X + shift).fit(X + shift)
    # Locations are stored with a spacing of 3e-8 out there; the gate is 1e-6.
    assert_moved(entry, fitted, moved, shift=shift, rtol=1e-14, atol=1e-6)
    assert_same_answers(fitted, X, moved, X + shift)


@pytest.mark.parametrize(**partitions)
def test_translation_far_away_keeps_the_drawn_partition(entry):
    X = separated()
    shift = np.array([FAR, -FAR, FAR])
    fitted = entry.build().fit(X)
    moved = entry.build().fit(X + shift)
    assert same_partition(moved.predict(X + shift), fitted.predict(X))


@pytest.mark.parametrize(**entries(lambda entry: entry.density))
def test_translation_far_away_keeps_the_density(entry):
    X = np.round(overlapping() * 2**20) / 2**20
    shift = np.array([FAR, -FAR, FAR])
    fitted = entry.started(X).fit(X)
    moved = entry.started(X + shift).fit(X + shift)
    np.testing.assert_allclose(
        moved.score_samples(X + shift), fitted.score_samples(X), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(**unsupervised)
@pytest.mark.parametrize("scale", [1e-8, 1e8, 2.0**-40, 2.0**40])
def test_scale_multiplies_the_parameters(entry, scale):
    """With arguments that have the data's unit scaled along."""
    X = overlapping()
    fitted = entry.started(X).fit(X)
    moved = entry.started(X * scale, **entry.units(scale)).fit(X * scale)
    # A scale that is no power of two rounds the data; iterations amplify that.
    assert_moved(entry, fitted, moved, scale=scale, rtol=1e-8, atol=1e-8)
    if entry.groups:
        assert_same_answers(fitted, X, moved, X * scale)


# Random memberships start EM at a saddle, which rounding then decides how to leave.
decided = entries(
    lambda entry: (
        not entry.supervised
        and entry.groups
        and entry.prototype.get_params().get("init_params") != "random"
    )
)


@pytest.mark.parametrize(**decided)
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_scale_keeps_the_drawn_partition_with_default_arguments(entry, scale):
    X = separated()
    fitted = entry.build().fit(X)
    moved = entry.build().fit(X * scale)
    assert same_partition(moved.predict(X * scale), fitted.predict(X))


@pytest.mark.parametrize(**entries(lambda entry: entry.rotates and not entry.supervised))
def test_rotation_rotates_the_parameters(entry):
    X = overlapping()
    Q = rotation(3)
    fitted = entry.started(X).fit(X)
    moved = entry.started(X @ Q).fit(X @ Q)
    assert_moved(entry, fitted, moved, Q=Q, rtol=1e-8, atol=1e-8)
    if entry.groups:
        assert_same_answers(fitted, X, moved, X @ Q)


@pytest.mark.parametrize(
    **entries(lambda entry: entry.rotates and not entry.supervised and entry.groups)
)
def test_rotation_keeps_the_drawn_partition(entry):
    X = separated()
    Q = rotation(3, seed=1)
    fitted = entry.build().fit(X)
    moved = entry.build().fit(X @ Q)
    assert same_partition(moved.predict(X @ Q), fitted.predict(X))
