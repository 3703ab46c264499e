"""Traces and written knots: what they mean, and what is said about wrong ones."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from oracle.delivery import finish_s

from emulator.model.errors import DataError
from emulator.schedule import traces
from emulator.schedule.piecewise import evaluate


def test_mahimahi_packets_leave_by_their_line():
    knots = traces.mahimahi("2\n4\n4\n8\n", "trace", delay_s=0.02)
    assert knots.period_s == pytest.approx(0.008)
    assert knots.t_s == pytest.approx([0, 0.001, 0.002, 0.003, 0.004, 0.007])
    assert knots.rate_bps.tolist() == [0, 12e6, 0, 24e6, 0, 12e6]
    assert set(knots.delay_s) == {0.02}
    t_s, leaves = 0.0, []
    for _ in range(8):
        t_s = finish_s(knots, t_s, 12_000)
        leaves.append(t_s)
    assert leaves == pytest.approx([0.002, 0.0035, 0.004, 0.008, 0.010, 0.0115, 0.012, 0.016])


def test_a_packet_at_the_start_of_a_period_ends_the_one_before():
    knots = traces.mahimahi("0\n1\n3\n", "trace")
    assert knots.rate_bps.tolist() == [12e6, 0, 24e6]
    assert knots.t_s == pytest.approx([0, 0.001, 0.002])


def test_equal_rates_make_one_knot():
    knots = traces.mahimahi("\n".join(str(ms) for ms in range(1, 10_001)), "trace")
    assert len(knots.t_s) == 1
    assert knots.rate_bps.tolist() == [12e6]
    assert knots.period_s == pytest.approx(10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trace: the trace is empty"),
        ("\n \n", "trace: the trace is empty"),
        ("1\n\n-5\n", "trace:3: found '-5'"),
        ("1\n5\n4\n", "trace:3: 4 ms follows 5 ms"),
        ("1.5\n", "trace:1: found '1.5'"),
        ("1 2\n", "trace:1: found '1 2'"),
        ("9" * 5000, "trace:1: found '9999"),
        ("²\n", "trace:1"),
        ("0\n0\n", "trace: the trace ends at 0 ms"),
    ],
)
def test_wrong_mahimahi_traces(text, message):
    with pytest.raises(DataError, match=message):
        traces.mahimahi(text, "trace")


def test_csv_columns_carry_their_units():
    text = (
        "# measured\nt_ms, delay_ms, rate_mbps, loss_percent, up\n0,10,5,1,true\n500,20,,,0\n\n1000,5,inf,0,1  # end\n"
    )
    knots = traces.csv(text, "trace.csv", period_s=2)
    assert knots.t_s.tolist() == [0, 0.5, 1]
    assert knots.delay_s == pytest.approx([0.010, 0.020, 0.005])
    assert knots.rate_bps.tolist() == [5e6, 5e6, inf]
    assert knots.loss.tolist() == [0.01, 0.01, 0]
    assert knots.up.tolist() == [True, False, True]
    assert knots.period_s == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trace: the trace is empty; expected a header"),
        ("t_s,delay_ms\n", "trace: the trace is empty"),
        ("t,delay_ms\n0,1\n", "trace:1: unknown column 't'; expected any of t_s, t_ms"),
        ("delay_ms\n1\n", "trace:1: no time column"),
        ("t_s,delay_ms,delay_s\n0,1,1\n", "trace:1: columns delay_ms and delay_s"),
        ("t_s,delay_ms\n0\n", "trace:2: 1 cells; expected 2"),
        ("t_s,delay_ms\n,4\n", "trace:2: t_s is empty"),
        ("t_s,delay_ms\n0,1\n1,fast\n", "trace:3: delay_ms: found 'fast'; expected a finite number"),
        ("t_s,delay_ms\n0,1\n1,-1\n", "trace:3: delay_ms: found '-1'"),
        ("t_s,delay_ms\n0,inf\n", "trace:2: delay_ms: found 'inf'"),
        ("t_s,loss\n0,1.5\n", "trace:2: loss: found '1.5'"),
        ("t_s,up\n0,2\n", "trace:2: up: found '2'"),
        ("t_s,rate_bps\n0,nan\n", "trace:2: rate_bps: found 'nan'"),
        ("t_s,loss\n5,0\n4,0\n", "trace:3: t = 4 s follows 5 s"),
    ],
)
def test_wrong_csv_traces(text, message):
    with pytest.raises(DataError, match=message):
        traces.csv(text, "trace")


def test_toml_knots_repeat_what_they_leave_out():
    items = [{"t": "0 s", "delay": "10 ms", "loss": "1 %"}, {"t": "1 s", "rate": "2 Mbit/s"}, {"t": "2 s", "up": False}]
    knots = traces.tables(items, "link.knots", period="4 s")
    assert knots.delay_s.tolist() == [0.01] * 3
    assert knots.rate_bps.tolist() == [inf, 2e6, 2e6]
    assert knots.loss.tolist() == [0.01] * 3
    assert knots.up.tolist() == [True, True, False]
    assert evaluate(knots, np.array([6.5])).up.tolist() == [False]
    assert traces.tables([{"t": "0 s", "rate": "unlimited"}], "k").rate_bps.tolist() == [inf]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "link.knots: no knots"),
        (["0 s"], r"link.knots\[0\]: found '0 s'; expected a table"),
        ([{"delay": "1 ms"}], r"link.knots\[0\]: no t"),
        ([{"t": 0}], r"link.knots\[0\].t: a number without a unit"),
        ([{"t": "0 s", "dely": "1 ms"}], r"link.knots\[0\]: unknown key 'dely'"),
        ([{"t": "0 s", "up": "yes"}], r"link.knots\[0\].up: found 'yes'"),
        ([{"t": "0 s", "loss": "101 %"}], r"link.knots: knot 1 .*loss is 1.01"),
        ([{"t": "2 s"}, {"t": "1 s"}], "ascending"),
    ],
)
def test_wrong_toml_knots(items, message):
    with pytest.raises(DataError, match=message):
        traces.tables(items, "link.knots")


def test_files(tmp_path):
    plain, table = tmp_path / "down.trace", tmp_path / "link.csv"
    plain.write_text("1\n2\n")
    table.write_text("t_s,delay_ms\n0,3\n")
    assert traces.from_file(plain, delay_s=0.005).delay_s.tolist() == [0.005]
    assert traces.from_file(str(table)).delay_s.tolist() == [0.003]
    plain.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a text file"):
        traces.from_file(plain)
    for missing in (tmp_path / "absent", tmp_path, "a\0b"):
        with pytest.raises(DataError, match="cannot be read"):
            traces.from_file(missing)
