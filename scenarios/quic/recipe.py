"""Recipe of the scenario `quic`: the path of `handover`, and over it a download by QUIC, by TCP, or by both at once.

Invariant: with one seed, `transport` changes who sends, and neither satellites nor delays, rates or losses of the link.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

from emulator.model.tables import RecipeOptions
from emulator.model.units import Rate
from scenarios.handover import recipe as handover

PORT = 4433
START_S = 1.0
LEAST_MBIT_S = 0.01  # of each transport: that it delivered at all, and that its records can be read
CLOSING_S = 5.0  # after the downloads: qlog files of tens of megabytes are written, and connections closed


class Parameters(handover.Parameters):
    """What can be set of the scenario `quic`."""

    transport: Literal["both", "quic", "tcp"] = "both"
    """Who downloads: aioquic and TCP at once through the same queue, or one of them alone."""
    quic_congestion: Literal["reno", "cubic"] = "cubic"
    """Congestion control of aioquic; `congestion` is that of TCP."""
    peak_bps: Rate = 10e6
    """Rate of an idle beam. At the fitted one of 372 Mbit/s aioquic, which is Python, would be the bottleneck."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError for a site that is none."""
    composed = handover.compose(parameters, options)
    flow, probe = composed["program"]
    played_s = parameters.slots * handover.SLOT_S
    programs = [probe]
    transports = ("quic", "tcp") if parameters.transport == "both" else (parameters.transport,)
    if "tcp" in transports:
        config = {**flow["config"], "interval": "50 ms", "duration": f"{played_s - START_S!r} s"}
        programs.append({**flow, "name": "tcp", "start": f"{START_S!r} s", "config": config})
    if "quic" in transports:
        programs += _quic(parameters.quic_congestion, played_s - START_S)
    return {
        **composed,
        "duration": f"{played_s + CLOSING_S!r} s",
        "analysis": "scenarios.quic.analysis",
        "program": programs,
        "expect": [{"figure": f"summary.{name}.goodput_mbit_s", "at_least": LEAST_MBIT_S} for name in transports],
    }


def _quic(congestion: str, duration_s: float) -> list[dict[str, Any]]:
    """Server and client as plain commands, which know nothing of the emulator."""
    python = [sys.executable, "-m"]
    server = {
        "name": "quic-server",
        "nodes": ["server"],
        "command": [*python, "scenarios.quic.server", "{address}", str(PORT), congestion],
        "ready": {"log": "listening"},
    }
    client = {
        "name": "quic-client",
        "nodes": ["gs-dish"],
        "command": [*python, "scenarios.quic.client", "{address:server}", str(PORT), repr(duration_s)],
        "after": ["quic-server"],
        "start": f"{START_S!r} s",
    }
    return [server, client]
