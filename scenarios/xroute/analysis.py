"""Figures of a run of `xroute`: blocks of the chains, and messages, as the audit has them.

Invariant: it reads the run folder only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scenarios.ibc.analysis import blocks

if TYPE_CHECKING:
    from emulator.record.load import Run

AUDITED = (
    "sent", "delivered", "acknowledged", "timed_out", "violations", "lost", "duplicated", "forged", "wrongly_refunded",
    "stuck", "slashed", "unread_blocks", "p50_ms", "p95_ms", "mean_hops", "top_transit", "top_transit_share",
)  # fmt: skip


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict."""
    return blocks(run) | messages(run)


def messages(run: Run) -> dict[str, Any]:
    """Figures of the audit, and how often relayers tried another route; none where there was no audit."""
    import polars as pl

    audits = run.events.filter(pl.col("kind") == "audit")["data"].to_list()
    if not audits:
        return {}
    audit = json.loads(audits[-1])
    figures: dict[str, Any] = {name: audit[name] for name in AUDITED if name in audit}
    if audit.get("busy_s"):
        figures["delivered_per_s"] = round(audit["delivered"] / audit["busy_s"], 2)
    attacks = [json.loads(each) for each in run.events.filter(pl.col("kind") == "attack")["data"].to_list()]
    if attacks:
        figures |= {"attacks": len(attacks), "attacks_wrong": sum(not each["right"] for each in attacks)}
    rerouted = run.samples.filter(pl.col("name") == "rerouted").group_by("node").agg(pl.col("value").max())
    figures["rerouted"] = int(rerouted["value"].sum())
    return figures
