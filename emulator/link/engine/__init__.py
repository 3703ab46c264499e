"""The packet engine: a compiled library that plays link ends, and its owner in Python.

`abi.h` is what crosses between the two; `engine.py` is the way in. Invariant: the engine knows ends, nodes and orders
by number and counts what happens to every packet; names, scenarios and protocols stay in Python.
"""
