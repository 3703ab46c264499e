"""Plurality consensus end to end: agents with opinions ask each other until all agree."""
