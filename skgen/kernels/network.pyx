"""Minibatch training of multilayer perceptrons: many updates without a return to Python.

The twin is skgen.networks.network with skgen.neural_network.batches; network.h says how threads
share a step.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

import numpy as np

ctypedef fused floating:
    float
    double

ctypedef fused integral:
    int32_t
    int64_t

cdef extern from "network.h" nogil:
    uint64_t GOLDEN
    uint64_t mix(uint64_t)
    int MAX_LAYERS
    int MAX_THREADS
    ctypedef struct net_layer:
        Py_ssize_t n_in, n_units, pieces
        int activation, batch_norm, drops
        double number, keep
        uint64_t threshold
        Py_ssize_t place[6]
        Py_ssize_t panels
    ctypedef struct net_head:
        int kind
        Py_ssize_t start, n_raw, target
        double weight, number
    ctypedef struct net_team:
        int n_layers, n_heads, rule
        net_layer layers[64]
        net_head *heads
        double numbers[4]
        double l2, l1, decay, longest, max_norm
        uint64_t seed
        Py_ssize_t batch_size, padded, n_memories, n_targets
        int has_pace
        void *params
        void *memory
        void *turned
        void *work
        void *gradient
        const void **rows
        double *losses
        double *parts
        double pace
        int lists
        Py_ssize_t n_columns, n_blocks, column_length
        void *row_cells
        void *column_cells
        uint32_t *row_starts
        uint32_t *column_ends
    ctypedef struct net_job:
        const void *X
        const void *target
        const double *weight
        const void *data
        const void *indices
        const void *indptr
        int long_indices, sparse
        Py_ssize_t n_features
        const Py_ssize_t *order
        Py_ssize_t n_rows, n_steps
        const double *rates
        Py_ssize_t n_updates
        double total
        int n_threads, joined
        double elapsed
        double waited[64]
    int sign_up(net_job *)
    void close_list(net_job *, int)
    void abandon(net_job *)
    void lay_out_float(net_team *, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *)
    void lay_out_double(net_team *, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *)
    void point_rows_float(net_team *)
    void point_rows_double(net_team *)
    void pack_float(net_team *, float *, float *, Py_ssize_t, Py_ssize_t)
    void pack_double(net_team *, double *, double *, Py_ssize_t, Py_ssize_t)
    void unpack_float(net_team *, float *, float *, Py_ssize_t, Py_ssize_t)
    void unpack_double(net_team *, double *, double *, Py_ssize_t, Py_ssize_t)
    void train_float(net_team *, net_job *, int, const void **, double *)
    void train_double(net_team *, net_job *, int, const void **, double *)

# Rules that remember a velocity and its pace, and those with two memories.
cdef set VELOCITIES = {1, 2}
cdef list MEMORIES = [0, 1, 1, 1, 1, 2, 2]
# Operations of a step that are worth a second thread.
SHARED_WORK = 1e6
# The share of the time that a thread may wait for others beyond spinning, and the most calls that go
# by without helpers when it did.
TOO_LONG = 0.2
LONGEST_ALONE = 64


cdef void *address(array) except? NULL:
    """Where the numbers of an array are."""
    return <void *><size_t>array.__array_interface__["data"][0]


def mask_cells(
    floating[:, ::1] X,  # in, out
    const Py_ssize_t[::1] numbers, uint64_t key, uint64_t threshold,
):
    """Set cells to zero whose bits are below the threshold; rows numbered -1 are left alone."""
    cdef Py_ssize_t i, j, d = X.shape[1]
    cdef uint64_t start
    with nogil:
        for i in range(X.shape[0]):
            if numbers[i] < 0:
                continue
            start = key + GOLDEN * <uint64_t>(numbers[i] * d + 1)
            for j in range(d):
                if mix(start + GOLDEN * <uint64_t>j) >> 40 < threshold:
                    X[i, j] = 0.0


def mask_stored(
    floating[::1] data,  # in, out
    const integral[::1] indices, const integral[::1] indptr, const Py_ssize_t[::1] numbers,
    Py_ssize_t d, uint64_t key, uint64_t threshold,
):
    """The same for what CSR rows of d columns store."""
    cdef Py_ssize_t i, e
    cdef uint64_t place
    with nogil:
        for i in range(numbers.shape[0]):
            if numbers[i] < 0:
                continue
            for e in range(indptr[i], indptr[i + 1]):
                place = <uint64_t>(numbers[i] * d + indices[e] + 1)
                if mix(key + GOLDEN * place) >> 40 < threshold:
                    data[e] = 0.0


cdef class Stretch:
    """One call of Team.train: what its threads share."""

    cdef net_job job
    cdef Team team

    def join(self):
        """Take part as one of the helpers, unless training has begun."""
        cdef int rank
        with nogil:
            rank = sign_up(&self.job)
            if rank > 0:
                self.team.work_as(&self.job, rank)


cdef class Team:
    """Everything of a training that stays the same from call to call, and its buffers.

    Tables as skgen.neural_network.batches makes them: layers (L, 11) int64, numbers and dropout (L,),
    heads (H, 4) int64, head_numbers (H, 2).
    """

    cdef net_team team
    cdef bint single
    cdef int n_threads, alone, patience
    cdef list kept
    cdef void **x_rows
    cdef double *shares

    def __cinit__(self):
        self.x_rows = NULL
        self.shares = NULL

    def __init__(
        self, layers, numbers, dropout, heads, head_numbers, int rule, rule_numbers,
        Py_ssize_t batch_size, bint single, double l2, double l1, double decay, double clip_norm,
        double max_norm, uint64_t seed, int n_threads, bint lists=False,
    ):
        cdef Py_ssize_t padded, turned, work, parts
        cdef int number, i
        if len(layers) > MAX_LAYERS:
            raise ValueError(f"{len(layers)} layers, the kernel takes {MAX_LAYERS}")
        self.single, self.n_threads = single, min(max(1, n_threads), MAX_THREADS)
        self.alone, self.patience = 0, 1
        self.kept = []
        cdef net_team *team = &self.team
        team.n_layers, team.n_heads, team.rule = len(layers), len(heads), rule
        for number in range(team.n_layers):
            row = layers[number].tolist()
            team.layers[number].n_in, team.layers[number].n_units = row[0], row[1]
            team.layers[number].pieces, team.layers[number].activation = row[2], row[3]
            team.layers[number].batch_norm = row[4]
            for i in range(6):
                team.layers[number].place[i] = row[5 + i]
            team.layers[number].number = numbers[number]
            share = float(dropout[number])
            team.layers[number].drops = share > 0.0
            team.layers[number].keep = 1.0 / (1.0 - share)
            team.layers[number].threshold = -int(-share * 2**24 // 1)
        for i in range(4):
            team.numbers[i] = rule_numbers[i] if i < len(rule_numbers) else 0.0
        team.l2, team.l1, team.decay = l2, l1, decay
        team.longest, team.max_norm, team.seed = clip_norm, max_norm, seed
        team.batch_size = batch_size
        team.has_pace, team.n_memories = rule in VELOCITIES, MEMORIES[rule]
        if single:
            lay_out_float(team, &padded, &turned, &work, &parts)
        else:
            lay_out_double(team, &padded, &turned, &work, &parts)
        team.padded = padded
        dtype = np.float32 if single else np.float64
        team.params = self.buffer(padded, dtype)
        team.memory = self.buffer(max(1, team.n_memories) * padded, dtype)
        team.turned = self.buffer(turned, dtype)
        team.work = self.buffer(work, dtype)
        team.gradient = self.buffer(padded, dtype)
        team.losses = <double *>self.buffer(batch_size, np.float64)
        team.parts = <double *>self.buffer(2 * parts, np.float64)
        self.shares = <double *>self.buffer(self.n_threads * (batch_size + 8), np.float64)
        team.rows = <const void **>self.buffer(2 * team.n_layers * batch_size, np.intp)
        self.x_rows = <void **>self.buffer(self.n_threads * (batch_size + 8), np.intp)
        team.heads = <net_head *>self.buffer(team.n_heads * (sizeof(net_head) // 8 + 1), np.int64)
        for i in range(team.n_heads):
            row = heads[i].tolist()
            team.heads[i].kind, team.heads[i].start = row[0], row[1]
            team.heads[i].n_raw, team.heads[i].target = row[2], row[3]
            team.heads[i].weight, team.heads[i].number = head_numbers[i][0], head_numbers[i][1]
        team.lists = lists
        if lists:
            # Cells are twice as long as numbers. Lists an odd number of cache lines apart do not
            # fight for the same few sets of a cache.
            team.row_cells = self.buffer(2 * batch_size * team.n_columns, dtype)
            team.column_length = ((batch_size + 7) // 8 | 1) * 8
            team.column_cells = self.buffer(2 * team.column_length * team.n_columns, dtype)
            team.column_ends = <uint32_t *>self.buffer(team.n_columns, np.uint32)
            team.row_starts = <uint32_t *>self.buffer(batch_size * (team.n_blocks + 1), np.uint32)
        if single:
            point_rows_float(team)
        else:
            point_rows_double(team)

    cdef void *buffer(self, Py_ssize_t count, dtype) except NULL:
        """Zeros that live as long as the team and begin with a cache line."""
        size = np.dtype(dtype).itemsize
        whole = np.zeros((max(count, 1) + 2 * (64 // size)) * size, dtype=np.uint8)
        self.kept.append(whole)
        cdef size_t start = <size_t>address(whole)
        return <void *>((start + 63) // 64 * 64)

    cdef void work_as(self, net_job *job, int rank) noexcept nogil:
        """All steps, as one of the threads."""
        cdef Py_ssize_t place = rank * (self.team.batch_size + 8)
        cdef const void **rows = <const void **>(self.x_rows + place)
        if self.single:
            train_float(&self.team, job, rank, rows, self.shares + place)
        else:
            train_double(&self.team, job, rank, rows, self.shares + place)

    def train(
        self, matrix, target, weight, order, rates, w, memory, Py_ssize_t n_updates, submit,
        bint first=True, bint last=True,
    ):
        """Take an update per rate; the sum of the batches' objectives times their weights.

        `matrix` is (X,) or the (data, indices, indptr) of CSR; w (p,) and memory are read at the
        `first` of several calls and changed at the `last`.
        """
        cdef Stretch stretch = Stretch.__new__(Stretch)
        cdef net_job *job = &stretch.job
        cdef Py_ssize_t p = w.shape[0], width = memory.shape[1]
        cdef int wanted = self.n_threads
        stretch.team = self
        kind = np.float32 if self.single else np.float64
        if not matrix[0].dtype == target.dtype == w.dtype == memory.dtype == kind:
            raise TypeError("rows, targets, parameters and memory must be of the team's type")
        job.sparse = len(matrix) == 3
        if job.sparse and self.team.lists:
            raise TypeError("lists are made of dense rows")
        work = 0.0
        for number in range(self.team.n_layers):
            sums = self.team.layers[number].n_units * self.team.layers[number].pieces
            work += 6.0 * self.team.batch_size * self.team.layers[number].n_in * sums
        if job.sparse:
            data, indices, indptr = matrix
            job.data, job.indices, job.indptr = address(data), address(indices), address(indptr)
            job.long_indices = indices.dtype.itemsize == 8
            if indptr.dtype != indices.dtype:
                raise TypeError("indices and indptr must have one dtype")
        else:
            job.X = address(matrix[0])
            job.n_features = matrix[0].shape[1]
        job.target = address(target)
        self.team.n_targets = target.shape[1]
        job.weight = <const double *>address(weight) if weight.shape[0] else NULL
        job.order, job.n_rows = <const Py_ssize_t *>address(order), order.shape[0]
        job.rates, job.n_steps = <const double *>address(rates), rates.shape[0]
        job.n_updates = n_updates
        cdef void *flat = address(w)
        cdef void *remembered = address(memory)
        job.joined = job.n_threads = 1
        if work * job.n_steps < 1e7 or work < SHARED_WORK:
            wanted = 1
        elif self.alone > 0:
            self.alone -= 1
            wanted = 1
        try:
            futures = submit(stretch.join, wanted - 1) if wanted > 1 else []
        except BaseException:
            # A helper may have signed up already.
            abandon(job)
            raise
        with nogil:
            if first and self.single:
                pack_float(&self.team, <float *>flat, <float *>remembered, p, width)
            elif first:
                pack_double(&self.team, <double *>flat, <double *>remembered, p, width)
            close_list(job, wanted)
            self.work_as(job, 0)
            if last and self.single:
                unpack_float(&self.team, <float *>flat, <float *>remembered, p, width)
            elif last:
                unpack_double(&self.team, <double *>flat, <double *>remembered, p, width)
        for future in futures:
            future.cancel()
        if job.n_threads > 1:
            self.judge(job)
        return job.total

    cdef void judge(self, net_job *job) noexcept:
        """Go on alone for a while where threads wait for one that other processes keep away."""
        cdef double longest = 0.0
        cdef int rank
        for rank in range(job.n_threads):
            longest = max(longest, job.waited[rank])
        if longest < TOO_LONG * job.elapsed:
            self.patience = 1
            return
        self.alone = self.patience = min(2 * self.patience, LONGEST_ALONE)
