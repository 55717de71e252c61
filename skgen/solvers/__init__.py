"""Iterative solvers: loops over the reduction that are handed functions and know no model."""
