"""Packets in motion: the compiled engine, and the relay process around it.

`engine/` moves packets over link ends by schedule, queue and random effects; `relay.py` receives orders, and sends
reports and captures. The difference between a packet's scheduled and real time is measured and reported.
"""

from __future__ import annotations
