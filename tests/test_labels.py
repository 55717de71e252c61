"""Class numbers are those of numpy.unique, whatever the labels are."""

import numpy as np
import pytest

from skgen.labels import COMPARED_CLASSES, FIRST_LABELS, LABEL_TABLE, encode_labels

rng = np.random.default_rng(0)
LABELS = {
    "two": rng.integers(2, size=3000),
    "ten": rng.integers(10, size=3000).astype(np.int32),
    "narrow": np.array([-128, 127, 5, 5], dtype=np.int8),
    "unsigned": np.array([2**63 + 5, 2**63, 2**63 + 9] * 2 + [2**63 + 1, 2**63 + 2], np.uint64),
    "wide": np.array([-(2**62), 2**62, 0, 7, 8, 9]),
    "table": np.array([0, LABEL_TABLE - 1, 3, 4, 5, 6]),
    "beyond": np.array([0, LABEL_TABLE, 3, 4, 5, 6]),
    "booleans": rng.random(50) < 0.5,
    "one": np.full(7, 3),
    "floats": rng.integers(3, size=100).astype(float),
    "many floats": rng.integers(30, size=100) / 4,
    "strings": np.array(["ham", "spam", "eggs"])[rng.integers(3, size=100)],
    "objects": np.array(["b", "a", "b"], dtype=object),
    "late": np.concatenate([np.zeros(2 * FIRST_LABELS, int), np.arange(COMPARED_CLASSES + 3)]),
    "late two": np.concatenate([np.ones(2 * FIRST_LABELS), np.zeros(1)]),
}


@pytest.mark.parametrize("name", LABELS)
def test_classes_and_numbers_are_those_of_unique(name):
    y = LABELS[name]
    classes, codes = encode_labels(y)
    expected, inverse = np.unique(y, return_inverse=True)
    assert classes.dtype == y.dtype and codes.dtype == np.int32
    np.testing.assert_array_equal(classes, expected)
    np.testing.assert_array_equal(codes, inverse)
