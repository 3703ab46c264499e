"""Benchmarks of one run over several hosts; see `__main__.py`."""
