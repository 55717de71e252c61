"""The reduction: add up a small statistic over the rows, in fixed blocks, in a fixed order.

    rows.sum(f, params) = f(block_0) + f(block_1) + ...      with + = statistic.merge

Blocks depend on the shape and dtype of X alone and are merged over a fixed binary tree of block
indices, so the result has the same bits for any number of threads. Threads are plain Python
threads: `f` spends its time in kernels and NumPy calls that release the GIL. A pool of OpenMP
threads was rejected because it hangs in forked children and collapses when a core is busy.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from math import log2
from multiprocessing import current_process

import joblib
import numpy as np
from scipy import sparse
from threadpoolctl import ThreadpoolController

# A block is about 16 MB of float64, small enough to read a file by, large enough that the
# Python around one block (some 20 microseconds) does not count.
BLOCK_ELEMENTS = 2**21
# Once there are rows to share, this many blocks keep an even number of threads busy; fewer, a
# power of two, where they would hold less than ...
MANY_BLOCKS = 32
# ... so many rows, or ...
SMALLEST_BLOCK = 1024
# ... so many numbers.
SMALLEST_ELEMENTS = 2**15
# Below this many features BLAS uses no threads of its own.
FEATURES_OF_THREADED_BLAS = 32
# Arithmetic operations in a block, at most: some 50 ms, so that Ctrl-C is heard.
BLOCK_WORK = 2e9


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows: X (b, d) C-ordered or CSR, weight (b,) float64, target, first index."""

    X: object
    weight: np.ndarray
    target: object
    start: int

    def __len__(self):
        return self.X.shape[0]

    @property
    def span(self):
        """The slice of these rows in an array over all rows."""
        return slice(self.start, self.start + self.X.shape[0])


class Rows:
    """Validated rows, cut into blocks that any statistic can be summed over.

    Parameters
    ----------
    X : ndarray of shape (n, d), C-ordered float32 or float64, or CSR
    weight : ndarray of shape (n,) float64, or None for ones
    target : array of length n, or None
    n_threads : int
    row_work : float
        Arithmetic operations spent on a row, where that is far more than d.
    """

    def __init__(self, X, weight=None, target=None, n_threads=1, row_work=0.0):
        self.X = X
        self.weight = weight
        self.target = target
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype
        self.n_threads = n_threads
        self._file = file_behind(X)
        self._cut(row_work)

    def _cut(self, row_work=0.0, cells=0):
        """Lay blocks, of at least `cells` cells; see `block_rows`."""
        width = max(cells_per_row(self.X), 1)
        if sparse.issparse(self.X):
            # Merging statistics as wide as X should cost no more than adding them up.
            cells = max(cells, self.n_features)
        self.block_rows = block_rows(self.n_rows, width, row_work, cells // width)
        self.n_blocks = max(1, -(-self.n_rows // self.block_rows))
        self._ones = None
        if self.weight is None:
            self._ones = np.ones(min(self.block_rows, self.n_rows))
        # Blocks of CSR rows, which cost some 50 microseconds each.
        self._csr_blocks = {}

    @property
    def weight_sum(self):
        return float(self.n_rows) if self.weight is None else float(self.weight.sum())

    def with_threads(self, n_threads):
        """The same rows, summed over by another number of threads."""
        other = copy(self)
        other.n_threads = n_threads
        return other

    def with_weight(self, weight):
        """The same rows with other weights."""
        other = copy(self)
        other.weight, other._ones = weight, None
        return other

    def with_target(self, target):
        """The same rows with something else per row as target."""
        other = copy(self)
        other.target = target
        return other

    def in_blocks_of(self, cells):
        """The same rows in blocks of at least `cells` cells: for sums of little work per cell."""
        other = copy(self)
        other._cut(cells=cells)
        return other

    def with_values(self, X):
        """Other values in the place of X, cut into the same blocks."""
        other = copy(self)
        other.X, other.dtype = X, X.dtype
        other._file, other._csr_blocks = file_behind(X), {}
        return other

    def block(self, index, buffer=None):
        """Block number `index`; `buffer` is a one-item list that rows of a file are read into."""
        start = index * self.block_rows
        stop = min(start + self.block_rows, self.n_rows)
        if self._file is not None and buffer is not None:
            X = self._file.read(start, stop, buffer)
        elif sparse.issparse(self.X):
            X = self._csr_blocks.get(index)
            if X is None:
                X = self._csr_blocks[index] = csr_rows(self.X, start, stop)
        else:
            X = self.X[start:stop]
        weight = self._ones[: stop - start] if self.weight is None else self.weight[start:stop]
        target = None if self.target is None else self.target[start:stop]
        return Block(X, weight, target, start)

    def part(self, start, stop, buffer):
        """Rows start to stop as `Rows` of their own; `buffer` as in `block`."""
        X = self.X[start:stop]
        if self._file is not None:
            X = self._file.read(start, stop, buffer)
        weight = None if self.weight is None else self.weight[start:stop]
        target = None if self.target is None else self.target[start:stop]
        return Rows(X, weight, target, n_threads=self.n_threads)

    def blocks(self):
        """All blocks in order."""
        buffer = [None]
        return (self.block(index, buffer) for index in range(self.n_blocks))

    def take(self, indices):
        """Rows `indices` as a new array (CSR stays CSR)."""
        return self.X[np.asarray(indices)]

    def sample(self, n_rows):
        """About `n_rows` of the rows, spread evenly: one of every stretch, by a fixed draw.

        Which of a stretch is drawn at random, so that periods in the data do not show; the draw
        depends on the shape alone.
        """
        stretch = max(1, self.n_rows // max(n_rows, 1))
        starts = np.arange(0, self.n_rows - stretch + 1, stretch)
        drawn = starts + np.random.default_rng(0).integers(stretch, size=len(starts))
        return Rows(
            self.X[drawn],
            None if self.weight is None else self.weight[drawn],
            None if self.target is None else self.target[drawn],
            n_threads=self.n_threads,
        )

    def sum(self, f, params=None):
        """Merge ``f(block, params)`` over all blocks; `merge` may reuse its left operand."""
        if self.n_blocks == 1:
            return f(self.block(0, [None]), params)
        tree = MergeTree(self.n_blocks)

        def work(index, buffer):
            tree.add(index, f(self.block(index, buffer), params))

        self._run(work)
        return tree.root

    def map(self, f, params, out):
        """Write ``f(block, params)`` into the block's rows of `out`, which is returned."""

        def work(index, buffer):
            block = self.block(index, buffer)
            out[block.span] = f(block, params)

        self._run(work)
        return out

    def _run(self, work):
        """Call work(index, buffer) for every block index; the first exception stops all."""
        indices = iter(range(self.n_blocks))
        lock = threading.Lock()
        failed = threading.Event()

        def loop():
            buffer = [None]
            while not failed.is_set():
                with lock:
                    index = next(indices, None)
                if index is None:
                    return
                try:
                    work(index, buffer)
                except BaseException:
                    failed.set()
                    raise

        n_helpers = min(self.n_threads, self.n_blocks) - 1
        if n_helpers < 1:
            loop()
            return
        futures = submit(loop, n_helpers)
        try:
            loop()
        except BaseException:
            failed.set()
            raise
        finally:
            # Helpers that have not started have nothing left to do.
            started = [future for future in futures if not future.cancel()]
            wait(started)
        for future in started:
            future.result()


class MergeTree:
    """Merges numbered statistics over a fixed binary tree, as soon as both halves are there."""

    def __init__(self, n_leaves):
        self.widths = [n_leaves]
        while self.widths[-1] > 1:
            self.widths.append(-(-self.widths[-1] // 2))
        self.waiting = {}
        self.lock = threading.Lock()
        self.root = None

    def add(self, index, statistic):
        for level, width in enumerate(self.widths):
            if width == 1:
                self.root = statistic
                return
            sibling = index ^ 1
            if sibling < width:
                with self.lock:
                    other = self.waiting.pop((level, sibling), None)
                    if other is None:
                        self.waiting[level, index] = statistic
                        return
                left, right = (statistic, other) if index < sibling else (other, statistic)
                statistic = left.merge(right)
            index //= 2


def block_rows(n_rows, n_features, row_work=0.0, smallest=1):
    """Rows in a block: a function of shape and work alone, never of the number of threads."""
    by_memory = max(1, BLOCK_ELEMENTS // max(n_features, 1))
    smallest = max(smallest, SMALLEST_BLOCK, SMALLEST_ELEMENTS // max(n_features, 1))
    shares = min(MANY_BLOCKS, 2 ** int(log2(max(n_rows // smallest, 1))))
    by_share = -(-n_rows // shares)
    by_work = max(1, int(BLOCK_WORK // row_work)) if row_work else n_rows
    return max(1, min(by_memory, by_share, by_work, max(n_rows, 1)))


def cells_per_row(X):
    """The length of a row; a row of CSR is as long as what it stores."""
    return X.nnz // max(X.shape[0], 1) if sparse.issparse(X) else X.shape[1]


def csr_rows(X, start, stop):
    """Rows start to stop of a CSR matrix, sharing its entries.

    Slicing copies them, and the constructor does where they are a small part of an array: either
    costs four times what a linear model then spends on the rows.
    """
    rows = type(X)((stop - start, X.shape[1]), dtype=X.dtype)
    begin, end = X.indptr[start], X.indptr[stop]
    rows.data, rows.indices = X.data[begin:end], X.indices[begin:end]
    rows.indptr = X.indptr[start : stop + 1] - begin
    return rows


class FileRows:
    """Rows of a C-ordered array that lies in a file.

    Slicing a memory map leaves its pages resident, the whole file in the end; reading leaves
    one block.
    """

    def __init__(self, path, offset, shape, dtype):
        self.path, self.offset, self.shape, self.dtype = path, offset, shape, dtype

    def read(self, start, stop, buffer):
        rows, width = stop - start, self.shape[1]
        if buffer[0] is None or buffer[0].shape[0] < rows:
            buffer[0] = np.empty((rows, width), self.dtype)
        block = buffer[0][:rows]
        with open(self.path, "rb") as file:
            file.seek(self.offset + start * width * self.dtype.itemsize)
            n_read = file.readinto(memoryview(block).cast("B"))
        if n_read != block.nbytes:
            raise OSError(f"{self.path} ends before row {stop} of the {self.shape[0]} mapped rows")
        return block


def file_behind(X):
    """The `FileRows` of a memory map (or of a view of one), None for an array in memory."""
    if not isinstance(X, np.ndarray) or not X.flags.c_contiguous or X.ndim != 2:
        return None
    base = X
    while isinstance(base, np.ndarray) and not (
        isinstance(base, np.memmap) and base.filename is not None and hasattr(base, "mode")
    ):
        base = base.base
    # In mode "c" changes live in memory only.
    if not isinstance(base, np.memmap) or base.mode == "c":
        return None
    while isinstance(base.base, np.memmap):
        base = base.base
    shift = X.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    if base.mode != "r":
        base.flush()
    return FileRows(base.filename, base.offset + shift, X.shape, X.dtype)


_pool = None
_pool_size = 0
_pool_lock = threading.Lock()


def submit(task, n_helpers):
    """Hand `task` to `n_helpers` helper threads of the process; their futures."""
    global _pool, _pool_size
    # Under the lock, so that nobody replaces the pool between finding and using it.
    with _pool_lock:
        if _pool_size < n_helpers:
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool_size = n_helpers
            _pool = ThreadPoolExecutor(n_helpers, thread_name_prefix="skgen")
        return [_pool.submit(task) for _ in range(n_helpers)]


def _forget_pool():
    """In a forked child the threads are gone and locks may be held by them."""
    global _pool, _pool_size, _pool_lock, _blas
    _pool, _pool_size, _pool_lock, _blas = None, 0, threading.Lock(), BlasLimit()


class BlasLimit:
    """Holds BLAS to one thread while any fit is running in this process.

    threadpoolctl 3.8 lets one thread of the process change the limit and ignores all others, whose
    results would then depend on how many threads BLAS has; here fits in any thread are counted.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.users = 0
        self.libraries = None
        self.before = []

    def enter(self):
        with self.lock:
            if self.libraries is None:
                found = ThreadpoolController().select(user_api="blas")
                self.libraries = found.lib_controllers
            self.users += 1
            if self.users == 1:
                self.before = [library.get_num_threads() for library in self.libraries]
                for library in self.libraries:
                    set_threads(library, 1)

    def leave(self):
        with self.lock:
            self.users -= 1
            if self.users == 0:
                for library, number in zip(self.libraries, self.before, strict=True):
                    set_threads(library, number)


def set_threads(library, number):
    """Set the number of threads of a BLAS, from whatever thread."""
    if number is not None:
        getattr(library, "_real_set_num_threads", library.set_num_threads)(number)


_blas = BlasLimit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


@contextmanager
def one_blas_thread(rows, size=0):
    """Hold BLAS to one thread for a fit over `rows`; free for fits too small to notice.

    `size` is the side of the largest matrix, where it may be larger than a row.
    """
    if rows.n_blocks == 1 and max(rows.n_features, size) < FEATURES_OF_THREADED_BLAS:
        yield
        return
    limit = _blas
    limit.enter()
    try:
        yield
    finally:
        limit.leave()


def thread_count(n_jobs=None):
    """Threads for one fit.

    None: all cores that the process may use (affinity and cgroups, as joblib counts them) and
    OMP_NUM_THREADS allows (joblib sets it in its worker processes), `n_jobs` of an enclosing
    ``joblib.parallel_config``, one inside a joblib thread. An integer is meant as in joblib:
    -1 all cores, -2 all but one.
    """
    if n_jobs is not None:
        return max(1, joblib.effective_n_jobs(n_jobs))
    backend, configured = joblib.parallel.get_active_backend()
    if configured is not None:
        return max(1, joblib.effective_n_jobs(configured))
    if getattr(backend, "nesting_level", 0) and current_process().name == "MainProcess":
        return 1
    return available_cores()


def available_cores():
    """Cores this process may use, at most OMP_NUM_THREADS."""
    # The first item of a list is for the outermost level of threads.
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    cores = _usable_cores(frozenset(affinity))
    return min(cores, int(limit)) if limit.isdigit() and int(limit) > 0 else cores


@lru_cache
def _usable_cores(affinity):
    """joblib reads the cgroup's files anew at every call; once per `affinity` is enough."""
    return joblib.cpu_count()
