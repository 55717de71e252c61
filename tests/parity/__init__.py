"""Comparison with scikit-learn's classes."""
