"""scikit-learn's callback protocol: watched, scored, stopped, and free when unused."""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.catalogue import entries
from tests.children import run
from tests.laws.test_lifecycle import bits
from tests.problems import (
    answers,
    assert_same_answers,
    assert_same_bits,
    fitted_state,
    overlapping,
)

callback = pytest.importorskip("sklearn.callback")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

iterative = entries(lambda entry: entry.direction != 0)


class Recorder:
    """Writes down every hook; stops after `stop_after` iterations."""

    def __init__(self, stop_after=None, fail_at=None, ask=False):
        self.events, self.fitted, self.metadata = [], [], []
        self.stop_after, self.fail_at, self.ask = stop_after, fail_at, ask
        self.n_iterations = 0

    def note(self, what, context):
        self.events.append((what, context.task_name, context.task_id, context.parent is None))
        if self.fail_at == what:
            raise OSError(f"failed in {what}")

    def setup(self, estimator, context):
        self.note("setup", context)

    def teardown(self, estimator, context):
        self.note("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", context)

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.note("end", context)
        self.metadata.append(metadata)
        if context.task_name == "iteration":
            self.n_iterations += 1
            return self.n_iterations == self.stop_after
        return False

    def count(self, what, name=None):
        return sum(1 for event in self.events if event[0] == what and name in (None, event[1]))


class Observer(Recorder):
    """Asks for the fitted estimator of each iteration."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "iteration":
            self.fitted.append(fitted_estimator)


def watched(entry, callback_, **changes):
    return entry.single(**changes).set_callbacks(callback_)


@pytest.mark.parametrize(**entries())
def test_every_task_that_begins_ends_and_teardown_runs(entry):
    X = overlapping()
    recorder = Recorder()
    estimator = watched(entry, recorder).fit(**entry.data(X))
    assert recorder.events[0][0] == "setup" and recorder.events[-1][0] == "teardown"
    assert recorder.count("begin") == recorder.count("end")
    assert recorder.count("begin", "fit") == 1
    if entry.direction:
        assert recorder.count("end", "iteration") >= estimator.n_iter_


@pytest.mark.parametrize(**iterative)
def test_an_iteration_is_a_task(entry):
    X = overlapping()
    recorder = Recorder()
    estimator = watched(entry, recorder, max_iter=3, tol=0.0).fit(**entry.data(X))
    assert recorder.count("end", "iteration") == estimator.n_iter_ + entry.empty_tasks


@pytest.mark.parametrize(**entries())
def test_callbacks_change_no_bit(entry):
    X = overlapping()
    plain = entry.single().fit(**entry.data(X))
    seen = watched(entry, Recorder()).fit(**entry.data(X))
    assert_same_bits(bits(plain, X), bits(seen, X))


@pytest.mark.parametrize(**entries(lambda e: e.direction != 0 and "one-cluster" not in e.name))
@pytest.mark.parametrize("stop_after", [1, 2])
def test_stop_request_ends_the_fit_after_that_iteration(entry, stop_after):
    X = overlapping(n=600, k=7)
    recorder = Recorder(stop_after=stop_after)
    stopped = watched(entry, recorder, tol=0.0).fit(**entry.data(X))
    assert stopped.n_iter_ == stop_after
    assert "callback" in stopped.stop_reason_
    assert recorder.count("end", "iteration") == stop_after + entry.empty_tasks
    plain = entry.single(tol=0.0, max_iter=stop_after).fit(**entry.data(X))
    for name, value in entry.values(plain).items():
        np.testing.assert_allclose(entry.values(stopped)[name], value, rtol=1e-12, atol=1e-12)
    assert len(answers(stopped, X)) == 600


@pytest.mark.parametrize(**entries(lambda e: e.direction != 0 and "one-cluster" not in e.name))
def test_stop_request_gives_no_convergence_warning_about_the_user_s_wish(entry, recwarn):
    watched(entry, Recorder(stop_after=1), tol=0.0).fit(**entry.data(overlapping(n=600, k=7)))
    assert not [w for w in recwarn if "max_iter" in str(w.message)]


@pytest.mark.parametrize(**iterative)
def test_observers_see_usable_estimators(entry):
    X = overlapping()
    observer = Observer()
    estimator = watched(entry, observer, max_iter=4).fit(**entry.data(X))
    fitted = [seen for seen in observer.fitted if seen is not None]
    assert len(fitted) == len(observer.fitted) - entry.empty_tasks >= 1
    for seen in fitted:
        assert type(seen) is type(estimator)
        assert len(answers(seen, X)) == len(X)
        assert np.isfinite(seen.score(*entry.data(X).values()))
    final = fitted[-1]
    assert_same_answers(estimator, X, final, X)
    if entry.supervised or entry.prior:
        return  # accuracy may fall while the likelihood rises, and that while the bound does
    scores = [seen.score(X) for seen in fitted]
    assert scores == sorted(scores) or np.diff(scores).min() > -1e-9 * abs(scores[-1])


@pytest.mark.parametrize(**entries(lambda entry: entry.weighted))
def test_callbacks_see_the_weights(entry):
    X = overlapping()
    weight = np.linspace(0.5, 1.5, len(X))
    recorder = Recorder()
    watched(entry, recorder).fit(**entry.data(X), sample_weight=weight)
    assert recorder.metadata
    for metadata in recorder.metadata:
        np.testing.assert_array_equal(metadata["sample_weight"], weight)


# Labels leave nothing to start from where a class has one component.
restarting = entries(
    lambda entry: (
        entry.direction != 0
        and entry.accepts(n_init=3)
        and entry.prototype.get_params().get("n_components_per_class") != 1
    )
)


@pytest.mark.parametrize(**restarting)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_restarts_are_tasks_that_hold_iterations(entry, n_jobs):
    recorder = Recorder()
    estimator = entry.build(n_init=3, n_jobs=n_jobs).set_callbacks(recorder)
    estimator.fit(**entry.data(overlapping()))
    assert recorder.count("begin", "restart") == recorder.count("end", "restart") == 3
    assert recorder.count("begin", "iteration") == recorder.count("end", "iteration") >= 3


@pytest.mark.parametrize(**entries())
@pytest.mark.parametrize("fail_at", ["setup", "begin", "end"])
def test_failing_callback_fails_the_fit_and_leaves_it_usable(entry, fail_at):
    X = overlapping()
    estimator = watched(entry, Recorder(fail_at=fail_at))
    with pytest.raises(OSError, match=fail_at):
        estimator.fit(**entry.data(X))
    again = clone(estimator)
    again.set_callbacks(Recorder())
    assert_same_bits(
        bits(entry.single().fit(**entry.data(X)), X), bits(again.fit(**entry.data(X)), X)
    )


@pytest.mark.parametrize(**entries())
def test_failing_fit_tears_callbacks_down(entry):
    recorder = Recorder()
    with pytest.raises(ValueError):
        watched(entry, recorder).fit(**entry.data(np.full((20, 2), np.nan)))
    setups = recorder.count("setup")
    assert recorder.count("teardown") == setups
    watched(entry, recorder).fit(**entry.data(overlapping()))


@pytest.mark.parametrize(**entries())
def test_progress_bar_runs(entry, capsys):
    pytest.importorskip("rich")
    X = overlapping()
    plain = entry.build().fit(**entry.data(X))
    shown = entry.build().set_callbacks(callback.ProgressBar()).fit(**entry.data(X))
    assert_same_bits(entry.values(plain), entry.values(shown))
    assert type(plain).__name__ in capsys.readouterr().out


@pytest.mark.parametrize(**entries(lambda entry: entry.direction != 0 and entry.groups))
def test_scoring_monitor_scores_every_iteration_where_y_exists(entry):
    X = overlapping()
    y = entry.data(X).get("y", (X[:, 0] > 0).astype(int))
    monitor = callback.ScoringMonitor(scoring="adjusted_rand_score")
    estimator = entry.single().set_callbacks(monitor).fit(X, y)
    logs = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert len(logs) >= estimator.n_iter_
    assert all(-1 <= row["adjusted_rand_score"] <= 1 for row in logs)


@pytest.mark.parametrize(**entries(lambda e: e.direction != 0 and not e.supervised))
def test_scoring_monitor_runs_where_y_does_not_exist(entry):
    monitor = callback.ScoringMonitor(scoring=None)
    entry.build().set_callbacks(monitor).fit(overlapping())
    assert monitor.get_logs().data


class Propagated(Recorder):
    max_propagation_depth = None


@pytest.mark.parametrize(**iterative)
def test_callbacks_reach_the_last_step_of_a_searched_pipeline(entry):
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), entry.single())
    step = pipeline.steps[-1][0]
    grid = {f"{step}__{name}": values for name, values in entry.grid.items()}
    search = GridSearchCV(pipeline, grid, cv=2)
    search.set_callbacks(recorder)
    search.fit(*entry.data(overlapping(n=80)).values())
    assert recorder.count("end", "iteration") >= 5
    assert recorder.count("begin") == recorder.count("end")


@pytest.mark.parametrize(**entries())
def test_callbacks_survive_clone(entry):
    recorder = Recorder()
    clone(watched(entry, recorder)).fit(**entry.data(overlapping()))
    assert recorder.count("begin", "fit") == 1


@pytest.mark.parametrize(**iterative)
def test_unwatched_fits_keep_nothing(entry):
    X = overlapping()
    entry.build().fit(**entry.data(X))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        fitted = [entry.single(tol=0.0, max_iter=50).fit(**entry.data(X)) for _ in range(2)]
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 300_000
    for estimator in fitted:
        assert not [name for name in vars(estimator) if "callback" in name]
        assert fitted_state(estimator)


OLD = """
import sys, warnings
warnings.simplefilter("error")
from sklearn.exceptions import ConvergenceWarning
warnings.simplefilter("ignore", ConvergenceWarning)

import sklearn.base
import sklearn.model_selection
from sklearn.pipeline import make_pipeline
sys.modules["sklearn.callback"] = None
import skgen.base
import skgen.cluster, skgen.mixture
assert not hasattr(skgen.cluster.KMeans, "set_callbacks")
assert "skgen" in skgen.base.CallbackSupportMixin.__module__
from tests.catalogue import CATALOGUE
from tests.problems import answers, overlapping
for entry in CATALOGUE:
    answers(entry.build().fit(**entry.data(overlapping())), overlapping())
"""


def test_older_scikit_learn_without_callbacks_works():
    """As if sklearn.callback could not be imported when skgen is."""
    run(OLD)


@pytest.mark.parametrize(**entries(lambda entry: entry.accepts(verbose=2)))
def test_verbose_speaks_through_the_logger(entry, caplog, capsys):
    with caplog.at_level("INFO", logger="skgen"):
        entry.build(verbose=2).fit(**entry.data(overlapping()))
    assert [record for record in caplog.records if record.name == "skgen"]
    caplog.clear()
    with caplog.at_level("INFO", logger="skgen"):
        entry.build().fit(**entry.data(overlapping()))
    assert not caplog.records
    assert capsys.readouterr().out == ""
