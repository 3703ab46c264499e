"""Packets in motion: the compiled engine, and the relay process around it.

`engine/` moves packets over link ends by schedule, queue and chance; `relay.py` hears orders, reports and captures. A
packet has an asked time and a real one; the difference is measured and reported, never hidden.
"""

from __future__ import annotations
