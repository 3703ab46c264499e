"""Every number of the table of links is the one of links.parquet: recomputed here, cell by cell, for any small run."""

import html.parser

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.link.stats import EndStats
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import load_run
from emulator.report.sections import links, plots
from emulator.report.sections.scheduled import Grant, ScheduledValues

ENDS = ["a:up", "hub:b", "gs-x:up~down"]
CAUSES = ("queue", "loss", "outage", "overload", "noroute", "ttl")


class Cells(html.parser.HTMLParser):
    """Rows of the table: texts and exact values."""

    def __init__(self, document):
        super().__init__()
        self.heads, self.rows, self._into = [], [], None
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append(["", dict(attrs).get("data-value")])
        elif tag == "th":
            self.heads.append("")
        self._into = tag

    def handle_data(self, data):
        if self._into == "td" and self.rows and self.rows[-1]:
            self.rows[-1][-1][0] += data
        elif self._into == "th":
            self.heads[-1] += data

    def handle_endtag(self, tag):
        self._into = None


@st.composite
def readings(draw):
    """Counters of each end after each second: what the relay would report."""
    seconds = draw(st.integers(1, 4))
    told = []
    totals = {end: [0.0] * len(EndStats) for end in range(len(ENDS))}
    for _ in range(seconds):
        for end in draw(st.sets(st.integers(0, len(ENDS) - 1), min_size=1)):
            now = list(totals[end])
            delivered, lost = draw(st.integers(0, 1000)), draw(st.integers(0, 50))
            now[EndStats.SENT_PACKETS] += delivered + lost
            now[EndStats.SENT_BYTES] += 100 * (delivered + lost)
            now[EndStats.DELIVERED_PACKETS] += delivered
            now[EndStats.DELIVERED_BYTES] += 100 * delivered
            now[draw(st.sampled_from([EndStats.DROP_LOSS, EndStats.DROP_QUEUE]))] += lost
            now[EndStats.ASKED_DELAY_SUM_S] += delivered * draw(st.floats(0, 0.3))
            now[EndStats.LATE_SUM_S] += delivered * draw(st.floats(0, 0.01))
            now[EndStats.LATE_MAX_S] = max(now[EndStats.LATE_MAX_S], draw(st.floats(0, 0.05)))
            totals[end] = now
        told.append({end: list(values) for end, values in totals.items()})
    return told


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings())
def test_cells_equal_the_parquet(tmp_path_factory, told):
    folder = RunFolder.create(tmp_path_factory.mktemp("run"), "small")
    log = LinkLog(folder, ENDS)
    for second, counters in enumerate(told):
        log.update(second + 1.0, counters)
    log.update(len(told) + 0.5, told[-1], final=True)
    log.finish()
    folder.write_scenario('name = "small"\n')
    run = load_run(folder.path)
    grants = {"a:up": Grant(2e6, 0.125), "hub:b": Grant(None, None)}
    table = Cells("".join(links.section(run, ScheduledValues(grants))))
    rows = [row for row in table.rows if row]
    frame = pl.read_parquet(folder.path / "links.parquet")
    assert [row[0][0] for row in rows] == _by_traffic(frame)
    for row in rows:
        cells = dict(zip(table.heads, row, strict=True))
        mine = frame.filter(pl.col("end") == row[0][0])
        whole_s = frame["t_s"].max()
        expected = {
            "delay asked ms": _mean(mine, "asked_delay_ms"), "delivered ms": _mean(mine, "delivered_delay_ms"),
            "late mean ms": _mean(mine, "late_ms"), "late max ms": mine["late_max_ms"].max(),
            "late p50 ms": mine["late_ms"].drop_nulls().median(),
            "offered Mbit/s": mine["sent_bytes"].sum() * 8e-6 / whole_s,
            "delivered Mbit/s": mine["delivered_bytes"].sum() * 8e-6 / whole_s,
            "packets sent": mine["sent_packets"].sum(),
            "loss seen %": 100 * mine["drop_loss"].sum() / sent if (sent := mine["sent_packets"].sum()) else None,
        }  # fmt: skip
        for cause in CAUSES:
            if frame[f"drop_{cause}"].sum():
                expected[f"dropped: {cause}"] = mine[f"drop_{cause}"].sum()
        for name, value in expected.items():
            text, exact = cells[name]
            assert (exact is None) == (value is None), name
            if value is not None:
                assert float(exact) == pytest.approx(value, rel=1e-9, abs=1e-12), name
                assert float(text.replace(",", "")) == pytest.approx(value, rel=6e-3, abs=5.1e-3), name
            else:
                assert text == "-"
        granted = {"a:up": ("2.00", "12.5"), "hub:b": ("varies", "varies")}.get(row[0][0], ("-", "-"))
        assert (cells["rate granted Mbit/s"][0], cells["loss asked %"][0]) == granted
    _check_plots(run, frame)


def _mean(frame, name):
    """Weighted by delivered packets, in plain Python."""
    pairs = [
        (value, weight) for value, weight in frame.select(name, "delivered_packets").iter_rows() if value is not None
    ]
    total = sum(weight for _, weight in pairs)
    return sum(value * weight for value, weight in pairs) / total if total else None


def _by_traffic(frame):
    ends = {end: frame.filter(pl.col("end") == end)["delivered_bytes"].sum() for end in frame["end"].unique()}
    return sorted(ends, key=lambda end: (-ends[end], end))


def _check_plots(run, frame):
    """What is drawn over time is the sum, mean or maximum of each interval."""
    for row in plots.drops_by_time(run.links).iter_rows(named=True):
        at = frame.filter(pl.col("t_s") == row["t_s"])
        assert row["drop_loss"] == at["drop_loss"].sum()
    for row in plots.lateness_by_time(run.links).iter_rows(named=True):
        told = frame.filter(pl.col("late_ms").is_not_null() & (pl.col("late_max_ms") > 0))
        at = told.filter(pl.col("t_s") == row["t_s"])
        assert row["worst_ms"] == at["late_ms"].max()
        assert row["max_ms"] == told.filter(pl.col("t_s") <= row["t_s"])["late_max_ms"].max()
        assert row["mean_ms"] == pytest.approx(_mean(at, "late_ms"))


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 100), st.booleans()), max_size=20))
def test_a_staircase_has_zeros_where_there_is_no_interval(intervals):
    ends_s, lengths_s, values, t_s = [], [], [], 0.0
    for length_s, value, there in intervals:
        t_s += length_s
        if there:
            ends_s.append(t_s)
            lengths_s.append(length_s)
            values.append(value)
    heights, edges = plots.steps(ends_s, lengths_s, values)
    assert len(edges) == len(heights) + 1 or not values
    assert edges == sorted(edges)
    assert [height for height in heights if height] == [value for value in values if value]


def test_of_thousands_of_ends_those_that_matter():
    count = 1000
    frame = pl.DataFrame({
        "end": [f"n{n}:x" for n in range(count)], "drops": [n == 7 for n in range(count)],
        "late_ms": [None if n % 2 else float(n == 8) for n in range(count)],
        "delivered_bps": [float(n) for n in range(count)],
    }).cast({"drops": pl.Int64})  # fmt: skip
    shown = links.chosen(frame, 200)["end"].to_list()
    assert len(shown) == 200
    assert {"n7:x", "n8:x", "n999:x"} <= set(shown)
    assert shown[0] == "n999:x"
