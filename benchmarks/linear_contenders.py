"""Linear classifiers and how each is called at its best.

To reach a gap, a contender's `fit(problem, setting, seed)` takes a step of its `ladder`: the race
finds the loosest setting that reaches the gap and times that one.
"""

from dataclasses import dataclass
from importlib import import_module

import numpy as np

from benchmarks.contenders import Contender

# Tolerances in decades, from loose to tight.
TOLERANCES = tuple(10.0**-power for power in range(0, 11))
# Lengths for contenders whose tolerance does not measure progress.
LENGTHS = (8, 11, 16, 22, 32, 45, 64, 90, 128, 181, 256, 362, 512, 724, 1024)
MANY = 10_000


@dataclass(frozen=True)
class GapContender(Contender):
    """A contender with the settings it may be run at, from fast to accurate."""

    ladder: tuple = TOLERANCES
    setting_name: str = "tol"


def logistic(module, solver, **options):
    """scikit-learn's interface, with which skgen and scikit-learn-intelex come too."""

    def fit(problem, tol, seed):
        estimator = import_module(module).LogisticRegression
        model = estimator(
            C=problem.C,
            l1_ratio=float(problem.l1),
            fit_intercept=problem.fit_intercept,
            solver=solver,
            tol=tol,
            max_iter=MANY if solver.startswith("sag") else 2000,
            random_state=seed,
            **options,
        )
        model.fit(problem.X, problem.y)
        return (model.coef_, model.intercept_), int(np.max(model.n_iter_))

    return fit


def sklearn(solver, **options):
    name = " ".join(["scikit-learn", solver, *options])
    return GapContender(
        name, ("sklearn.linear_model",), logistic("sklearn.linear_model", solver, **options)
    )


SKGEN = GapContender("skgen", ("skgen.linear_model",), logistic("skgen.linear_model", "auto"))
INTELEX = GapContender(
    "scikit-learn-intelex", ("sklearnex.linear_model",), logistic("sklearnex.linear_model", "lbfgs")
)


def snapml(dual):
    """Coordinate descent, of the dual with a squared penalty."""

    def fit(problem, tol, seed):
        from snapml import LogisticRegression

        model = LogisticRegression(
            max_iter=1000,
            regularizer=1.0 / problem.C,
            dual=dual,
            penalty="l1" if problem.l1 else "l2",
            tol=tol,
            n_jobs=threads(),
            fit_intercept=False,
            random_state=seed,
        )
        model.fit(problem.rows_and_ones, problem.y)
        return problem.split(np.ravel(model.coef_)), int(np.max(model.n_iter_))

    return GapContender(f"snapml {'dual' if dual else 'primal'}", ("snapml",), fit)


def fit_skglm(problem, tol, seed):
    from skglm import GeneralizedLinearEstimator, SparseLogisticRegression
    from skglm.datafits import Logistic
    from skglm.penalties import L2
    from skglm.solvers import LBFGS

    if problem.l1:
        model = SparseLogisticRegression(
            alpha=problem.strength,
            tol=tol,
            max_iter=200,
            max_epochs=MANY,
            fit_intercept=problem.fit_intercept,
        )
    else:
        solver = LBFGS(max_iter=2000, tol=tol)
        # Attributes that the estimator reads and this solver lacks.
        solver.fit_intercept = solver.warm_start = False
        model = GeneralizedLinearEstimator(Logistic(), L2(problem.strength), solver)
    if problem.l1:
        model.fit(problem.columns, problem.y)
        return (model.coef_, np.ravel(model.intercept_)), int(np.max(model.n_iter_))
    model.fit(problem.columns_and_ones, 2.0 * problem.y - 1.0)
    return problem.split(np.ravel(model.coef_)), int(np.max(model.n_iter_))


SKGLM = GapContender("skglm", ("skglm",), fit_skglm)


def torch_lbfgs(dtype):
    """Full batches, strong Wolfe line search, from zero."""

    def fit(problem, n_iter, seed):
        import torch

        kind = torch.float32 if dtype == "float32" else torch.float64
        X = torch.from_numpy(problem.X).to(kind)
        k = problem.n_outputs
        y = torch.from_numpy(problem.y)
        y = y.to(kind) if k == 1 else y.long()
        coef = torch.zeros((k, X.shape[1]), dtype=kind, requires_grad=True)
        intercept = torch.zeros(k, dtype=kind, requires_grad=True)
        loss = (
            torch.nn.functional.binary_cross_entropy_with_logits
            if k == 1
            else torch.nn.functional.cross_entropy
        )
        optimizer = torch.optim.LBFGS(
            [coef, intercept],
            max_iter=n_iter,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=20,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            raw = torch.addmm(intercept, X, coef.T)
            raw = raw[:, 0] if k == 1 else raw
            value = loss(raw, y) + 0.5 * problem.strength * (coef * coef).sum()
            value.backward()
            return value

        optimizer.step(closure)
        answer = coef.detach().numpy(), intercept.detach().numpy()
        return answer, optimizer.state[coef]["n_iter"]

    return GapContender(
        f"torch L-BFGS {dtype}", ("torch",), fit, ladder=LENGTHS, setting_name="iterations"
    )


BINARY = (
    SKGEN,
    sklearn("newton-cholesky"),
    sklearn("lbfgs"),
    sklearn("newton-cg"),
    sklearn("sag"),
    sklearn("saga"),
    INTELEX,
    snapml(dual=True),
    snapml(dual=False),
    SKGLM,
    torch_lbfgs("float32"),
    torch_lbfgs("float64"),
)
MULTINOMIAL = (
    SKGEN,
    sklearn("lbfgs"),
    sklearn("newton-cg"),
    sklearn("sag"),
    sklearn("saga"),
    INTELEX,
    torch_lbfgs("float32"),
    torch_lbfgs("float64"),
)
TEXT = (
    SKGEN,
    sklearn("liblinear"),
    sklearn("liblinear", dual=True),
    sklearn("lbfgs"),
    sklearn("newton-cg"),
    sklearn("sag"),
    snapml(dual=True),
    snapml(dual=False),
)
TEXT_ABSOLUTE = (
    SKGEN,
    sklearn("liblinear"),
    sklearn("saga"),
    snapml(dual=False),
    SKGLM,
)


def fit_perceptron(module):
    def fit(problem, n_iter, seed):
        model = import_module(module).Perceptron(
            max_iter=n_iter, tol=None, shuffle=problem.shuffle, random_state=seed
        )
        model.fit(problem.X, problem.y)
        return (model.coef_, model.intercept_), model.n_iter_

    return fit


def fit_defaults(module, family):
    """A whole fit on few rows with the defaults."""

    def fit(problem, n_iter, seed):
        model = getattr(import_module(module), family)().fit(problem.X, problem.y)
        return model.score(problem.X, problem.y), int(np.max(model.n_iter_))

    return fit


def call_on_one_row(module, family, method):
    """A method of a fitted model on one row; the model is fitted outside the clock."""
    fitted = {}

    def call(problem, n_iter, seed):
        if "model" not in fitted:
            estimator = getattr(import_module(module), family)
            fitted["model"] = estimator().fit(problem.X, problem.y)
            fitted["row"] = problem.X[:1].copy()
        answer = getattr(fitted["model"], method)(fitted["row"])
        return np.ravel(answer).shape[0], 1

    return call


def pair(make, *arguments, package="linear_model"):
    """skgen and scikit-learn, called through ``make(module, *arguments)``."""
    return tuple(
        Contender(name, (f"{module}.{package}",), make(f"{module}.{package}", *arguments))
        for name, module in (("skgen", "skgen"), ("scikit-learn", "sklearn"))
    )


def threads():
    from benchmarks.environment import usable_cores

    return usable_cores()
