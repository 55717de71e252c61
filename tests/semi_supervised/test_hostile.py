"""Hostile inputs of classifiers that take rows without a label: a finite answer or a clear refusal.

``TESTED_CASES=1000 pytest tests/semi_supervised/test_hostile.py`` runs a release's number of cases.
"""

import os

import numpy as np
import pytest

from skgen import semi_supervised
from skgen.linear_model import LogisticRegression
from tests.catalogue import Entry
from tests.hostile import SEMI_SUPERVISED, hostile_case
from tests.test_bad_input import judge

CASES = int(os.environ.get("TESTED_CASES", 300)) // 5


def entry_of(kind):
    make = getattr(semi_supervised, kind)
    given = (LogisticRegression(),) if kind == "SelfTrainingClassifier" else ()
    return Entry(kind, make(*given), parameters={})


def hostile(kind, seed):
    """A case for the class, often with rows that have no label."""
    case = hostile_case(kind, seed)
    generator = np.random.default_rng(seed)
    if isinstance(case.y, np.ndarray) and case.y.dtype.kind == "i" and generator.random() < 0.7:
        case.y = np.where(generator.random(case.y.shape) < 0.4, -1, case.y)
        case.words |= {"y labels none", "class", "labels", "classes"}
    case.words |= {"estimator", "k_best", "unlabeled", "labeled", "kernel", "graph", "X"}
    return case


@pytest.mark.parametrize("kind", sorted(SEMI_SUPERVISED))
def test_hostile_input(kind):
    entry, trouble = entry_of(kind), []
    for seed in range(CASES):
        case = hostile(kind, seed)
        outcome, why = judge(entry, case)
        if outcome != "good":
            trouble.append(f"{outcome}: case {seed}, {', '.join(case.story)}: {why[:300]}")
    assert not trouble, "\n".join(["", *trouble])
