"""Scenario files: read with the place of each key, changed by `--set`, written again."""
