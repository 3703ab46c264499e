"""Figures of a run of `ibc`: blocks of each chain and when they came, transactions, and what blocks cost.

Invariant: it reads the run folder only.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.record.load import Run

LATE = 1.5  # intervals between two blocks from which on the second is late


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict."""
    import polars as pl

    blocks: dict[str, list[float]] = {}
    txs = failed = 0
    for t_s, node, data in run.events.filter(pl.col("kind") == "block").select("t_s", "node", "data").iter_rows():
        block = json.loads(data)
        blocks.setdefault(node, []).append(t_s)
        txs += block["txs"]
        failed += block["failed"]
    intervals_s = {node: [later - earlier for earlier, later in pairwise(times[1:])] for node, times in blocks.items()}
    work = run.samples.filter(pl.col("name") == "block_work_s")["value"]
    summary: dict[str, Any] = {
        "chains": len(blocks),
        "blocks": sum(map(len, blocks.values())),
        "txs": txs,
        "failed_txs": failed,
        "late_blocks": sum(
            each > LATE * sorted(times)[len(times) // 2] for times in intervals_s.values() for each in times
        ),
    }
    if len(work):
        summary["block_work_ms"] = round(1e3 * float(work.median() or 0.0), 3)  # type: ignore[arg-type]
    return summary
