"""The log of what happened, as a table of the page: every kind with its count, and the events themselves.

Invariant: no event is left out in silence; where there are many, the first and the last stand there and the words say
how many are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.record.load import Run
from emulator.report import page
from emulator.report.page import Cell, Row

if TYPE_CHECKING:
    import polars as pl

MOST_EVENTS = 400  # shown, half from the beginning and half from the end
MOST_TEXT = 240  # characters of an event's data
PROGRAM_EVENTS = ("program-started", "program-ready", "program-not-ready", "program-ended", "exec-ended")
OF_THE_RUN = ("action", "action-failed", "handover", "carrier", "crash", "breach", *PROGRAM_EVENTS)


def section(run: Run) -> list[str]:
    """Counts by kind, faults and other events of the run itself, and the log; nothing where there are no events."""
    events = run.events
    if events.is_empty():
        return []
    counts = events["kind"].value_counts(sort=True)
    said = ", ".join(f"{kind} {count:,}" for kind, count in counts.iter_rows())
    shown = chosen(events)
    parts = [page.heading("Events"), page.paragraph(f"{events.height:,} events: {said}.", "dim")]
    if shown.height < events.height:
        parts.append(
            page.paragraph(
                f"Below stand {shown.height:,}: those of the run itself, and the first and last of each kind. All are "
                "in events.parquet.",
                "dim",
            )
        )
    rows = [_row(row) for row in shown.iter_rows(named=True)]
    return [*parts, page.table(["t in s", "node", "program", "kind", "data"], rows, "events")]


def chosen(events: pl.DataFrame, most: int = MOST_EVENTS) -> pl.DataFrame:
    """At most so many events in order of time: those of the run itself, then the first and last of every kind."""
    import polars as pl

    if events.height <= most:
        return events
    numbered = events.with_row_index("number")
    rank = pl.int_range(pl.len()).over("kind")
    from_edge = pl.min_horizontal(rank, pl.len().over("kind") - 1 - rank)
    ranked = numbered.with_columns(from_edge.alias("depth"), pl.col("kind").is_in(OF_THE_RUN).not_().alias("others"))
    kept = ranked.sort("others", "depth", "number").head(most)
    return kept.sort("number").drop("number", "depth", "others")


def _row(row: dict[str, Any]) -> Row:
    data = row["data"] if len(row["data"]) <= MOST_TEXT else row["data"][:MOST_TEXT] + "…"
    words = "" if data == "{}" else data
    return [Cell(f"{row['t_s']:.6f}", "", row["t_s"]), row["node"], row["program"], row["kind"], words]
