"""Kernels of trees against the definition, at every SIMD level."""

import numpy as np
import pytest

from skgen import kernels
from skgen.cluster import linkage
from tests import reference_linkage
from tests.problems import overlapping

CHAINED = ("ward", "average", "complete", "single")


@pytest.fixture(params=kernels.available_levels())
def level(request, monkeypatch):
    monkeypatch.setattr(linkage.kernels, "linkage", kernels.load("linkage", request.param))
    return request.param


def assert_same_tree(found, expected, rtol=1e-12):
    np.testing.assert_array_equal(found[:, [0, 1, 3]], expected[:, [0, 1, 3]])
    np.testing.assert_allclose(found[:, 2], expected[:, 2], rtol=rtol)


@pytest.mark.parametrize("rule", linkage.RULES)
@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 1), (5, 9), (40, 3), (33, 17)])
def test_tree_is_that_of_the_definition(level, rule, n, d):
    X = overlapping(n, d)
    found = linkage.merge_rows(X, np.ones(n), rule).tree(rule in CHAINED)
    assert_same_tree(found, reference_linkage.tree(X, rule))


@pytest.mark.parametrize("rule", linkage.RULES)
def test_weighted_tree_is_that_of_the_definition(level, rule):
    X = overlapping(35, 2)
    weight = np.random.default_rng(0).uniform(0.2, 5.0, size=35)
    found = linkage.merge_rows(X, weight, rule).tree(rule in CHAINED)
    assert_same_tree(found, reference_linkage.tree(X, rule, weight))


@pytest.mark.parametrize("rule", CHAINED)
@pytest.mark.parametrize("weighted", [False, True])
def test_matrix_and_rows_give_the_same_tree(level, rule, weighted):
    X = overlapping(300, 4)
    weight = np.random.default_rng(1).uniform(0.2, 5.0, size=300) if weighted else np.ones(300)
    squared = rule == "ward"
    distances = linkage.euclidean_distances(X, squared)
    by_matrix = linkage.merge_distances(distances, weight, rule, squared).tree(True)
    assert_same_tree(linkage.merge_rows(X, weight, rule).tree(True), by_matrix, rtol=1e-11)


@pytest.mark.parametrize("rule", ["average", "complete"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_when_the_chain_goes_on_by_the_matrix_does_not_show(rule, share, monkeypatch):
    X = overlapping(250, 3)
    expected = linkage.merge_rows(X, np.ones(250), rule).tree(True)
    monkeypatch.setattr(linkage, "FEW_CLUSTERS", share)
    assert_same_tree(linkage.merge_rows(X, np.ones(250), rule).tree(True), expected, rtol=1e-12)


@pytest.mark.parametrize("rule", ["average", "complete"])
def test_dear_bounds_are_given_up(rule, monkeypatch):
    X = overlapping(250, 3)
    expected = linkage.merge_rows(X, np.ones(250), rule).tree(True)
    monkeypatch.setattr(linkage, "DEAR", 0.0)
    monkeypatch.setattr(linkage, "BUDGET", 1e3)
    assert_same_tree(linkage.merge_rows(X, np.ones(250), rule).tree(True), expected, rtol=1e-12)


@pytest.mark.parametrize("rule", linkage.RULES)
def test_slices_do_not_show(rule, monkeypatch):
    X = overlapping(200, 3)
    expected = linkage.merge_rows(X, np.ones(200), rule).tree(rule in CHAINED)
    monkeypatch.setattr(linkage, "BUDGET", 10.0)
    found = linkage.merge_rows(X, np.ones(200), rule).tree(rule in CHAINED)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("rule", ["average", "complete"])
def test_threads_do_not_show(rule):
    X = overlapping(400, 3)
    trees = [linkage.merge_rows(X, np.ones(400), rule, n).tree(True) for n in (1, 2, 5)]
    assert trees[0].tobytes() == trees[1].tobytes() == trees[2].tobytes()


def test_distances_in_float32_are_those_in_float64():
    X = overlapping(100, 6)
    single = linkage.euclidean_distances(X, False, dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, linkage.euclidean_distances(X, False), rtol=1e-7)
