"""The adversary of runs over several hosts: faults put into copies of the sources, and whether a test finds each.

`python -m tests.adversary.cluster [word…]` takes some minutes; words choose faults by their descriptions.
"""
