"""How every network is trained: the parameters of training, and a fit from rows to its story.

    draw w or take the last -> hold rows out -> minibatches (a rule, a schedule) or L-BFGS -> best w

An estimator says which network it is (`_network`), how it reads y (`_admit`) and how it scores.
"""

import math
import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy.optimize import minimize

from skgen.base import (
    UNWATCHED,
    ClassNamePrefixFeaturesOutMixin,
    Estimator,
    FitTask,
    HasMethods,
    Interval,
    Options,
    StrOptions,
    TransformerMixin,
    admit_new,
    announce,
    available_if,
    check_is_fitted,
    check_random_state,
    fit_context,
    frames_inside,
    one_blas_thread,
    thread_count,
    warn_convergence,
)
from skgen.networks import losses
from skgen.networks.activations import ACTIVATIONS
from skgen.networks.network import (
    Layer,
    describe,
    draw,
    hidden,
    layers_of,
    linear,
    raw_outputs,
)
from skgen.neural_network.batches import NetworkBatches, dense, whole_objective
from skgen.rows import Rows
from skgen.solvers.schedules import SCHEDULES, SampleScaling
from skgen.solvers.sgd import Diverged, EpochMonitor, Training, sgd
from skgen.solvers.update_rules import RULES, named

AUTO_BATCH = 200
# Rows that gradient norms and dead units are taken from, and cells of the widest layer.
INSPECTED_ROWS, INSPECTED_CELLS = 1000, 2**22
# Rows that are predicted at once, in cells of the widest layer.
CELLS_AT_ONCE = 2**16
# Attributes that some activations, or batch norm, bring along.
OF_SOME_LAYERS = ("slopes_", "scales_", "running_means_", "running_variances_")
LARGEST_LAYER = 2**31 - 1
# scikit-learn's words.
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need"
    " to be preprocessed."
)
LOSS_METHODS = HasMethods(["n_outputs", "value_and_gradient", "predict"])
SIZES = ["array-like", Interval(Integral, 1, None, closed="left")]


def trains_by_batches(estimator):
    """Whether `partial_fit` exists."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class NetworkEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """What estimators that are networks share."""

    _parameter_constraints = {
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", *RULES})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": ["array-like", Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "max_norm": [Interval(Real, 0, None, closed="neither"), None],
        "pieces": [Interval(Integral, 2, None, closed="left")],
        "initializer": [StrOptions({"auto", "glorot", "he"})],
        "rho": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "decay_rate": [Interval(Real, 0, None, closed="left")],
        "step_size": [Interval(Integral, 1, None, closed="left")],
        "step_factor": [Interval(Real, 0, 1, closed="right")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [None, Integral],
    }

    @fit_context
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Train from the beginning, or with `warm_start` from the last weights.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,) or (n, m)
        sample_weight : array of shape (n,), default=None
            Rows of weight 0 count as absent.
        X_val, y_val : as X and y, default=None
            Rows to watch and to stop early by, in place of a share of X; not for
            ``solver="lbfgs"``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If an argument is not what it should be, or training diverges (the message names
            `learning_rate_init` and the scale of X).
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    def _fit(self, X, y, sample_weight, X_val, y_val):
        first = not (self.warm_start and hasattr(self, "coefs_"))
        rows, known = self._admit(X, y, sample_weight, reset=first)
        random_state = check_random_state(self.random_state)
        network = self._network(rows, known)
        w = (self._first if first else self._last)(network, rows, random_state)
        task = FitTask(self, X, y, sample_weight, max_iter=self.max_iter)
        # SciPy's L-BFGS-B asks for small products at every step, however few parameters there are.
        widest = math.inf if self.solver == "lbfgs" else self._widest(network)
        with one_blas_thread(rows, widest), task.restart() as run:
            fit = self._fit_whole if self.solver == "lbfgs" else self._fit_by_batches
            fit(Fit(network, rows, known, w, random_state, run), X_val, y_val)
        task.end()
        return self

    @available_if(trains_by_batches)
    @fit_context
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch over these rows, from where training stands.

        The memory of the update rule, the schedule and the random numbers go on: calls with the
        same rows give the bits of as many epochs of `fit` without early stopping.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        y : array of shape (n,) or (n, m)
        sample_weight : array of shape (n,), default=None

        Returns
        -------
        self : object
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X, y, sample_weight, **options):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_")
        rows, known = self._admit(X, y, sample_weight, reset=first, **options)
        network = self._network(rows, known)
        training, random_state, seed = self._go_on(network, rows)
        if first or training is None:
            random_state = check_random_state(self.random_state)
            start = self._first if first else self._last
            training = Training.begin(start(network, rows, random_state), self._rule(network))
            seed = draw_seed(random_state)
        problem = self._problem(rows, network, seed)
        monitor = EpochMonitor(
            1, self.tol, self.n_iter_no_change + 1, UNWATCHED, None, self._report(), stops=False
        )
        with one_blas_thread(rows, self._widest(network)):
            solution = self._train(problem, training, monitor, random_state)
        fit = Fit(network, rows, known, training.w, random_state, UNWATCHED)
        curve = solution.history if first else self.loss_curve_ + solution.history
        self._record(
            fit,
            training.w,
            (curve, 1, False, "partial_fit takes one epoch a call"),
            self._kept_state(fit, training, seed),
            t_=rows.n_rows + (0 if first else self.t_),
        )
        return self

    def _go_on(self, network, rows):
        """Training, random numbers and seed of the last call, where the rule is still the same."""
        kept = getattr(self, "_kept", None)
        if kept is None or kept["solver"] != self.solver:
            return None, None, None
        training = Training(**kept["training"]).copy()
        if training.memory.shape != self._rule(network).begin(network.layout.size).shape:
            return None, None, None
        training.w = self._last(network, rows)
        training.memory = training.memory.astype(rows.dtype, copy=False)
        random_state = np.random.RandomState()
        random_state.set_state(kept["random_state"])
        return training, random_state, kept["seed"]

    def transform(self, X, layer=-1):
        """Outputs of a hidden layer: a trained network as a step of features.

        Parameters
        ----------
        X : array or CSR of shape (n, d)
        layer : int, default=-1
            Number of the hidden layer, from 0; negative numbers count from the last.

        Returns
        -------
        activations : ndarray of shape (n, units of that layer)
        """
        check_is_fitted(self, "coefs_")
        depth = len(self.coefs_) - 1
        if not depth:
            raise ValueError("transform needs a network with hidden layers, and this one has none")
        if (
            not isinstance(layer, Integral)
            or isinstance(layer, bool)
            or not -depth <= layer < depth
        ):
            raise ValueError(
                f"layer={layer!r} must be the number of one of the {depth} hidden layers, from"
                f" {-depth} to {depth - 1}"
            )
        return self._outputs(X, layer % depth + 1)

    @property
    def _layers(self):
        return layers_of(self._architecture)

    @property
    def _loss(self):
        return self.loss if self._loss_form is None else losses.loss_of(self._loss_form)

    @property
    def _n_features_out(self):
        return self._layers[-1].n_in

    def _outputs(self, X, depth=None):
        """Outputs of `depth` layers, of all where None: raw, before the loss's link."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self, "coefs_")
        X = admit_new(self, X, accept_sparse=True)
        return outputs(self._layers, self._parts(), X, self.n_jobs, depth)

    def _parts(self):
        """The fitted parameters by layer."""
        parts = []
        for number, layer in enumerate(self._layers):
            part = {"coef": self.coefs_[number], "intercept": self.intercepts_[number]}
            if layer.activation.learns_slope:
                part["slope"] = self.slopes_[number]
            if layer.batch_norm:
                part |= {
                    "scale": self.scales_[number],
                    "mean": self.running_means_[number],
                    "variance": self.running_variances_[number],
                }
            parts.append(part)
        return parts

    def _hidden_layers(self, n_in, sizes):
        """The hidden layers."""
        sizes = self._sizes(sizes)
        shares = self._shares(len(sizes))
        kind = ACTIVATIONS[self.activation]
        activation = kind(self.pieces) if self.activation == "maxout" else kind()
        layers = []
        for size, share in zip(sizes, shares, strict=True):
            layers.append(Layer(n_in, size, activation, self.batch_norm, share))
            n_in = size
        return layers

    def _sizes(self, sizes, name="hidden_layer_sizes"):
        """The sizes as a list of ints."""
        given = sizes
        sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
            raise ValueError(f"{name} must be integers, got {given!r}")
        if any(size <= 0 for size in sizes):
            raise ValueError(f"{name} must be > 0, got {given!r}.")
        if any(size > LARGEST_LAYER for size in sizes):
            raise ValueError(f"{name} must be at most {LARGEST_LAYER}, got {given!r}")
        return [int(size) for size in sizes]

    def _shares(self, n_hidden):
        """The share of every hidden layer's units that drop out."""
        if isinstance(self.dropout, Real):
            return [float(self.dropout)] * n_hidden
        shares = np.asarray(self.dropout, dtype=object).ravel().tolist()
        sound = all(
            isinstance(share, Real) and not isinstance(share, bool) and 0 <= share < 1
            for share in shares
        )
        if len(shares) != n_hidden or not sound:
            raise ValueError(
                f"dropout={self.dropout!r} must be a number in [0, 1), or one for each of the"
                f" {n_hidden} hidden layers"
            )
        return [float(share) for share in shares]

    def _penalties(self):
        return {
            "l2": self.alpha * (1.0 - self.l1_ratio),
            "l1": self.alpha * self.l1_ratio,
            "max_norm": self.max_norm,
        }

    def _first(self, network, rows, random_state):
        """Parameters to begin with."""
        # As scikit-learn has it.
        factor = 2.0 if self.activation == "logistic" else 6.0
        parts = [
            draw(layer, random_state, self.initializer, rows.dtype, factor)
            for layer in network.layers
        ]
        return network.pack(parts, rows.dtype)

    def _last(self, network, rows, random_state=None):
        """The parameters of the last fit."""
        shapes = [(layer.n_in, layer.n_sums) for layer in network.layers]
        found = [coef.shape for coef in self.coefs_]
        if found != shapes:
            raise ValueError(
                f"{type(self).__name__} was fitted with coefs_ of shapes {found}, which this"
                f" fit, of"
                f" shapes {shapes}, cannot continue; set warm_start=False or clone the estimator"
            )
        return network.pack(self._parts(), rows.dtype)

    def _widest(self, network):
        return max(layer.n_sums for layer in network.layers)

    def _rule(self, network):
        decay = self.weight_decay * network.penalized
        options = vars(self) | {"weight_decay": decay, "biased_epsilon": True}
        name = self.solver
        if name == "sgd" and self.momentum > 0:
            name = "nesterov" if self.nesterovs_momentum else "momentum"
        return named(RULES, name, options)

    def _schedule(self, n_rows):
        if self.learning_rate == "invscaling":
            return SampleScaling(self.learning_rate_init, self.power_t, n_rows)
        return named(SCHEDULES, self.learning_rate, vars(self))

    def _batch(self, n_rows):
        size = min(AUTO_BATCH, n_rows) if self.batch_size == "auto" else self.batch_size
        if size > n_rows:
            warnings.warn(
                f"Got `batch_size` less than 1 or larger than sample size ({size} > {n_rows})."
                f" It is"
                " going to be clipped",
                UserWarning,
                stacklevel=frames_inside(),
            )
        size = min(size, n_rows)
        if self.batch_norm and size == 1:
            raise ValueError(
                "batch_norm=True needs batches of at least 2 rows, got"
                f" batch_size={self.batch_size!r} for {n_rows} rows"
            )
        return int(size)

    def _problem(self, rows, network, seed):
        return NetworkBatches(rows, network, seed)

    def _train(self, problem, training, monitor, random_state, validate=None):
        try:
            return sgd(
                problem,
                training,
                monitor,
                self._rule(problem.network),
                self._schedule(problem.rows.n_rows),
                self._batch(problem.n_rows),
                random_state if self.shuffle else None,
                self.clip_norm,
                validate,
            )
        except Diverged as error:
            raise ValueError(f"{NOT_FINITE} ({error})") from None

    def _fit_by_batches(self, fit, X_val, y_val):
        """Epochs of minibatches until training rests."""
        fit.rows, held_out = self._hold_out(fit, X_val, y_val)
        seed = draw_seed(fit.random_state)
        problem = self._problem(fit.rows, fit.network, seed)
        training = Training.begin(fit.w, self._rule(fit.network))
        curve = list(self.loss_curve_) if self._goes_on() else []

        def attributes(w):
            counts = {"t_": training.n_epochs * fit.rows.n_rows}
            counts["loss_curve_"] = curve + monitor.history
            return (
                self._parameters(fit, w) | counts | {"_kept": self._kept_state(fit, training, seed)}
            )

        # scikit-learn stops after more than so many epochs.
        monitor = EpochMonitor(
            self.max_iter,
            self.tol,
            self.n_iter_no_change + 1,
            fit.run,
            attributes,
            self._report(),
            stops=held_out is None or self.early_stopping,
        )
        held_out_losses, validate = [], None
        if held_out is not None:

            def validate(w):
                loss, score = self._watch(fit, w, held_out)
                held_out_losses.append(loss)
                return score

        solution = self._train(problem, training, monitor, fit.random_state, validate)
        watched = {}
        if held_out is not None:
            watched = {
                "validation_scores_": monitor.scores,
                "validation_loss_curve_": held_out_losses,
                "best_validation_score_": max(monitor.scores),
                "best_loss_": None,
            }
        self._record(
            fit,
            training.w,
            (curve + solution.history, solution.n_iter, solution.converged, solution.reason),
            self._kept_state(fit, training, seed),
            t_=solution.n_iter * fit.rows.n_rows,
            **watched,
        )
        self._warn(solution, held_out)

    def _watch(self, fit, w, held_out):
        """Mean loss and score of the rows held out."""
        raw = outputs(fit.network.layers, fit.network.parts(w), held_out.X, self.n_jobs)
        return mean_loss(fit.network.loss, raw, held_out), self._score(fit, raw, held_out)

    def _goes_on(self):
        return self.warm_start and hasattr(self, "coefs_")

    def _warn(self, solution, held_out):
        if solution.converged or "callback" in solution.reason:
            return
        if held_out is not None and not self.early_stopping:
            return
        warn_convergence(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the"
            " optimization hasn't converged yet: the loss still changes by more than"
            f" tol={self.tol:g} (it went from {solution.history[0]:g} to"
            f" {solution.history[-1]:g}). Increase max_iter or tol, or change learning_rate_init.",
            stacklevel=frames_inside() + 1,
        )

    def _fit_whole(self, fit, X_val, y_val):
        """L-BFGS over all rows, in float64."""
        refused = {
            "early_stopping": self.early_stopping,
            "X_val": X_val is not None or y_val is not None,
            "dropout": fit.network.drops,
            "batch_norm": fit.network.has_batch_norm,
            "max_norm": fit.network.max_norm is not None,
            "clip_norm": self.clip_norm is not None,
        }
        asked = [name for name, given in refused.items() if given and name != "early_stopping"]
        if asked:
            raise ValueError(
                f"solver='lbfgs' knows no {', '.join(asked)}; choose one of {', '.join(RULES)}"
            )
        descent = Descent(fit, self)
        result = descent.run(self.max_iter, self.max_fun, self.tol)
        w = result.x.astype(fit.rows.dtype)
        if not np.isfinite(w).all() or not math.isfinite(result.fun):
            raise ValueError(
                f"{NOT_FINITE} The objective overflows; scale the columns of X to about one"
            )
        n_iter = min(result.nit, self.max_iter)
        converged = bool(result.success) and not descent.stopped
        reason = "stopped by a callback" if descent.stopped else result.message
        curve = descent.history or [float(result.fun)]
        self._record(
            fit,
            w,
            (curve, n_iter, converged, reason),
            None,
            t_=n_iter * fit.rows.n_rows,
            loss_=float(result.fun),
        )
        if not converged and not descent.stopped:
            warn_convergence(
                f"lbfgs failed to converge after {n_iter} iteration(s): {reason}. Increase max_iter"
                " (now {0}) or max_fun (now {1}), or scale the columns of X.".format(
                    self.max_iter, self.max_fun
                ),
                stacklevel=frames_inside() + 1,
            )

    def _hold_out(self, fit, X_val, y_val):
        """Rows to train on, and rows to stop early by or None."""
        if X_val is not None or y_val is not None:
            self._require_both(X_val, y_val)
            return fit.rows, self._admit_held_out(X_val, y_val, fit)
        if not self.early_stopping:
            return fit.rows, None
        rows = fit.rows
        used = np.arange(rows.n_rows) if rows.weight is None else np.flatnonzero(rows.weight)
        training, held = self._split(rows.target[used], fit)
        if len(held) < 2 or not len(training):
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of"
                " your"
                f" dataset: {len(held)} of {len(used)} rows at"
                f" validation_fraction={self.validation_fraction}"
            )
        return some_rows(rows, used[training]), some_rows(rows, used[held])

    def _require_both(self, X_val, y_val):
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together; give both or neither")

    def _split(self, target, fit):
        """Row numbers to train on and to hold out."""
        order = fit.random_state.permutation(target.shape[0])
        held = math.ceil(self.validation_fraction * target.shape[0])
        return np.sort(order[held:]), np.sort(order[:held])

    def _parameters(self, fit, w):
        """The fitted attributes that predictions read."""
        parts = fit.network.parts(w.astype(fit.rows.dtype, copy=False))
        layers = fit.network.layers
        attributes = {
            "coefs_": [part["coef"] for part in parts],
            "intercepts_": [part["intercept"] for part in parts],
            "n_layers_": len(layers) + 1,
            "n_outputs_": layers[-1].n_units,
            "out_activation_": getattr(fit.network.loss, "activation", "identity"),
            "_architecture": describe(layers),
            "_loss_form": losses.describe(fit.network.loss),
        }
        if self.activation == "prelu":
            attributes["slopes_"] = [part.get("slope") for part in parts[:-1]]
        if self.batch_norm:
            attributes["scales_"] = [part.get("scale") for part in parts[:-1]]
            attributes["running_means_"] = [part.get("mean") for part in parts[:-1]]
            attributes["running_variances_"] = [part.get("variance") for part in parts[:-1]]
        return attributes | self._answers(fit, parts)

    def _answers(self, fit, parts):
        """What says how outputs are read."""
        return {}

    def _kept_state(self, fit, training, seed):
        """What a later partial_fit continues, as plain arrays and numbers."""
        return {
            "training": vars(training.copy()) | {"kept": None},
            "random_state": fit.random_state.get_state(),
            "seed": seed,
            "solver": self.solver,
        }

    def _record(self, fit, w, story, kept, **more):
        """Write all fitted attributes at once: an interrupted fit leaves none behind."""
        curve, n_iter, converged, reason = story
        norms, dead = inspect(fit.network, w, fit.rows)
        attributes = self._parameters(fit, w) | {
            "loss_curve_": curve,
            "objective_history_": curve,
            "loss_": curve[-1],
            "best_loss_": min(curve),
            "n_iter_": n_iter,
            "converged_": bool(converged),
            "stop_reason_": reason,
            "validation_scores_": None,
            "validation_loss_curve_": None,
            "best_validation_score_": None,
            "gradient_norms_": norms,
            "dead_units_": dead,
            "_kept": kept,
        }
        for name in OF_SOME_LAYERS:
            if name not in attributes and hasattr(self, name):
                delattr(self, name)
        for name, value in (attributes | more).items():
            setattr(self, name, value)

    def _report(self):
        return report_epoch if self.verbose else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@dataclass
class Fit:
    """What one fit passes on: the network, its rows, what is known of y, a start, randomness."""

    network: object
    rows: object
    known: object
    w: np.ndarray
    random_state: object
    run: object


class Descent:
    """L-BFGS-B over a network's objective; the absolute penalty by two bounded halves of w.

    w = u - v with u, v >= 0 and l1 sum(u + v): the objective is smooth and the bounds are simple
    (Schmidt, Fung and Rosales 2007). Byrd, Lu, Nocedal and Zhu (1995).
    """

    def __init__(self, fit, estimator):
        self.fit, self.estimator = fit, estimator
        self.network = fit.network
        # Blocks of so few rows that what a layer remembers of them is small and signals are heard.
        work = sum(6.0 * (layer.n_in + 64) * layer.n_sums for layer in self.network.layers)
        rows = fit.rows
        cut = Rows(rows.X, rows.weight, rows.target, n_threads=rows.n_threads, row_work=work)
        self.rows = cut if cut.block_rows < rows.block_rows else rows
        self.p = self.network.layout.size
        self.split = np.flatnonzero(self.network.penalized) if self.network.l1 else np.empty(0, int)
        self.history, self.stopped = [], False
        # Whether an iteration has begun.
        self.open = False

    def weights(self, x):
        w = x[: self.p].copy()
        w[self.split] -= x[self.p :]
        return w

    def value_and_gradient(self, x):
        if not self.open:
            self.fit.run.begin()
            self.open = True
        w = self.weights(x)
        with np.errstate(over="ignore", invalid="ignore"):
            value, slope = whole_objective(self.network, self.rows, w)
        if not len(self.split):
            return value, slope
        strength = self.network.l1 / self.rows.weight_sum
        # Of u + v, of which w has its size only where one of them is zero.
        excess = np.minimum(x[self.split], x[self.p :])
        back = strength - slope[self.split]
        slope[self.split] += strength
        return value + 2.0 * strength * float(excess.sum()), np.concatenate([slope, back])

    def start(self):
        w = self.fit.w.astype(np.float64)
        if not len(self.split):
            return w, None
        below = np.maximum(-w[self.split], 0.0)
        w[self.split] = np.maximum(w[self.split], 0.0)
        low = np.full(self.p, -np.inf)
        low[self.split] = 0.0
        bounds = [(a, None) for a in np.concatenate([low, np.zeros(len(below))])]
        return np.concatenate([w, below]), bounds

    def run(self, max_iter, max_fun, tol):
        x, bounds = self.start()
        result = minimize(
            self.value_and_gradient,
            x,
            method="L-BFGS-B",
            jac=True,
            bounds=bounds,
            callback=self.after,
            options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
        )
        result.x = self.weights(result.x)
        if self.open:
            self.fit.run.end(lambda: self.estimator._parameters(self.fit, result.x))
        return result

    def after(self, intermediate_result):
        """Record an iteration; a callback may stop the run."""
        self.history.append(float(intermediate_result.fun))
        w = self.weights(intermediate_result.x)
        if self.estimator.verbose:
            report_epoch(len(self.history), self.history[-1], None)
        if self.fit.run.end(lambda: self.estimator._parameters(self.fit, w)):
            self.stopped = True
        self.open = False
        if self.stopped:
            raise StopIteration


def draw_seed(random_state):
    """A number below 2^62, of the units that drop out."""
    high, low = random_state.randint(2**31 - 1, size=2)
    return int(high) << 31 | int(low)


def some_rows(rows, index):
    """A copy of rows `index`."""
    weight = None if rows.weight is None else rows.weight[index]
    return Rows(rows.take(index), weight, rows.target[index], n_threads=rows.n_threads)


def outputs(layers, parts, X, n_jobs=None, depth=None):
    """Outputs of `depth` layers, of all where None, a stretch of rows at a time."""
    widest = max(X.shape[1], *(layer.n_sums for layer in layers))
    if X.shape[0] * widest <= CELLS_AT_ONCE:
        return require_finite_outputs(some_outputs(layers, parts, X, depth))
    n_threads = thread_count(n_jobs)
    rows = Rows(
        X, n_threads=n_threads, row_work=2.0 * sum(layer.n_in * layer.n_sums for layer in layers)
    )
    n_units = (layers[-1] if depth is None else layers[depth - 1]).n_units
    out = np.empty((X.shape[0], n_units), dtype=parts[0]["coef"].dtype)
    with one_blas_thread(rows, widest):
        return require_finite_outputs(rows.map(_outputs, (layers, parts, depth), out))


def require_finite_outputs(out):
    """`out`, unless X was so large that sums overflow."""
    with np.errstate(all="ignore"):
        total = np.add.reduce(out, axis=None)
    if not math.isfinite(total) and not np.isfinite(out).all():
        raise ValueError(
            "X holds values so large that the network's sums overflow; scale the columns of X to"
            " about one, as for the fit"
        )
    return out


def _outputs(block, params):
    layers, parts, depth = params
    return some_outputs(layers, parts, block.X, depth)


def some_outputs(layers, parts, X, depth):
    """The same, at once."""
    with np.errstate(over="ignore", invalid="ignore"):
        if depth is None:
            return raw_outputs(layers, parts, X)
        return hidden(layers, parts, X, depth)[-1]


def mean_loss(loss, raw, rows):
    """The weighted mean of a loss over rows."""
    weight = np.ones(rows.n_rows) if rows.weight is None else rows.weight
    return loss.value_and_gradient(raw, dense(rows.target), weight)[0] / float(weight.sum())


def inspect(network, w, rows):
    """Gradient norms by layer and shares of dead units by hidden layer, on a sample of rows.

    A unit is dead whose output has no slope on any row.
    """
    widest = max(rows.n_features, *(layer.n_sums for layer in network.layers))
    sample = rows.sample(min(INSPECTED_ROWS, max(INSPECTED_CELLS // widest, 16)))
    weight = np.ones(sample.n_rows) if sample.weight is None else sample.weight
    if not weight.any():
        weight = np.ones(sample.n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        _, gradient = network.value_and_gradient(w, sample.X, dense(sample.target), weight)
        norms = [
            length(np.concatenate([view.ravel() for view in part.values()]))
            for part in network.parts(gradient)
        ]
        dead, a = [], sample.X
        for layer, part in zip(network.layers[:-1], network.parts(w), strict=False):
            a, steep = steepness(layer, part, a)
            dead.append(float((~steep.any(axis=0)).mean()))
    return norms, dead


def length(vector):
    """Euclidean norm, at most the largest float."""
    largest = float(np.abs(vector).max())
    if 0.0 < largest < math.inf:
        return min(largest * float(np.linalg.norm(vector / largest)), np.finfo(np.float64).max)
    return 0.0 if largest == 0.0 else np.finfo(np.float64).max


def steepness(layer, part, a):
    """Outputs of a layer and whether they change with what enters the unit."""
    z = linear(layer, part, a)
    out, backward = layer.activation.forward(z, part.get("slope"))
    slope, _ = backward(np.ones_like(out))
    return out, slope.reshape(*out.shape, -1).any(axis=2)


def report_epoch(epoch, value, score):
    """What `verbose` shows of an epoch."""
    announce("Iteration %d, loss = %.8f", epoch, value)
    if score is not None:
        announce("Validation score: %f", score)
