"""Visits of a perceptron to rows in a given order, and that order.

perceptron.h says what a visit is. A learner is a row of `vector` (K, d), `sums` and `paid` (K, d, or
no rows where nothing is averaged or no L1 penalty is paid) and a row of `state` (K, LEARNER_SIZE),
whose columns STATE names; two classes have one learner, one-vs-rest has one per class. In the
multiclass rule the classes share the state of class 0 but for intercepts. Calls continue each other:
walking [0, n) in parts is the same as at once.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t, uint8_t

ctypedef fused floating:
    float
    double

ctypedef fused integral:
    int32_t
    int64_t

cdef extern from "perceptron.h" nogil:
    enum:
        LEARNER_SIZE
        DENSE
        CSR_NARROW
        CSR_WIDE
    ctypedef struct learner:
        pass
    ctypedef struct lesson:
        const void *data
        const void *indices
        const void *indptr
        Py_ssize_t d
        int storage
        const int32_t *order
        const int32_t *target
        const double *weight
        const double *share
        Py_ssize_t begin
        Py_ssize_t end
        const int32_t *active
        Py_ssize_t n_active
        const int32_t *positive
        const double *gain
        double *vector
        double *sums
        double *paid
        learner *state
        double eta
        double shrink
        double pull
        double ridge
        double lasso
        double average
        int fit_intercept
        int penalty
        int pocket
    void shuffle_order(int32_t *, Py_ssize_t, uint64_t *)
    Py_ssize_t walk_learners_float(const lesson *)
    Py_ssize_t walk_learners_double(const lesson *)
    Py_ssize_t walk_classes_float(const lesson *)
    Py_ssize_t walk_classes_double(const lesson *)
    void gather_float(const lesson *, Py_ssize_t, Py_ssize_t, float *, void *, const void *)
    void gather_double(const lesson *, Py_ssize_t, Py_ssize_t, double *, void *, const void *)
    int same_rows_float(const lesson *, Py_ssize_t, Py_ssize_t)
    int same_rows_double(const lesson *, Py_ssize_t, Py_ssize_t)

STATE = (
    "intercept", "scale", "area", "visits", "intercept_sum", "time", "due", "square", "absolute",
    "loss", "penalty", "mistakes", "overflows", "run", "longest",
)
assert len(STATE) == LEARNER_SIZE


cdef void place_dense(lesson *p, const floating[:, ::1] X) noexcept nogil:
    p.data, p.indices, p.indptr = &X[0, 0], NULL, NULL
    p.d, p.storage = X.shape[1], DENSE


cdef void place_csr(lesson *p, const floating[::1] data, const integral[::1] indices,
                    const integral[::1] indptr, Py_ssize_t d) noexcept nogil:
    p.data = &data[0] if data.shape[0] else NULL
    p.indices = &indices[0] if indices.shape[0] else NULL
    p.indptr = &indptr[0]
    p.d = d
    if integral is int32_t:
        p.storage = CSR_NARROW
    else:
        p.storage = CSR_WIDE


cdef void place_lesson(lesson *p, const int32_t[::1] target, const double[::1] weight,
                       const double[::1] share, const int32_t[::1] order, const int32_t[::1] active,
                       const int32_t[::1] positive, const double[:, ::1] gain,
                       double[:, ::1] vector, double[:, ::1] sums, double[:, ::1] paid,
                       double[:, ::1] state, const double[::1] rule) noexcept nogil:
    p.target, p.order = &target[0], &order[0]
    p.weight = &weight[0] if weight.shape[0] else NULL
    p.share = &share[0] if share.shape[0] else NULL
    p.active, p.n_active = &active[0], active.shape[0]
    p.positive, p.gain = &positive[0], &gain[0, 0]
    p.vector = &vector[0, 0]
    p.sums = &sums[0, 0] if sums.shape[0] else NULL
    p.paid = &paid[0, 0] if paid.shape[0] else NULL
    p.state = <learner *>&state[0, 0]
    p.eta, p.shrink, p.pull = rule[0], rule[1], rule[2]
    p.ridge, p.lasso, p.average = rule[3], rule[4], rule[5]


def walk_dense(
    const floating[:, ::1] X,
    const int32_t[::1] target, const double[::1] weight, const double[::1] share,
    const int32_t[::1] order, const int32_t[::1] active, const int32_t[::1] positive,
    const double[:, ::1] gain, const double[::1] rule,
    double[:, ::1] vector,  # in, out
    double[:, ::1] sums,  # in, out
    double[:, ::1] paid,  # in, out
    double[:, ::1] state,  # in, out
    Py_ssize_t begin, Py_ssize_t end, bint fit_intercept, int penalty, bint multiclass, bint pocket,
):
    """Visit rows order[begin:end] with the learners `active`; return where the walk stopped.

    With `pocket` it stops before a mistake that ends a run longer than the state's `longest`. Empty
    `weight` and `share` mean ones: `weight` scales steps, `share` the sums of loss and penalty. `rule`
    is (eta, shrink, pull, ridge, lasso, first visit averaged); penalty 0, 1, 2: none, L2, L1 and L2.
    """
    cdef lesson p
    cdef Py_ssize_t stopped
    with nogil:
        place_dense(&p, X)
        place_lesson(&p, target, weight, share, order, active, positive, gain, vector, sums, paid,
                     state, rule)
        p.begin, p.end, p.fit_intercept, p.penalty, p.pocket = begin, end, fit_intercept, penalty, pocket
        if floating is float:
            stopped = walk_classes_float(&p) if multiclass else walk_learners_float(&p)
        else:
            stopped = walk_classes_double(&p) if multiclass else walk_learners_double(&p)
    return stopped


def walk_csr(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const int32_t[::1] target, const double[::1] weight, const double[::1] share,
    const int32_t[::1] order, const int32_t[::1] active, const int32_t[::1] positive,
    const double[:, ::1] gain, const double[::1] rule,
    double[:, ::1] vector,  # in, out
    double[:, ::1] sums,  # in, out
    double[:, ::1] paid,  # in, out
    double[:, ::1] state,  # in, out
    Py_ssize_t begin, Py_ssize_t end, bint fit_intercept, int penalty, bint multiclass, bint pocket,
):
    """As `walk_dense`."""
    cdef lesson p
    cdef Py_ssize_t stopped
    with nogil:
        place_csr(&p, data, indices, indptr, vector.shape[1])
        place_lesson(&p, target, weight, share, order, active, positive, gain, vector, sums, paid,
                     state, rule)
        p.begin, p.end, p.fit_intercept, p.penalty, p.pocket = begin, end, fit_intercept, penalty, pocket
        if floating is float:
            stopped = walk_classes_float(&p) if multiclass else walk_learners_float(&p)
        else:
            stopped = walk_classes_double(&p) if multiclass else walk_learners_double(&p)
    return stopped


def compare_dense(
    const floating[:, ::1] X, const int32_t[::1] target,
    const int64_t[::1] left, const int64_t[::1] right,
    uint8_t[::1] equal,  # out
):
    """equal[i]: whether rows left[i] and right[i] and their targets are the same."""
    cdef lesson p
    cdef Py_ssize_t i
    with nogil:
        place_dense(&p, X)
        p.target = &target[0]
        for i in range(left.shape[0]):
            if floating is float:
                equal[i] = same_rows_float(&p, left[i], right[i])
            else:
                equal[i] = same_rows_double(&p, left[i], right[i])


def compare_csr(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const int32_t[::1] target, const int64_t[::1] left, const int64_t[::1] right,
    uint8_t[::1] equal,  # out
):
    """As `compare_dense`."""
    cdef lesson p
    cdef Py_ssize_t i
    with nogil:
        place_csr(&p, data, indices, indptr, 0)
        p.target = &target[0]
        for i in range(left.shape[0]):
            if floating is float:
                equal[i] = same_rows_float(&p, left[i], right[i])
            else:
                equal[i] = same_rows_double(&p, left[i], right[i])


def gather_dense(
    const floating[:, ::1] X, const int32_t[::1] target, const int32_t[::1] order,
    floating[:, ::1] out,  # out
    Py_ssize_t begin, Py_ssize_t end,
):
    """out[i] = X[order[i]] for i in [begin, end)."""
    cdef lesson p
    with nogil:
        place_dense(&p, X)
        p.target, p.order, p.weight, p.share = &target[0], &order[0], NULL, NULL
        if floating is float:
            gather_float(&p, begin, end, &out[0, 0], NULL, NULL)
        else:
            gather_double(&p, begin, end, &out[0, 0], NULL, NULL)


def gather_csr(
    const floating[::1] data, const integral[::1] indices, const integral[::1] indptr,
    const int32_t[::1] target, const int32_t[::1] order,
    floating[::1] out_data,  # out
    integral[::1] out_indices,  # out
    const integral[::1] out_indptr, Py_ssize_t begin, Py_ssize_t end,
):
    """As `gather_dense`, into entries whose pointers are given."""
    cdef lesson p
    if out_data.shape[0] == 0:
        return
    with nogil:
        place_csr(&p, data, indices, indptr, 0)
        p.target, p.order, p.weight, p.share = &target[0], &order[0], NULL, NULL
        if floating is float:
            gather_float(&p, begin, end, &out_data[0], &out_indices[0], &out_indptr[0])
        else:
            gather_double(&p, begin, end, &out_data[0], &out_indices[0], &out_indptr[0])


def shuffle(
    uint64_t[::1] generator,  # in, out: (1,)
    int32_t[::1] order,  # in, out
):
    """Shuffle `order` by numbers from splitmix64."""
    with nogil:
        if order.shape[0] > 1:
            shuffle_order(&order[0], order.shape[0], &generator[0])
