"""Rows of links.parquet from the relay's cumulative counters."""

import polars as pl
import pytest

from emulator.link.stats import EndStats
from emulator.record.folder import RunFolder
from emulator.record.links import CAUSES, LINK_COLUMNS, LinkInterval, LinkLog, drops_by_cause, interval


def counters(**values: float) -> list[float]:
    row = [0.0] * len(EndStats)
    for name, value in values.items():
        row[EndStats[name.upper()]] = value
    return row


def test_interval_is_the_difference_of_two_readings():
    before = counters(
        sent_packets=10, sent_bytes=1000, delivered_packets=9, delivered_bytes=900, asked_delay_sum_s=0.09
    )
    after = counters(
        sent_packets=30,
        sent_bytes=3000,
        delivered_packets=25,
        delivered_bytes=2500,
        asked_delay_sum_s=0.09 + 16 * 0.02,
        late_sum_s=16 * 0.001,
        late_max_s=0.004,
        drop_queue=4,
        drop_loss=2,
        duplicated=2,
    )
    row = interval("gs-tokyo:up", 2.0, 0.5, before, after, before)
    assert row.end == "gs-tokyo:up"
    assert row.asked_delay_ms == pytest.approx(20.0)
    assert row.late_ms == pytest.approx(1.0)
    assert row.delivered_delay_ms == pytest.approx(21.0)
    assert row.late_max_ms == pytest.approx(4.0)
    assert (row.asked_bps, row.delivered_bps) == (2000 * 8 / 0.5, 1600 * 8 / 0.5)
    assert (row.sent_packets, row.sent_bytes, row.delivered_packets, row.delivered_bytes) == (20, 2000, 16, 1600)
    assert (row.drop_queue, row.drop_loss, row.drops, row.duplicated) == (4, 2, 6, 2)


def test_idle_interval_has_no_row():
    same = counters(sent_packets=10)
    assert interval("a:b", 1.0, 1.0, same, same, same) is None


def test_nothing_delivered_has_no_delay():
    row = interval("a:b", 1.0, 1.0, counters(), counters(sent_packets=3, drop_outage=3), counters())
    assert (row.asked_delay_ms, row.delivered_delay_ms, row.late_ms, row.drops) == (None, None, None, 3)


def test_dropped_at_the_far_node_still_crossed_the_link():
    row = interval(
        "a:b", 1.0, 1.0, counters(), counters(sent_packets=2, drop_ttl=2, asked_delay_sum_s=0.02), counters()
    )
    assert row.asked_delay_ms == pytest.approx(10.0)
    assert row.delivered_delay_ms is None


def test_delay_of_packets_under_way_waits_until_they_have_arrived(tmp_path):
    """A probe of 20 ms that is under way at the end of a second belongs to the next; it must not double a mean."""
    log = LinkLog(RunFolder.create(tmp_path, "leo"), ["a:x"])
    readings = [(1.0, 1, 1), (2.0, 3, 2), (3.0, 3, 3), (4.0, 4, 3), (5.0, 5, 5)]
    rows = []
    for t_s, sent, delivered in readings:
        reading = counters(sent_packets=sent, delivered_packets=delivered, asked_delay_sum_s=0.02 * sent)
        log.update(t_s, {0: reading}, final=True)
        rows += log.latest
    assert [row.asked_delay_ms for row in rows] == [
        pytest.approx(20.0),
        None,
        pytest.approx(20.0),
        None,
        pytest.approx(20.0),
    ]
    log.close()


def test_standing_queue_does_not_hide_the_delay():
    told = counters(sent_packets=2000, delivered_packets=1000, asked_delay_sum_s=10.0)
    after = counters(sent_packets=3005, delivered_packets=2000, asked_delay_sum_s=20.0)
    assert interval("a:b", 2.0, 1.0, told, after, told).asked_delay_ms == pytest.approx(10.0)


def test_every_drop_cause_has_a_column():
    assert {f"drop_{cause}" for cause in CAUSES} <= set(LINK_COLUMNS)
    assert CAUSES == ("queue", "loss", "outage", "overload", "noroute", "ttl")
    assert drops_by_cause({0: counters(drop_queue=1, drop_ttl=4), 5: counters(drop_queue=2)}) == {
        "queue": 3, "loss": 0, "outage": 0, "overload": 0, "noroute": 0, "ttl": 4,
    }  # fmt: skip


def test_log_makes_a_row_an_interval_and_adds_up(tmp_path):
    folder = RunFolder.create(tmp_path, "leo")
    log = LinkLog(folder, ["a:x", "b:x", "c:x"])
    total = 0
    for number in range(1, 12):  # readings every 250 ms
        total += number
        log.update(number * 0.25, {1: counters(sent_packets=total, delivered_packets=total), 2: counters()})
    log.update(2.85, {1: counters(sent_packets=total + 1, delivered_packets=total)}, final=True)
    assert [row.end for row in log.latest] == ["b:x"]
    log.finish()
    frame = pl.read_parquet(folder.path / "links.parquet")
    assert frame.columns == list(LinkInterval._fields)
    assert frame["t_s"].to_list() == [1.0, 2.0, 2.85]
    assert frame["interval_s"].to_list() == pytest.approx([1.0, 1.0, 0.85])
    assert frame["sent_packets"].sum() == total + 1
    assert frame["delivered_packets"].sum() == total
    assert frame["sent_packets"].dtype == pl.Int64


def test_one_reading_may_come_in_several_messages(tmp_path):
    log = LinkLog(RunFolder.create(tmp_path, "leo"), ["a:x", "b:x", "c:x"])
    for t_s in (1.0, 2.0):
        for end in range(3):
            log.update(t_s, {end: counters(sent_packets=10 * t_s)})
    log.close()
    assert log.rows == 6
    assert [(row.t_s, row.end, row.sent_packets) for row in log.latest] == [
        (2.0, "a:x", 10), (2.0, "b:x", 10), (2.0, "c:x", 10),
    ]  # fmt: skip
    assert drops_by_cause(log.counters)["queue"] == 0


def test_long_stall_makes_one_longer_interval(tmp_path):
    log = LinkLog(RunFolder.create(tmp_path, "leo"), ["a:x"])
    log.update(7.0, {0: counters(sent_packets=7, sent_bytes=700)})
    log.close()
    (row,) = log.latest
    assert (row.interval_s, row.asked_bps) == (7.0, 800.0)


def test_run_that_ends_before_play_has_no_rows(tmp_path):
    log = LinkLog(RunFolder.create(tmp_path, "leo"), ["a:x"])
    log.update(0.0, {0: counters()})
    log.close()
    assert log.rows == 0
