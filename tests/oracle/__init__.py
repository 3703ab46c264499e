"""Slow, clear models in Python of what the packet engine does in C. Tests import them; the product never does."""
