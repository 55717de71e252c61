"""Losses of raw scores.

    LogLoss      log(1 + exp(-(2 y - 1) raw)),             raw of shape (n, 1), y in {0, 1}
    SoftmaxLoss  log sum_k exp(raw_k) - raw_y,             raw of shape (n, K), y in {0, ..., K-1}

A loss is any object with

- ``n_outputs(n_classes)``: columns of raw,
- ``value_and_gradient(raw, target, weight)``: the weighted sum and its gradient by raw,
- ``curvature(raw, weight)``: the weighted second derivatives by raw, (n, K, K),
- ``predict(raw)``: probabilities.

``add_dense`` and ``add_sparse`` add gradient, where asked Hessian, and return the value of a block
in one compiled read of it; a loss without them is summed in NumPy. Bishop (2006), sections 4.3.2
and 4.3.4.
"""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from skgen import kernels


def compressed(block):
    """The arrays of a block of CSR."""
    return block.X.data, block.X.indices, block.X.indptr


class LogLoss:
    """Negative log-likelihood of two classes, one raw score."""

    def n_outputs(self, n_classes):
        return 1

    def value_and_gradient(self, raw, target, weight):
        raw = raw[:, 0]
        value = -float(weight @ log_expit(np.where(target == 1, raw, -raw)))
        return value, (weight * np.where(target == 1, -expit(-raw), expit(raw)))[:, None]

    def curvature(self, raw, weight):
        return (weight * expit(raw[:, 0]) * expit(-raw[:, 0]))[:, None, None]

    def add_dense(self, block, origin, coef, intercept, gradient, hessian):
        given = (block.X, origin, block.weight, block.target, coef[0], gradient[0])
        if hessian is None:
            return kernels.linear.add_logistic(*given, intercept[0])
        value = kernels.linear.add_logistic_hessian(*given, hessian, intercept[0])
        kernels.linear.mirror(hessian)
        return value

    def add_sparse(self, block, coef, intercept, gradient):
        return kernels.sparse_linear.add_logistic(
            *compressed(block), block.weight, block.target, coef[0], intercept[0], gradient[0]
        )

    def add_sparse_diagonal(self, block, coef, intercept, gradient, diagonal, cross):
        return kernels.sparse_linear.add_logistic_diagonal(
            *compressed(block), block.weight, block.target, coef[0], intercept[0],
            gradient[0], diagonal[0], cross[0],
        )  # fmt: skip

    def predict(self, raw):
        share = np.empty((len(raw), 2), dtype=raw.dtype)
        kernels.linear.sigmoid_pairs(np.ascontiguousarray(raw[:, 0]), share)
        return share

    def predict_log(self, raw):
        logs = np.empty((len(raw), 2), dtype=raw.dtype)
        kernels.linear.log_sigmoid_pairs(np.ascontiguousarray(raw[:, 0]), logs)
        return logs


class SoftmaxLoss:
    """Negative log-likelihood of K classes, one raw score each."""

    def n_outputs(self, n_classes):
        return n_classes

    def value_and_gradient(self, raw, target, weight):
        logs = log_softmax(raw, axis=1)
        rows = np.arange(len(raw))
        value = -float(weight @ logs[rows, target])
        residual = np.exp(logs)
        residual[rows, target] -= 1.0
        return value, weight[:, None] * residual

    def curvature(self, raw, weight):
        share = softmax(raw, axis=1)
        outer = -share[:, :, None] * share[:, None, :]
        diagonal = np.arange(raw.shape[1])
        outer[:, diagonal, diagonal] += share
        return weight[:, None, None] * outer

    def add_dense(self, block, origin, coef, intercept, gradient, hessian):
        given = (block.X, origin, block.weight, block.target, coef, intercept, gradient)
        if hessian is None:
            return kernels.linear.add_softmax(*given)
        value = kernels.linear.add_softmax_hessian(*given, hessian)
        kernels.linear.mirror(hessian)
        return value

    def add_sparse(self, block, coef, intercept, gradient):
        turned, score = np.ascontiguousarray(coef.T), np.empty(len(coef))
        slope = np.zeros(gradient.shape[::-1])
        value = kernels.sparse_linear.add_softmax(
            *compressed(block), block.weight, block.target, turned, intercept, score, slope
        )
        gradient += slope.T
        return value

    def add_sparse_diagonal(self, block, coef, intercept, gradient, diagonal, cross):
        turned, score = np.ascontiguousarray(coef.T), np.empty(2 * len(coef))
        turned_sums = np.zeros((3, *gradient.shape[::-1]))
        value = kernels.sparse_linear.add_softmax_diagonal(
            *compressed(block), block.weight, block.target, turned, intercept, score, *turned_sums
        )
        for total, part in zip((gradient, diagonal, cross), turned_sums, strict=True):
            total += part.T
        return value

    def predict(self, raw):
        share = np.array(raw, order="C")
        kernels.linear.softmax_rows(share)
        return share

    def predict_log(self, raw):
        logs = np.array(raw, order="C")
        kernels.linear.log_softmax_rows(logs)
        return logs
