"""Coordinate descent on quadratic models with an absolute penalty.

    minimize  g'D + D'HD / 2 + sum_j l1_j |u_j|,     u = w + D

One coordinate at a time has a closed form: the unpenalized minimum, pulled toward zero by l1_j / H_jj.
Friedman, Hastie and Tibshirani (2010).
"""

from libc.math cimport fabs, sqrt
from libc.stdint cimport int32_t


cdef inline double minimizer(double u, double slope, double curvature, double strength) noexcept nogil:
    """Of slope (x - u) + curvature (x - u)^2 / 2 + strength |x|."""
    cdef double middle = curvature * u - slope
    if middle > strength:
        return (middle - strength) / curvature
    if middle < -strength:
        return (middle + strength) / curvature
    return 0.0


def sweep_gram(
    const double[:, ::1] hessian,
    const double[::1] l1,
    const int32_t[::1] order,
    double[::1] u,  # in, out
    double[::1] slope,  # in, out, gradient g + H (u - w) of the smooth part of the model
    Py_ssize_t sweeps,
    double tolerance,
):
    """Descend over the coordinates `order`, at most `sweeps` times; returns the last largest move.

    Moves are measured in units of 1 / sqrt(H_jj), and the descent ends when none exceeds `tolerance`.
    Coordinates without curvature stay.
    """
    cdef Py_ssize_t p = slope.shape[0], i, j, k
    cdef double change, curvature, largest = 0.0
    with nogil:
        for _ in range(sweeps):
            largest = 0.0
            for i in range(order.shape[0]):
                j = order[i]
                curvature = hessian[j, j]
                if curvature <= 0.0:
                    continue
                change = minimizer(u[j], slope[j], curvature, l1[j]) - u[j]
                if change == 0.0:
                    continue
                u[j] += change
                for k in range(p):
                    slope[k] += change * hessian[j, k]
                largest = max(largest, fabs(change) * sqrt(curvature))
            if largest <= tolerance:
                break
    return largest
