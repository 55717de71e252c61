"""The course of a perceptron over its rows: which rows, in which order, by how many threads.

Shuffled rows are a weighted multiset: rows of weight zero are left out, rows that are equal, label
included, become one with the sum of their weights, and all are put in an order that their content
alone decides before they are shuffled. A row repeated, a row of weight two and the order of the
rows then mean nothing (scikit-learn issue 16298). The order is that of `seeding.order_rows`, which
data keep that are shifted, scaled or have their columns permuted; rows of equal keys are compared
number by number.

Many rows are shuffled once by themselves and then in runs of neighbors, which serve as well, and,
unless they are too many to copy, laid out in that first order: memory delivers a run faster than
single rows. Rows of CSR cost half as much in runs, so they are laid out at the start; dense rows,
which are fetched ahead of their turn (1e6 x 50: 43 against 85 ns per row and epoch), in long fits
only, because where the system has to find new memory the copy takes as long as 20 epochs.
"""

import threading
from concurrent.futures import wait
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy import sparse

from skgen.kernels import perceptron as kernels
from skgen.rows import Rows, submit
from skgen.seeding import order_rows

# Numbers touched in one call of a kernel, some 30 ms: Ctrl-C is heard between calls.
CALL_WORK = 2e7
# What a visit costs besides the numbers of its row.
VISIT_WORK = 40
# Fewer are not worth waking threads for.
THREAD_WORK = 2e6
# From so many rows on, runs of so many are shuffled instead of rows.
ROWS_FOR_RUNS = 2**16
RUN_ROWS = 256
# Bytes of X that may be laid out anew; fewer are in a cache, more are left where they are.
BYTES_TO_LAY_OUT = 2**24, 2**30
# Epochs that pay for it: of CSR those to come, of dense rows those that have been.
EPOCHS_TO_LAY_OUT = 4
EPOCHS_BEFORE_LAYING_OUT = 24
NONE = np.empty(0)


@dataclass
class Course:
    """Rows in the order of their visits.

    `order` (m,) int32 are row numbers; `weight` scales the steps and `share` the sums of losses,
    both by row number and empty for ones. `n_threads` may walk at a time.
    """

    rows: object
    order: np.ndarray
    weight: np.ndarray
    share: np.ndarray
    n_threads: int
    runs: np.ndarray | None = field(default=None)

    @property
    def share_sum(self):
        return float(self.share[self.order].sum()) if self.share.size else float(self.order.size)

    def along(self, positions):
        """The course over `positions` of this one."""
        return replace(self, order=np.ascontiguousarray(self.order[positions]))

    def begin(self, generator, n_epochs):
        """Shuffle for the first time, for up to `n_epochs`."""
        kernels.shuffle(generator, self.order)
        if self.order.size < ROWS_FOR_RUNS:
            return
        self.cut()
        if sparse.issparse(self.rows.X) and n_epochs >= EPOCHS_TO_LAY_OUT:
            self.lay_out()

    def cut(self):
        """Make runs of the rows in their present order."""
        n_runs = -(-self.order.size // RUN_ROWS)
        self.runs = np.full(n_runs * RUN_ROWS, -1, dtype=np.int32)
        self.runs[: self.order.size] = self.order
        self.runs = self.runs.reshape(n_runs, RUN_ROWS)

    def lay_out(self):
        """Copy the rows in the order that was cut into runs, unless they are few or too many."""
        smallest, largest = BYTES_TO_LAY_OUT
        if not smallest <= sum(part.nbytes for part in entries(self.rows.X)) <= largest:
            return
        order, rows = self.runs.ravel()[: self.order.size], self.rows
        X = laid_out(rows.X, rows.target, order, self.n_threads)
        self.weight, self.share = (a[order] if a.size else a for a in (self.weight, self.share))
        self.rows = Rows(X, None, rows.target[order], rows.n_threads)
        self.order = np.arange(order.size, dtype=np.int32)
        self.cut()

    def shuffle(self, generator, n_done):
        """Put the rows, or runs of rows, in a new order after `n_done` epochs."""
        if self.runs is None:
            kernels.shuffle(generator, self.order)
            return
        if not sparse.issparse(self.rows.X) and n_done == EPOCHS_BEFORE_LAYING_OUT:
            self.lay_out()
        numbers = np.arange(len(self.runs), dtype=np.int32)
        kernels.shuffle(generator, numbers)
        order = self.runs.take(numbers, axis=0).ravel()
        # The last run is not full.
        self.order = order[order >= 0] if order.size > self.order.size else order


def laid_out(X, target, order, n_threads):
    """X[order]; a copy that takes threads and a tenth of SciPy's time."""
    if not sparse.issparse(X):
        out = np.empty((order.size, X.shape[1]), dtype=X.dtype)
        share_out(
            lambda span: kernels.gather_dense(X, target, order, out, *span),
            spans(order.size), n_threads, threading.Event(),
        )  # fmt: skip
        return out
    data, indices, pointers = entries(X)
    new = np.zeros(order.size + 1, dtype=pointers.dtype)
    np.cumsum(np.diff(pointers)[order], out=new[1:])
    values, columns = np.empty(new[-1], dtype=data.dtype), np.empty(new[-1], dtype=indices.dtype)
    share_out(
        lambda span: kernels.gather_csr(
            data, indices, pointers, target, order, values, columns, new, *span
        ),
        spans(order.size), n_threads, threading.Event(),
    )  # fmt: skip
    return sparse.csr_array((values, columns, new), shape=(order.size, X.shape[1]))


def plan(rows, shuffled, by_class=None):
    """The `Course` over `rows`: as a multiset if `shuffled`, else as they stand in the file.

    Factors `by_class` count as weights where the order depends on them.
    """
    if rows.n_rows > np.iinfo(np.int32).max:
        raise ValueError(
            f"X has {rows.n_rows} rows; Perceptron numbers at most {np.iinfo(np.int32).max},"
            " use partial_fit on parts of them"
        )
    weight = NONE if rows.weight is None else rows.weight
    if not shuffled:
        order = np.arange(rows.n_rows, dtype=np.int32)
        return Course(rows, order, weight, NONE, rows.n_threads)
    order, weight = distinct_rows(rows, by_class)
    return Course(rows, order, weight, weight, rows.n_threads)


def weighted(rows, by_class):
    """The rows, each with its weight times the factor of its class."""
    if by_class is None:
        return rows
    factor = by_class[rows.target]
    weight = factor if rows.weight is None else rows.weight * factor
    return Rows(rows.X, weight, rows.target, n_threads=rows.n_threads) if weight.any() else rows


def distinct_rows(rows, by_class=None):
    """Different rows of positive weight ordered by content, and weights (n,) or empty."""
    found = order_rows(weighted(rows, by_class), remember=True)
    order, key = found.order, found.key[found.order]
    alike = np.flatnonzero(key[1:] == key[:-1])
    if alike.size:
        # Rows that differ in their label only: by label.
        tied = np.union1d(alike, alike + 1)
        order[tied] = order[tied][np.lexsort((rows.target[order[tied]], key[tied]))]
    weight = rows.weight
    equal = np.zeros(alike.size, dtype=np.uint8)
    if alike.size:
        compare = kernels.compare_csr if sparse.issparse(rows.X) else kernels.compare_dense
        compare(*entries(rows.X), rows.target, order[alike], order[alike + 1], equal)
    new = np.ones(order.size, dtype=bool)
    new[alike[equal > 0] + 1] = False
    if new.all():
        return order.astype(np.int32), NONE if weight is None else weight
    first = np.flatnonzero(new)
    along = np.ones(order.size) if weight is None else weight[order]
    merged = np.zeros(rows.n_rows)
    merged[order[first]] = np.add.reduceat(along, first)
    return order[first].astype(np.int32), merged


def spans(n, parts=16):
    """[0, n) in up to `parts` pairs (begin, end)."""
    edges = np.linspace(0, n, min(n, parts) + 1).astype(int).tolist()
    return list(pairwise(edges))


def entries(X):
    """X as the kernels take it: itself, or the three arrays of CSR with indices of one type."""
    if not sparse.issparse(X):
        return (X,)
    indices, pointers = X.indices, X.indptr
    if indices.dtype != pointers.dtype:
        indices, pointers = indices.astype(np.int64), pointers.astype(np.int64)
    return X.data, indices, pointers


@dataclass(frozen=True)
class Rule:
    """What a visit does; `numbers` are eta, shrink, pull, ridge, lasso and first visit averaged.

    `gain` scales the steps: (K, 2) at rows of negative and positive sign, for the multiclass rule
    (K, 2) with both columns the weight of the class. `positive` (K,) are positive classes.
    """

    numbers: np.ndarray
    penalty: int
    fit_intercept: bool
    multiclass: bool
    positive: np.ndarray
    gain: np.ndarray


def walk(course, rule, learners, active, pocket=None):
    """One visit of the learners `active` to every row of the course.

    `pocket(number)` is called before a mistake that ends the longest run of learner `number`.
    """
    matrix = entries(course.rows.X)
    width = matrix[0].size / max(course.rows.n_rows, 1)
    work = course.order.size * (width + VISIT_WORK)
    if rule.multiclass:
        groups = [active]
    elif pocket is not None:
        groups = np.split(active, active.size)
    else:
        shares = min(course.n_threads, active.size) if work * active.size > THREAD_WORK else 1
        groups = np.array_split(active, shares)
    stopped = threading.Event()

    def visit(group):
        step = max(1, int(CALL_WORK / ((width + VISIT_WORK) * group.size)))
        position, end = 0, course.order.size
        while position < end and not stopped.is_set():
            until = min(position + step, end)
            position = learners.visit(course, matrix, rule, group, position, until, pocket)

    n_threads = course.n_threads if work * active.size > THREAD_WORK else 1
    share_out(visit, groups, n_threads, stopped)


def share_out(task, items, n_threads, stopped):
    """Call task(item) for all items in up to `n_threads` threads; an exception stops all."""
    waiting = iter(items)
    lock = threading.Lock()

    def loop():
        while not stopped.is_set():
            with lock:
                item = next(waiting, None)
            if item is None:
                return
            try:
                task(item)
            except BaseException:
                stopped.set()
                raise

    n_helpers = min(n_threads, len(items)) - 1
    futures = submit(loop, n_helpers) if n_helpers > 0 else []
    try:
        loop()
    except BaseException:
        stopped.set()
        raise
    finally:
        started = [future for future in futures if not future.cancel()]
        wait(started)
    for future in started:
        future.result()


def hold_out(course, part, generator):
    """Positions along the course to train on and to hold out: a `part` of every class, by number
    of different rows, never all of one, and at least one row.
    """
    shuffled = np.arange(course.order.size, dtype=np.int32)
    kernels.shuffle(generator, shuffled)
    labels = course.rows.target[course.order[shuffled]]
    grouped = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    rank = np.empty(labels.size, dtype=np.int64)
    rank[grouped] = np.arange(labels.size) - np.repeat(np.cumsum(counts) - counts, counts)
    quota = np.minimum(np.floor(part * counts + 0.5).astype(int), np.maximum(counts - 1, 0))
    if not quota.any():
        quota[counts.argmax()] = 1
    held = rank < quota[labels]
    return np.sort(shuffled[~held]), np.sort(shuffled[held])
