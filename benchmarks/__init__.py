"""Measurements, not tests: each module prints a table of figures with what they are compared to."""
