"""Probabilistic PCA with loops over rows: densities, posteriors, one step of EM."""

import numpy as np

LOG_TWO_PI = np.log(2.0 * np.pi)


def log_density(X, mean, loadings, noise):
    """By the covariance matrix of the observed cells of each row."""
    covariance = loadings @ loadings.T + noise * np.eye(len(mean))
    out = np.zeros(len(X))
    for i, row in enumerate(X):
        seen = np.flatnonzero(~np.isnan(row))
        if len(seen):
            part = covariance[np.ix_(seen, seen)]
            y = row[seen] - mean[seen]
            out[i] = -0.5 * (
                len(seen) * LOG_TWO_PI + np.linalg.slogdet(part)[1] + y @ np.linalg.solve(part, y)
            )
    return out


def posterior(row, mean, loadings, noise):
    """Mean and covariance of z given the observed cells."""
    seen = np.flatnonzero(~np.isnan(row))
    W = loadings[seen]
    precision = np.eye(loadings.shape[1]) + W.T @ W / noise
    covariance = np.linalg.inv(precision)
    return covariance @ W.T @ (row[seen] - mean[seen]) / noise, covariance


def em_step(X, weight, mean, loadings, noise, precision=0.0):
    """Loadings and mean by one regression per column, then the noise."""
    d, q = loadings.shape
    found = [posterior(row, mean, loadings, noise) for row in X]
    new_loadings, new_mean = np.empty((d, q)), np.empty(d)
    for j in range(d):
        design, target = np.zeros((q + 1, q + 1)), np.zeros(q + 1)
        for row, w, (z, covariance) in zip(X, weight, found, strict=True):
            if not np.isnan(row[j]):
                one = np.append(z, 1.0)
                design += w * np.outer(one, one)
                design[:q, :q] += w * covariance
                target += w * row[j] * one
        design[:q, :q] += precision * noise * np.eye(q)
        solution = np.linalg.solve(design, target)
        new_loadings[j], new_mean[j] = solution[:q], solution[q]
    total, cells = 0.0, 0.0
    for row, w, (z, covariance) in zip(X, weight, found, strict=True):
        for j in np.flatnonzero(~np.isnan(row)):
            v = new_loadings[j]
            total += w * ((row[j] - v @ z - new_mean[j]) ** 2 + v @ covariance @ v)
            cells += w
    return new_mean, new_loadings, total / cells
