"""Posteriors of latent vectors: a small positive definite system per row; see posterior.h for how."""

cdef extern from "posterior.h" nogil:
    int solve_rows "posterior"(double*, double*, Py_ssize_t, Py_ssize_t, double*)


def posterior(
    double[:, ::1] matrices, double[:, ::1] vectors,  # in, out
    double[::1] log_determinant,  # out
):
    """Solve M_r z_r = b_r for every row r.

    matrices [q (q + 1) / 2, n] holds lower triangles, row after row, M_ij at i (i + 1) / 2 + j, and
    then their inverses; vectors [q, n] holds b and then z. M - I must be positive semidefinite.
    """
    cdef Py_ssize_t q = vectors.shape[0], n = vectors.shape[1]
    cdef int done = 1
    if not (matrices.shape[0] == q * (q + 1) // 2 and matrices.shape[1] == n
            and log_determinant.shape[0] == n):
        raise ValueError("the shapes of matrices, vectors and log_determinant do not agree")
    if n == 0 or q == 0:
        return
    with nogil:
        done = solve_rows(&matrices[0, 0], &vectors[0, 0], n, q, &log_determinant[0])
    if not done:
        raise MemoryError
