"""Losses of raw scores.

    LogLoss      log(1 + exp(-(2 y - 1) raw)),             raw of shape (n, 1), y in {0, 1}
    SoftmaxLoss  log sum_k exp(raw_k) - raw_y,             raw of shape (n, K), y in {0, ..., K-1}

A loss is any object with

- ``n_outputs(n_classes)``: columns of raw,
- ``value_and_gradient(raw, target, weight)``: the weighted sum and its gradient by raw,
- ``curvature(raw, weight)``: the weighted second derivatives by raw, (n, K, K),
- ``predict(raw)``: probabilities.

`dense_kernel` and `sparse_kernel` name compiled passes that add value, gradient and, with
`dense_hessian_kernel`, Hessian of a block in one read of it; a loss without them is summed in
NumPy. Bishop (2006), sections 4.3.2 and 4.3.4.
"""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax


class LogLoss:
    """Negative log-likelihood of two classes, one raw score."""

    dense_kernel = "add_logistic"
    dense_hessian_kernel = "add_logistic_hessian"
    sparse_kernel = "add_logistic"

    def n_outputs(self, n_classes):
        return 1

    def value_and_gradient(self, raw, target, weight):
        raw = raw[:, 0]
        value = -float(weight @ log_expit(np.where(target == 1, raw, -raw)))
        return value, (weight * np.where(target == 1, -expit(-raw), expit(raw)))[:, None]

    def curvature(self, raw, weight):
        return (weight * expit(raw[:, 0]) * expit(-raw[:, 0]))[:, None, None]

    def predict(self, raw):
        raw = np.ravel(raw)
        return np.column_stack([expit(-raw), expit(raw)])

    def predict_log(self, raw):
        raw = np.ravel(raw)
        return np.column_stack([log_expit(-raw), log_expit(raw)])


class SoftmaxLoss:
    """Negative log-likelihood of K classes, one raw score each."""

    dense_kernel = "add_softmax"
    dense_hessian_kernel = "add_softmax_hessian"
    sparse_kernel = "add_softmax"

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

    def predict(self, raw):
        return softmax(raw, axis=1)

    def predict_log(self, raw):
        return log_softmax(raw, axis=1)
