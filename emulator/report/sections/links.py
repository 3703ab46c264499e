"""Asked against delivered: one row a link end, over the whole run, from links.parquet.

Invariant: every figure is a sum, a mean weighted by delivered packets, a median or a maximum of that end's rows, and
stands in its cell with all its digits; what the page rounds is the text alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from emulator.record.load import Run
from emulator.report import page, text
from emulator.report.page import Cell, Row
from emulator.report.sections.scheduled import Grant, ScheduledValues

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 200
CAUSES = ("queue", "loss", "outage", "overload", "noroute", "ttl")
COLUMNS = (
    "link end", "delay asked ms", "delivered ms", "late mean ms", "late p50 ms", "late max ms", "rate granted Mbit/s",
    "offered Mbit/s", "delivered Mbit/s", "loss asked %", "loss seen %", "packets sent",
)  # fmt: skip


def section(run: Run, scheduled: ScheduledValues) -> list[str]:
    """Heading, words and table; nothing where no link end carried anything."""
    ends = by_end(run.links)
    if ends.is_empty():
        return []
    shown = chosen(ends, MOST_ROWS)
    causes = [cause for cause in CAUSES if ends[f"drop_{cause}"].sum()]
    said = [
        "Means over the run, weighted by packets; p50 is the median of the seconds' means. Delays are propagation and "
        "jitter without queues, asked by the schedule and as delivered; late is what the emulator added."
    ]
    if shown.height < ends.height:
        said.append(
            f"These are the {shown.height:,} with the most drops, lateness and traffic; all {ends.height:,} are in "
            "links.parquet."
        )
    if scheduled.trouble:
        said.append(f"Rates granted and loss asked are not known: {scheduled.trouble}.")
    rows = [_row(row, scheduled.grants.get(row["end"]), causes) for row in shown.iter_rows(named=True)]
    return [
        page.heading("Asked and delivered"),
        *(page.paragraph(words, "dim") for words in said),
        page.table([*COLUMNS, *(f"dropped: {cause}" for cause in causes)], rows, "links"),
    ]


def by_end(links: pl.DataFrame) -> pl.DataFrame:
    """One row a link end: asked_ms, delivered_ms, late_ms (weighted means), late_p50_ms, late_max_ms, asked_bps and
    delivered_bps (over the whole time), loss (share of what was sent), sent_packets, drop_* and drops."""
    import polars as pl

    if links.is_empty():
        return pl.DataFrame({"end": []})
    whole_s = float(links["t_s"].max())  # type: ignore[arg-type]  # a float column

    def mean(name: str) -> pl.Expr:
        told = pl.col(name).is_not_null()
        weight = pl.col("delivered_packets").filter(told)
        return (pl.col(name).filter(told) * weight).sum() / pl.when(weight.sum() > 0).then(weight.sum())

    drops = [pl.col(f"drop_{cause}").sum() for cause in CAUSES]
    return (
        links.group_by("end", maintain_order=True)
        .agg(
            mean("asked_delay_ms").alias("asked_ms"),
            mean("delivered_delay_ms").alias("delivered_ms"),
            mean("late_ms").alias("late_ms"),
            pl.col("late_ms").median().alias("late_p50_ms"),
            pl.col("late_max_ms").max().alias("late_max_ms"),
            (8 * pl.col("sent_bytes").sum() / whole_s).alias("asked_bps"),
            (8 * pl.col("delivered_bytes").sum() / whole_s).alias("delivered_bps"),
            pl.col("sent_packets").sum(),
            *drops,
        )
        .with_columns(
            pl.sum_horizontal(f"drop_{cause}" for cause in CAUSES).alias("drops"),
            (pl.col("drop_loss") / pl.when(pl.col("sent_packets") > 0).then(pl.col("sent_packets"))).alias("loss"),
        )
    )


def chosen(ends: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many of them: those with the most drops, lateness and traffic in turn; by traffic, then by name."""
    import polars as pl

    if ends.height > most:
        ranks = [pl.col(name).rank("ordinal", descending=True) for name in ("drops", "late_ms", "delivered_bps")]
        ends = ends.with_columns(pl.min_horizontal(ranks).alias("rank")).sort("rank", "end").head(most).drop("rank")
    return ends.sort(["delivered_bps", "end"], descending=[True, False])


def _row(row: dict[str, Any], grant: Grant | None, causes: list[str]) -> Row:
    granted = Cell("-") if grant is None else Cell("varies") if grant.rate_bps is None else _rate(grant.rate_bps)
    loss = Cell("-") if grant is None else Cell("varies") if grant.loss is None else _percent(grant.loss)
    return [
        row["end"],
        *(_ms(row[name]) for name in ("asked_ms", "delivered_ms")),
        *(_ms(row[name]) for name in ("late_ms", "late_p50_ms", "late_max_ms")),
        granted,
        *(_rate(row[name]) for name in ("asked_bps", "delivered_bps")),
        loss,
        _percent(row["loss"]),
        _count(row["sent_packets"]),
        *(_count(row[f"drop_{cause}"], "warn") for cause in causes),
    ]


def _ms(value: float | None) -> Cell:
    return Cell(text.milliseconds(value), "", value)


def _rate(bps: float | None) -> Cell:
    if bps is None:
        return Cell("-")
    return Cell("unlimited") if math.isinf(bps) else Cell(text.number(bps / 1e6), "", bps / 1e6)


def _percent(share: float | None) -> Cell:
    return Cell("-") if share is None else Cell(text.number(100 * share), "", 100 * share)


def _count(count: int, kind: str = "") -> Cell:
    return Cell(f"{count:,}", kind if count else "", count)
