"""Figures of a run of `xroute`: blocks of the chains, and messages, as the audits have them.

Invariant: it reads the run folder only.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nodes.xroute.sides import side_of
from scenarios.ibc.analysis import LATE, blocks

if TYPE_CHECKING:
    from emulator.record.load import Run

AUDITED = (
    "sent", "delivered", "delivered_by_model", "acknowledged", "timed_out", "failed", "violations", "lost",
    "duplicated", "forged", "wrongly_refunded", "stuck", "slashed", "unread_blocks", "p50_ms", "p95_ms", "mean_hops",
    "top_transit", "top_transit_share", "names", "names_renewed", "by_name",
)  # fmt: skip


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict: those of the baseline under its name."""
    return blocks(run) | messages(run) | rerouting(run)


def messages(run: Run) -> dict[str, Any]:
    """Figures of the audits; none where there was no audit."""
    import polars as pl

    summary: dict[str, Any] = {}
    audits = run.events.filter(pl.col("kind") == "audit").select("node", "data").iter_rows()
    for node, data in audits:
        audit = json.loads(data)
        figures: dict[str, Any] = {name: audit[name] for name in AUDITED if name in audit}
        if audit.get("busy_s"):
            figures["delivered_per_s"] = round(audit["delivered"] / audit["busy_s"], 2)
        side = side_of(node)
        if side:
            summary[side] = figures
        else:
            summary |= figures
    attacks = [json.loads(each) for each in run.events.filter(pl.col("kind") == "attack")["data"].to_list()]
    if attacks:
        summary |= {"attacks": len(attacks), "attacks_wrong": sum(not each["right"] for each in attacks)}
    return summary


def rerouting(run: Run) -> dict[str, Any]:
    """How often the relayers of xRoute tried a message on another route, and how long after a chain's last block before
    a halt they first did; later changes, once it makes blocks again, have another cause."""
    import polars as pl

    own = pl.col("node").str.starts_with("relayer-")
    counts = run.samples.filter(own & (pl.col("name") == "rerouted")).group_by("node").agg(pl.col("value").max())
    figures: dict[str, Any] = {"rerouted": int(counts["value"].sum())}
    begin_s, end_s = _halt_s(run)
    changes = run.events.filter(own & (pl.col("kind") == "rerouted"))["t_s"].to_list()
    meanwhile = [t_s - begin_s for t_s in changes if begin_s < t_s < end_s]
    return figures | ({"reroute_s": round(min(meanwhile), 2)} if meanwhile else {})


def _halt_s(run: Run) -> tuple[float, float]:
    """From the last block of a chain of xRoute to the next one, the first that came late; no time where none did."""
    import polars as pl

    own = pl.col("node").str.contains(r"^[a-z]-0$")
    told = run.events.filter(own & (pl.col("kind") == "block")).select("t_s", "node", "data").sort("node", "t_s")
    rows = [(t_s, node, json.loads(data)["asked_s"]) for t_s, node, data in told.iter_rows()]
    late = (
        (before[0], after[0])
        for before, after in pairwise(rows)
        if before[1] == after[1] and after[0] - before[0] > 2 * LATE * after[2]
    )
    return min(late, default=(0.0, 0.0))
