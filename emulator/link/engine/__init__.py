"""The packet engine: a compiled library that plays link ends, and its owner in Python.

`abi.h` is the interface between the two; begin to read at `engine.py`. Invariant: the engine identifies ends, nodes and
orders by number and counts every packet; names, scenarios and protocols are known to Python only.
"""
