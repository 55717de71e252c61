"""Distributions: how parameters are estimated from statistics."""
