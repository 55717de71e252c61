"""Stub."""

ACCELERATIONS = {"squarem": None, "anderson": None}
