"""transform, names and frames."""

import numpy as np
import pytest

from tests.catalogue import entries
from tests.problems import overlapping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

transformers = entries(lambda entry: entry.transforms)


@pytest.mark.parametrize(**transformers)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output_gives_named_frames(entry, library):
    module = pytest.importorskip(library)
    X = overlapping()
    frame = module.DataFrame(dict(zip("abc", X.T, strict=True)))
    data = entry.data(X)
    estimator = entry.build().set_output(transform=library).fit(**data | {"X": frame})
    transformed = estimator.transform(frame)
    assert isinstance(transformed, module.DataFrame)
    names = list(estimator.get_feature_names_out())
    assert list(transformed.columns) == names
    assert names == [f"{type(estimator).__name__.lower()}{i}" for i in range(len(names))]
    plain = entry.build().fit(**data).transform(X)
    np.testing.assert_array_equal(transformed.to_numpy(), plain)
    assert list(estimator.feature_names_in_) == list("abc")


@pytest.mark.parametrize(**transformers)
def test_fit_transform_equals_fit_then_transform(entry):
    X = overlapping()
    data = entry.data(X)
    np.testing.assert_allclose(
        entry.build().fit_transform(**data),
        entry.build().fit(**data).transform(X),
        rtol=0,
        atol=1e-12,
    )


@pytest.mark.parametrize(**entries(lambda entry: entry.transforms and entry.density))
def test_transform_of_a_mixture_is_its_responsibilities(entry):
    X = overlapping()
    fitted = entry.build().fit(X)
    np.testing.assert_array_equal(fitted.transform(X), fitted.predict_proba(X))


@pytest.mark.parametrize(**transformers)
def test_works_as_a_pipeline_step(entry):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    X = overlapping()
    y = entry.data(X).get("y", X[:, 0] > 0)
    y = y[:, 0] > 0 if y.dtype.kind == "f" and y.ndim > 1 else y > y.mean()
    if entry.supervised and not entry.classifies:
        y = y.astype(float)
    pipeline = make_pipeline(entry.build(), LogisticRegression()).fit(X, y)
    assert pipeline.predict(X).shape == y.shape


@pytest.mark.parametrize(**entries())
def test_html_page_and_text_show_the_parameters(entry):
    estimator = entry.build()
    name = type(estimator).__name__
    assert name in repr(estimator) and name in estimator._repr_html_()
    assert name in estimator.fit(**entry.data(overlapping()))._repr_html_()
