"""Figures of a run of `ibc`: blocks of each chain and when they came, transactions, what blocks cost, and packets.

Invariant: it reads the run folder only.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.record.load import Run

COUNTS = (
    "sent", "acknowledged", "failed", "timed_out", "stuck", "lost", "duplicated", "wrongly_refunded", "unread_blocks",
    "escrows",
)  # fmt: skip
LATE = 1.5  # asked intervals after the block before from which on a block is late


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict."""
    return blocks(run) | packets(run)


def blocks(run: Run) -> dict[str, Any]:
    """Figures of the chains' blocks."""
    import polars as pl

    told: dict[str, dict[int, tuple[float, dict[str, Any]]]] = {}  # by chain and height, as the first node told them
    for t_s, data in run.events.filter(pl.col("kind") == "block").select("t_s", "data").sort("t_s").iter_rows():
        block = json.loads(data)
        told.setdefault(block["chain"], {}).setdefault(block["height"], (t_s, block))
    made = [block for heights in told.values() for _, block in heights.values()]
    intervals = [  # by the interval that was asked for
        (later_s - earlier_s) / block["asked_s"]
        for heights in told.values()
        for (earlier_s, _), (later_s, block) in pairwise([*heights.values()][1:])
    ]
    work = run.samples.filter(pl.col("name") == "block_work_s")["value"]
    late = sum(each > LATE for each in intervals)
    summary: dict[str, Any] = {
        "chains": len(told),
        "blocks": len(made),
        "txs": sum(block["txs"] for block in made),
        "failed_txs": sum(block["failed"] for block in made),
        "panics": sum(block["panics"] for block in made),
        "late_blocks": late,
    }
    if intervals:
        summary["late_blocks_share"] = round(late / len(intervals), 4)
    if len(work):
        summary["block_work_ms"] = round(1e3 * float(work.median() or 0.0), 3)  # type: ignore[arg-type]
    return summary


def packets(run: Run) -> dict[str, Any]:
    """Figures of the last audit, and of the relayers' samples; none where there was no audit."""
    import polars as pl

    audits = run.events.filter(pl.col("kind") == "audit")["data"].to_list()
    if not audits:
        return {}
    audit = json.loads(audits[-1])
    figures: dict[str, Any] = {name: audit[name] for name in COUNTS}
    figures["escrow_ok"] = audit["escrows"] > 0 and not audit["escrow_errors"] and not audit["unread_escrows"]
    if audit.get("busy_s"):
        figures["packets_per_s"] = round(audit["acknowledged"] / audit["busy_s"], 1)
    if audit.get("sending_s"):
        figures["offered_per_s"] = round(audit["sent"] / audit["sending_s"], 1)
    latency_s = run.samples.filter(pl.col("name") == "latency_s")["value"]
    for quantile in (0.5, 0.99) if len(latency_s) else ():
        figures[f"latency_p{100 * quantile:g}_s"] = round(float(latency_s.quantile(quantile) or 0.0), 3)
    return figures
