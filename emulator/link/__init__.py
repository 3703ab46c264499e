"""Packets in motion: the relay process and the link ends that it plays.

`end.py` is the contract of a link end without kernel or clock, `relay.py` owns descriptors and time. A packet has an
asked time and a real one; the difference is measured and reported, never hidden.
"""

from __future__ import annotations
