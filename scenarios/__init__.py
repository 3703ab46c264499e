"""Runnable scenarios: a folder each, with scenario.toml and the analysis of what it measured."""
