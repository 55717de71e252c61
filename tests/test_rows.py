"""The reduction: fixed blocks, a fixed merge tree, any number of threads."""

import os
import sys
import threading
import time

import joblib
import numpy as np
import pytest
import threadpoolctl
from scipy import sparse

from skgen import rows as rows_module
from skgen.base import admit
from skgen.decomposition import PCA
from skgen.rows import MergeTree, Rows, block_rows, file_behind, one_blas_thread, thread_count
from tests.children import run


class Sum:
    """A statistic whose rounding depends on the order of merging."""

    def __init__(self, value):
        self.value = value

    def merge(self, other):
        return Sum(self.value + other.value)


class Path:
    """A statistic that remembers how it was merged."""

    def __init__(self, text):
        self.text = text

    def merge(self, other):
        return Path(f"({self.text}{other.text})")


def weighted_total(block, params):
    return Sum((block.weight[:, None] * block.X).sum(axis=0, dtype=np.float64))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", 300)


@pytest.mark.parametrize("n_leaves", [1, 2, 3, 5, 8, 13, 64, 100])
def test_merge_tree_does_not_depend_on_the_order_of_arrival(n_leaves):
    rng = np.random.default_rng(n_leaves)
    texts = set()
    for _ in range(20):
        tree = MergeTree(n_leaves)
        for index in rng.permutation(n_leaves):
            tree.add(int(index), Path(f"[{index}]"))
        texts.add(tree.root.text)
        assert not tree.waiting
    (text,) = texts
    leaves = text.replace("(", "").replace(")", "")
    assert leaves == "".join(f"[{index}]" for index in range(n_leaves))


def test_merge_tree_merges_neighbors_first():
    tree = MergeTree(5)
    for index in (4, 3, 2, 1, 0):
        tree.add(index, Path(str(index)))
    assert tree.root.text == "(((01)(23))4)"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_threads", [2, 3, 8, 50])
def test_sum_has_the_same_bits_for_any_number_of_threads(dtype, n_threads, small_blocks):
    rng = np.random.default_rng(0)
    X = (10.0 ** rng.uniform(-8, 8, size=(5000, 3))).astype(dtype)
    weight = rng.uniform(size=5000)
    alone = Rows(X, weight, n_threads=1).sum(weighted_total).value
    for _ in range(5):
        shared = Rows(X, weight, n_threads=n_threads).sum(weighted_total).value
        assert shared.tobytes() == alone.tobytes()


def test_sum_over_unlike_blocks_is_close(monkeypatch):
    X = np.random.default_rng(0).normal(size=(1000, 3)) + 3
    expected = X.sum(axis=0)
    for elements in (3, 21, 768, 10**6):
        monkeypatch.setattr(rows_module, "BLOCK_ELEMENTS", elements)
        total = Rows(X).sum(weighted_total).value
        np.testing.assert_allclose(total, expected, rtol=1e-13)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_blocks_cover_every_row_once_in_order(n_threads, small_blocks):
    X = np.arange(3.0 * 1003).reshape(1003, 3)
    weight = np.arange(1003.0)
    rows = Rows(X, weight, np.arange(1003), n_threads=n_threads)
    starts = []
    for block in rows.blocks():
        starts.append(block.start)
        np.testing.assert_array_equal(block.X, X[block.span])
        np.testing.assert_array_equal(block.weight, weight[block.span])
        np.testing.assert_array_equal(block.target, np.arange(1003)[block.span])
    assert starts == list(range(0, 1003, 100))
    out = rows.map(lambda block, params: block.X[:, 0] + params, 0.5, np.full(1003, np.nan))
    np.testing.assert_array_equal(out, X[:, 0] + 0.5)


def test_missing_weights_are_ones(small_blocks):
    X = np.ones((250, 3))
    assert Rows(X).weight_sum == 250.0
    assert Rows(X).sum(weighted_total).value.tolist() == [250.0] * 3
    doubled = Rows(X, np.full(250, 2.0))
    assert doubled.with_threads(3).sum(weighted_total).value.tolist() == [500.0] * 3
    for block in Rows(X).blocks():
        assert block.weight.dtype == np.float64 and len(block.weight) == len(block)


def test_sparse_rows_are_cut_like_dense_ones(small_blocks):
    X = np.random.default_rng(0).normal(size=(700, 3)) * [1, 0, 1]
    dense = Rows(X).sum(weighted_total).value
    # A CSR block multiplies as an array does.
    total = Rows(sparse.csr_array(X), n_threads=3).sum(
        lambda block, _: Sum(block.X.T @ block.weight)
    )
    np.testing.assert_allclose(total.value, dense, rtol=1e-13, atol=1e-13)


def test_blocks_of_many_cells_hold_them_and_sum_to_the_same():
    X = sparse.random_array((40_000, 300), density=0.05, rng=np.random.default_rng(0), format="csr")
    weight = np.arange(40_000.0)
    for rows in (Rows(X), Rows(X, weight, n_threads=2)):
        large = rows.in_blocks_of(100_000)
        assert 1 < large.n_blocks < rows.n_blocks
        stored = [block.X.nnz for block in large.blocks()]
        assert min(stored[:-1]) >= 100_000 and sum(stored) == X.nnz
        total = large.sum(lambda block, _: Sum(block.X.T @ block.weight)).value
        expected = X.T @ (np.ones(40_000) if rows.weight is None else weight)
        np.testing.assert_allclose(total, expected, rtol=1e-12)


def test_rows_of_far_more_columns_than_cells_are_one_block():
    X = sparse.csr_array((np.ones(3000), (np.arange(3000), np.arange(3000))), shape=(3000, 10**6))
    assert Rows(X).n_blocks == Rows(X).in_blocks_of(1).n_blocks == 1


def test_work_of_a_sparse_row_is_counted_by_what_it_stores():
    X = sparse.random_array((500, 100), density=0.05, rng=np.random.default_rng(0), format="csr")
    asked = []
    for data in (X, X.toarray()):
        admit(
            PCA(),
            data,
            reset=True,
            accept_sparse=True,
            row_work=lambda cells: asked.append(cells) or 1.0,
        )
    assert asked == [5, 100]


def test_block_size_is_a_function_of_the_shape_alone():
    assert block_rows(100, 5) == 100
    assert block_rows(2000, 500) == 2000
    assert block_rows(2048, 500) == 1024
    assert block_rows(32 * 1024, 500) == 1024
    # 6553 rows of 5 numbers are the least worth a block, and blocks are a power of two.
    assert block_rows(32 * 1024, 5) == 8192
    assert block_rows(10**6, 5) == 31250
    assert block_rows(10**9, 5) == 2**21 // 5
    assert block_rows(10, 2**22) == 1
    assert block_rows(0, 0) == 1
    assert block_rows(10**6, 5, row_work=1e6) == 2000
    assert block_rows(10**6, 5, row_work=1e12) == 1


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("failing", [0, 7, 49])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_an_exception_in_any_thread_reaches_the_caller_and_ends_the_pass(
    n_threads, failing, error, small_blocks
):
    rows = Rows(np.ones((5000, 3)), n_threads=n_threads)
    seen = []

    def work(block, params):
        if block.start == failing * 100:
            raise error("block of misfortune")
        seen.append(block.start)
        time.sleep(0.001)
        return Sum(0.0)

    with pytest.raises(error, match="misfortune"):
        rows.sum(work)
    count = len(seen)
    time.sleep(0.02)
    assert len(seen) == count, "a helper still works after the exception"
    assert count <= failing + n_threads
    assert rows.sum(weighted_total).value.tolist() == [5000.0] * 3


def test_sums_nest_without_deadlock(small_blocks):
    """A pass inside a block of another pass must not wait for threads that wait for it."""
    inner = Rows(np.ones((1000, 3)), n_threads=4)
    outer = Rows(np.ones((1000, 3)), n_threads=4)
    total = outer.sum(lambda block, _: Sum(inner.sum(weighted_total).value))
    assert total.value.tolist() == [10_000.0] * 3


def test_many_threads_may_sum_at_once(small_blocks):
    X = 10.0 ** np.random.default_rng(0).uniform(-8, 8, size=(3000, 3))
    expected = Rows(X).sum(weighted_total).value.tobytes()
    found = []

    def work():
        for _ in range(20):
            found.append(Rows(X, n_threads=3).sum(weighted_total).value.tobytes())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == [expected] * 160


def test_the_pool_may_grow_while_others_use_it(small_blocks, monkeypatch):
    """A pass must not find its pool shut down by another that asked for more threads."""
    X = np.ones((600, 3))
    failures = []

    def work(n_threads):
        try:
            Rows(X, n_threads=n_threads).sum(weighted_total)
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            monkeypatch.setattr(rows_module, "_pool", None)
            monkeypatch.setattr(rows_module, "_pool_size", 0)
            threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3, 4, 5, 6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=60)
    finally:
        sys.setswitchinterval(interval)
    assert failures == []


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("view", [lambda X: X, lambda X: X[100:900], np.asarray])
def test_memory_map_is_read_block_by_block(mode, view, tmp_path, small_blocks):
    X = np.random.default_rng(0).normal(size=(1000, 3))
    np.save(tmp_path / "X.npy", X)
    mapped = view(np.load(tmp_path / "X.npy", mmap_mode=mode))
    rows = Rows(mapped, n_threads=2)
    assert file_behind(mapped) is not None
    buffer = [None]
    for index in range(rows.n_blocks):
        block = rows.block(index, buffer)
        assert not np.shares_memory(block.X, mapped)
        assert block.X.base is buffer[0] or block.X is buffer[0]
        np.testing.assert_array_equal(block.X, view(X)[block.span])
    assert (
        rows.sum(weighted_total).value.tobytes()
        == Rows(view(X)).sum(weighted_total).value.tobytes()
    )


def test_written_memory_map_is_read_as_written(tmp_path, small_blocks):
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", shape=(500, 3))
    mapped[...] = 2.0
    assert Rows(mapped).sum(weighted_total).value.tolist() == [1000.0] * 3
    mapped[0] = 5.0
    assert Rows(mapped).sum(weighted_total).value.tolist() == [1003.0] * 3


def test_private_changes_of_a_memory_map_count(tmp_path, small_blocks):
    np.save(tmp_path / "X.npy", np.ones((500, 3)))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="c")
    mapped[0] = 5.0
    assert Rows(mapped).sum(weighted_total).value.tolist() == [504.0] * 3


def test_truncated_file_is_an_error_with_its_name(tmp_path, small_blocks):
    np.save(tmp_path / "X.npy", np.ones((500, 3)))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    rows = Rows(mapped)
    with open(tmp_path / "X.npy", "r+b") as file:
        file.truncate(4096)
    with pytest.raises(OSError, match=r"X\.npy"):
        rows.sum(weighted_total)


RESIDENT = """
import sys
import numpy as np
from skgen.rows import Rows

def resident():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1]) / 1024

class Zero:
    def merge(self, other):
        return self

def look(block, params):
    assert block.X[0, 0] == 0
    return Zero()

X = np.load(sys.argv[1], mmap_mode="r")
before = resident()
Rows(X, n_threads=2).sum(look)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_map_does_not_become_resident(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", shape=(800_000, 40))
    del mapped  # 256 MB of holes
    grown = run(RESIDENT, tmp_path / "X.npy").stdout
    # Two threads with one block of at most 16 MB each, and some room.
    assert float(grown) < 60


def test_blas_limit_is_restored(small_blocks):
    def blas_threads():
        return [
            library["num_threads"]
            for library in threadpoolctl.threadpool_info()
            if library["user_api"] == "blas"
        ]

    many = Rows(np.ones((500, 3)))
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        assert before and max(before) == 2
        with one_blas_thread(many):
            assert max(blas_threads()) == 1
            with one_blas_thread(many):
                assert max(blas_threads()) == 1
            assert max(blas_threads()) == 1
        assert blas_threads() == before
        with pytest.raises(RuntimeError), one_blas_thread(many):
            raise RuntimeError
        assert blas_threads() == before


def test_blas_limit_outlives_overlapping_fits_in_threads(small_blocks):
    many = Rows(np.ones((500, 3)))
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threadpoolctl.threadpool_info()

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(10):
                with one_blas_thread(many):
                    time.sleep(rng.uniform(0, 0.002))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert threadpoolctl.threadpool_info() == before


@pytest.fixture
def four_cores(monkeypatch):
    monkeypatch.setattr(rows_module, "_usable_cores", lambda affinity: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_thread_count_defaults_to_all_cores(four_cores):
    assert thread_count() == 4


@pytest.mark.parametrize(
    "value, expected", [("1", 1), ("3", 3), ("64", 4), ("0", 4), ("", 4), ("3,2", 3), ("x", 4)]
)
def test_thread_count_is_at_most_omp_num_threads(value, expected, four_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_count() == expected


def test_thread_count_follows_n_jobs():
    cores = joblib.effective_n_jobs(-1)
    assert thread_count(1) == 1
    assert thread_count(7) == 7
    assert thread_count(-1) == cores
    assert thread_count(-cores - 10) == 1
    with pytest.raises(ValueError):
        thread_count(0)


def test_thread_count_follows_the_enclosing_context(four_cores):
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert thread_count() == 3
        assert thread_count(2) == 2
    with joblib.parallel_config(backend="loky", n_jobs=1):
        assert thread_count() == 1


def test_thread_count_is_one_inside_a_joblib_thread(four_cores):
    counts = joblib.Parallel(n_jobs=2, backend="threading")(
        joblib.delayed(thread_count)() for _ in range(4)
    )
    assert counts == [1] * 4


def test_thread_count_shares_the_cores_among_joblib_processes():
    counts = joblib.Parallel(n_jobs=2, backend="loky")(
        joblib.delayed(thread_count)() for _ in range(4)
    )
    assert set(counts) == {max(1, joblib.cpu_count() // 2)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sum_works_in_a_forked_child_of_a_process_with_threads():
    """In a subprocess, because forking the threads of the test runner itself warns."""
    script = """
import os, signal, warnings
warnings.simplefilter("ignore")
import numpy as np
from skgen import rows as rows_module
from skgen.rows import Rows, one_blas_thread
rows_module.BLOCK_ELEMENTS = 300

class Sum(float):
    def merge(self, other):
        return Sum(self + other)

def total():
    rows = Rows(np.ones((9000, 3)), n_threads=4)
    with one_blas_thread(rows):
        return rows.sum(lambda block, _: Sum(block.X.sum()))

assert total() == 27000
rows = Rows(np.ones((9000, 3)), n_threads=4)
with one_blas_thread(rows):  # fork while a fit is running here
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if total() == 27000 and total() == 27000 else 1)
    assert os.waitpid(child, 0)[1] == 0
assert total() == 27000
"""
    run(script)


def test_blocks_of_csr_share_their_entries():
    X = sparse.random_array((50000, 40), density=0.2, format="csr", rng=0)
    rows = Rows(X)
    assert rows.n_blocks > 1
    for block in rows.blocks():
        assert np.shares_memory(block.X.data, X.data)
        assert np.shares_memory(block.X.indices, X.indices)
        np.testing.assert_array_equal(block.X.toarray(), X[block.span].toarray())


def test_blocks_of_wide_csr_hold_as_many_entries_as_columns():
    X = sparse.random_array((40000, 100000), density=1e-4, format="csr", rng=0)
    rows = Rows(X)
    entries = [block.X.nnz for block in rows.blocks()]
    assert len(entries) > 1
    assert min(entries) > 0.9 * X.shape[1]
