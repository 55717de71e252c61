"""SKGEN_SIMD forces a level; every level gives the same results within rounding."""

import json
import pickle

import numpy as np
import pytest

from tests.children import run

kernels = pytest.importorskip("skgen.kernels")


def python(script, level, *arguments):
    return run(script, *arguments, check=False, SKGEN_SIMD=level)


@pytest.mark.parametrize("level", kernels.available_levels())
def test_level_can_be_forced(level):
    answer = python("import skgen.kernels as k; print(k.simd, k.kmeans.__name__)", level)
    assert answer.stdout.split() == [level, f"skgen.kernels.kmeans_{level}"], answer.stderr


def test_best_level_is_the_default():
    answer = python("import skgen.kernels as k; print(k.simd)", "")
    assert answer.stdout.strip() == kernels.available_levels()[-1], answer.stderr


def test_baseline_is_always_there():
    assert kernels.available_levels()[0] == "baseline"


@pytest.mark.parametrize("level", ["avx9000", "AVX2", "0", "../evil"])
def test_unknown_level_is_an_import_error_that_lists_the_choices(level):
    answer = python("import skgen.kernels", level)
    assert answer.returncode == 1
    message = answer.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError") and repr(level) in message
    for choice in ("SKGEN_SIMD", "baseline", "avx2", "avx512"):
        assert choice in message


def test_impossible_level_is_an_import_error_that_says_what_is_possible():
    blind = """
import sys, types
blind = types.ModuleType("skgen.kernels.processor")
blind.runnable_levels = lambda: ("baseline",)
sys.modules["skgen.kernels.processor"] = blind
import skgen.kernels
"""
    answer = python(blind, "avx512")
    assert answer.returncode == 1
    message = answer.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError") and "SKGEN_SIMD=avx512" in message
    assert "baseline" in message


FITS = """
import pickle, sys, warnings
warnings.simplefilter("ignore")
from tests.catalogue import CATALOGUE
from tests.problems import outputs, overlapping
import skgen.kernels

results = {}
for d in (1, 3, 17):
    for dtype in ("float64", "float32"):
        X = overlapping(n=300, d=d, dtype=dtype)
        for entry in CATALOGUE:
            if d < entry.fewest_columns:
                continue
            arguments = entry.accepts(max_iter=5)
            fitted = entry.started(X).set_params(**arguments).fit(**entry.data(X))
            results[entry.name, d, dtype] = (entry.values(fitted), outputs(fitted, X))
with open(sys.argv[1], "wb") as file:
    pickle.dump((skgen.kernels.simd, results), file)
"""


def test_levels_agree_within_rounding(tmp_path):
    found = {}
    for level in kernels.available_levels():
        answer = python(FITS, level, str(tmp_path / level))
        assert answer.returncode == 0, answer.stderr
        used, found[level] = pickle.loads((tmp_path / level).read_bytes())
        assert used == level
    reference = found.pop("baseline")
    for level, results in found.items():
        for key, (values, said) in results.items():
            # Single kernels round to 6e-8 or 1e-16; five iterations amplify that.
            close = 1e-3 if key[-1] == "float32" else 1e-9
            for name, value in values.items():
                np.testing.assert_allclose(
                    value,
                    reference[key][0][name],
                    rtol=close,
                    atol=close,
                    err_msg=f"{level} {key} {name}",
                )
            if "predict" not in said:
                expected = reference[key][1]["transform"]
                atol = close * np.abs(expected).max()
                np.testing.assert_allclose(said["transform"], expected, rtol=0, atol=atol)
                continue
            if said["predict"].dtype.kind == "f":
                expected = reference[key][1]["predict"]
                np.testing.assert_allclose(said["predict"], expected, rtol=close, atol=close)
                continue
            agreement = np.mean(said["predict"] == reference[key][1]["predict"])
            assert agreement == 1.0 if key[-1] == "float64" else agreement > 0.99, (level, key)


SEEDS = """
import json
import numpy as np
from skgen.cluster import kmeans_plusplus
from tests.problems import overlapping

drawn = []
for d in (1, 2, 3, 5, 11, 40):
    for dtype in ("float64", "float32"):
        X = overlapping(n=700, d=d, k=9, dtype=dtype)
        weight = np.random.default_rng(d).uniform(size=700)
        for seed in range(12):
            drawn.append(kmeans_plusplus(X, 9, sample_weight=weight, random_state=seed)[1].tolist())
print(json.dumps(drawn))
"""


def test_levels_draw_the_same_rows():
    """Each draw looks at sums of distances; only a tie within rounding could part the levels."""
    drawn = {
        level: json.loads(run(SEEDS, SKGEN_SIMD=level).stdout)
        for level in kernels.available_levels()
    }
    for level, rows in drawn.items():
        same = np.mean([mine == base for mine, base in zip(rows, drawn["baseline"], strict=True)])
        assert same > 0.98, (level, same)
