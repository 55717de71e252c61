"""Who trains networks, and how each is called at its best.

All take the rows in the order given, in batches of the same size, from the same weights, with the
same constants of Adam. torch is run with one thread and with all cores, in three ways:

- eager: gradients by autograd, one call of the fused Adam (faster here than the foreach form);
- by hand: no autograd, the gradient written into one vector by matrix products, the same Adam;
- compile: gradient and Adam in one function for torch.compile, compiled outside the clock.
"""

from copy import copy
from importlib import import_module

import numpy as np

from benchmarks.contenders import Contender
from benchmarks.environment import usable_cores
from benchmarks.network_problems import BETA_1, BETA_2, EPSILON, FEW_ROWS, RATE


def fit_estimator(module, **options):
    """scikit-learn's interface, which skgen has too."""

    def fit(problem, n_iter, seed):
        model = starting(module, problem, **options)
        # No epoch may be too little an improvement.
        model.set_params(max_iter=n_iter, n_iter_no_change=n_iter + 1)
        model.fit(problem.X, problem.y)
        return (model.coefs_, model.intercepts_), model.n_iter_

    return fit


def starting(module, problem, **options):
    """An estimator whose next fit starts at the problem's weights.

    It has been fitted to few rows, outside the clock, and continues from what it is given then.
    """
    if module not in problem.cache:
        estimator = getattr(import_module(module), problem.family)
        model = estimator(
            hidden_layer_sizes=problem.hidden,
            alpha=0.0,
            batch_size=problem.batch_size,
            learning_rate_init=RATE,
            beta_1=BETA_1,
            beta_2=BETA_2,
            epsilon=EPSILON,
            shuffle=False,
            tol=0.0,
            max_iter=1,
            random_state=0,
            warm_start=True,
            **options,
        )
        problem.cache[module] = model.fit(problem.X[:FEW_ROWS], problem.y[:FEW_ROWS])
    model = copy(problem.cache[module])
    model.coefs_ = [coef.copy() for coef in problem.coefs]
    model.intercepts_ = [intercept.copy() for intercept in problem.intercepts]
    model.loss_curve_ = []
    return model


def batches(problem, *arrays):
    """Views of tensors, batch by batch."""
    import torch

    parts = (torch.from_numpy(array).split(problem.batch_size) for array in arrays)
    return list(zip(*parts, strict=True))


def epsilons(n_updates):
    """What torch must add at each update to do what scikit-learn does."""
    return (EPSILON / np.sqrt(1.0 - BETA_2 ** np.arange(1.0, n_updates + 1.0))).tolist()


def fused_adam(parameters, gradients, means, squares, steps, epsilon):
    """One update; `torch.optim.Adam(fused=True)` does the same with more bookkeeping."""
    import torch

    torch._foreach_add_(steps, 1.0)
    torch._fused_adam_(
        parameters,
        gradients,
        means,
        squares,
        [],
        steps,
        lr=RATE,
        beta1=BETA_1,
        beta2=BETA_2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


def memories(parameters):
    """Running means of gradients and squares, and the counts of updates."""
    import torch

    means = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    return means, squares, [torch.zeros(()) for _ in parameters]


def transposed(problem):
    """Weights as torch's layers keep them, (out, in), and intercepts."""
    import torch

    coefs = [torch.from_numpy(coef.T.copy()) for coef in problem.coefs]
    return coefs, [torch.from_numpy(intercept.copy()) for intercept in problem.intercepts]


def loss_of(kind):
    """The loss of raw outputs of a batch."""
    from torch.nn import functional

    if kind == "classes":
        return functional.cross_entropy
    if kind == "two classes":
        return functional.binary_cross_entropy_with_logits
    return lambda raw, y: 0.5 * functional.mse_loss(raw, y)


def raw_outputs(coefs, intercepts, a):
    from torch.nn import functional

    last = len(coefs) - 1
    for number, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        a = functional.linear(a, coef, intercept)
        if number < last:
            a = functional.relu(a)
    return a


def answer_of(coefs, intercepts):
    """Weights as the judge takes them."""
    return [coef.detach().numpy().T for coef in coefs], [
        intercept.detach().numpy() for intercept in intercepts
    ]


def wanted_of(problem):
    """The target as torch's losses take it."""
    return problem.y if problem.kind == "classes" else problem.target


def fit_eager(n_threads):
    def fit(problem, n_iter, seed):
        import torch

        torch.set_num_threads(n_threads)
        coefs, intercepts = transposed(problem)
        parameters = [*coefs, *intercepts]
        leaves = [parameter.requires_grad_() for parameter in parameters]
        parameters = [leaf.detach() for leaf in leaves]
        state = memories(parameters)
        loss = loss_of(problem.kind)
        rows = batches(problem, problem.X, wanted_of(problem))
        added = iter(epsilons(n_iter * len(rows)))
        for _ in range(n_iter):
            for X, y in rows:
                value = loss(raw_outputs(coefs, intercepts, X), y)
                gradients = torch.autograd.grad(value, leaves)
                fused_adam(parameters, list(gradients), *state, next(added))
        return answer_of(coefs, intercepts), n_iter

    return fit


def fit_by_hand(n_threads):
    def fit(problem, n_iter, seed):
        import torch

        torch.set_num_threads(n_threads)
        with torch.inference_mode():
            start = [*problem.coefs, *problem.intercepts]
            w = torch.from_numpy(np.concatenate([part.ravel() for part in start]))
            gradient = torch.zeros_like(w)
            state = memories([w])
            coefs, intercepts = views(w, problem)
            of_coefs, of_intercepts = views(gradient, problem)
            link = {
                "classes": lambda raw: torch.softmax(raw, 1),
                "two classes": torch.sigmoid,
                "numbers": torch.clone,
            }[problem.kind]
            rows = batches(problem, problem.X, problem.target)
            added = iter(epsilons(n_iter * len(rows)))
            last = len(coefs) - 1
            for _ in range(n_iter):
                for X, y in rows:
                    outputs = [X]
                    for number in range(last + 1):
                        a = torch.addmm(intercepts[number], outputs[number], coefs[number])
                        outputs.append(a if number == last else a.relu_())
                    delta = link(outputs[-1]).sub_(y).div_(len(y))
                    for number in range(last, -1, -1):
                        torch.mm(outputs[number].t(), delta, out=of_coefs[number])
                        torch.sum(delta, 0, out=of_intercepts[number])
                        if number:
                            delta = torch.mm(delta, coefs[number].t())
                            delta.mul_(outputs[number] > 0)
                    fused_adam([w], [gradient], *state, next(added))
            return ([coef.numpy() for coef in coefs], [b.numpy() for b in intercepts]), n_iter

    return fit


def views(w, problem):
    """Coefs and intercepts as parts of one vector."""
    parts, start = [], 0
    for part in [*problem.coefs, *problem.intercepts]:
        parts.append(w[start : start + part.size].view(part.shape))
        start += part.size
    return parts[: len(problem.coefs)], parts[len(problem.coefs) :]


def compiled_update(kind):
    """A function for torch.compile that does one update in place."""
    import torch

    # Every size of batch, type and number of threads is compiled anew.
    torch._dynamo.config.recompile_limit = 64
    loss = loss_of(kind)

    def objective(parameters, X, y):
        half = len(parameters) // 2
        return loss(raw_outputs(parameters[:half], parameters[half:], X), y)

    gradient = torch.func.grad(objective)

    def update(X, y, numbers, parameters, means, squares):
        """`numbers`: the rate, the root's scale and epsilon of this update."""
        slopes = gradient(tuple(parameters), X, y)
        for w, g, m, v in zip(parameters, slopes, means, squares, strict=True):
            m.mul_(BETA_1).add_(g, alpha=1.0 - BETA_1)
            v.mul_(BETA_2).addcmul_(g, g, value=1.0 - BETA_2)
            w.sub_(numbers[0] * m / (v.sqrt() * numbers[1] + numbers[2]))

    return torch.compile(update, dynamic=False)


def fit_compiled(n_threads):
    def fit(problem, n_iter, seed):
        import torch

        torch.set_num_threads(n_threads)
        name = f"compiled for {n_threads} threads"
        if name not in problem.cache:
            problem.cache[name] = compiled_update(problem.kind)
        update = problem.cache[name]
        with torch.no_grad():
            coefs, intercepts = transposed(problem)
            parameters = [*coefs, *intercepts]
            means, squares, _ = memories(parameters)
            rows = batches(problem, problem.X, wanted_of(problem))
            t = np.arange(1.0, n_iter * len(rows) + 1.0)
            table = np.column_stack(
                [RATE / (1.0 - BETA_1**t), 1.0 / np.sqrt(1.0 - BETA_2**t), epsilons(len(t))]
            )
            numbers = iter(torch.from_numpy(table.astype(problem.X.dtype)).unbind())
            for _ in range(n_iter):
                for X, y in rows:
                    update(X, y, next(numbers), parameters, means, squares)
            return answer_of(coefs, intercepts), n_iter

    return fit


def torch_contenders():
    """Every way with one thread and with all cores."""
    ways = (("eager", fit_eager), ("by hand", fit_by_hand), ("compile", fit_compiled))
    for name, make in ways:
        for n_threads in sorted({1, usable_cores()}):
            threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
            yield Contender(f"torch {name}, {threads}", ("torch",), make(n_threads))


def estimators(**options):
    return tuple(
        Contender(
            name, (f"{module}.neural_network",), fit_estimator(f"{module}.neural_network", **given)
        )
        for name, module, given in (("skgen", "skgen", options), ("scikit-learn", "sklearn", {}))
    )


SKGEN, SCIKIT_LEARN = estimators()
TORCH = tuple(torch_contenders())
NETWORKS = (SKGEN, SCIKIT_LEARN, *TORCH)


def torch_on_one_row(method, n_outputs):
    """The least that a call of torch costs: NumPy in, NumPy out, one hidden layer as by default."""
    made = []

    def call(problem, n_iter, seed):
        import torch

        if not made:
            torch.set_num_threads(1)
            modules = torch.nn.Sequential(
                torch.nn.Linear(problem.X.shape[1], 100),
                torch.nn.ReLU(),
                torch.nn.Linear(100, n_outputs),
            )
            made.append(modules.to(torch.from_numpy(problem.X).dtype))
        with torch.inference_mode():
            raw = made[0](torch.from_numpy(problem.X[:1]))
            if method == "predict_proba":
                raw = torch.softmax(raw, 1) if n_outputs > 1 else torch.sigmoid(raw)
            elif n_outputs > 1:
                raw = raw.argmax(1)
            return raw.numpy().size, 1

    return call
