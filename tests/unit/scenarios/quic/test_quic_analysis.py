"""The scenario `quic`: what its variants have in common, and what its figures make of a run that is made up."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.tables import RecipeOptions
from emulator.record.qlog import Event
from scenarios.quic import analysis
from scenarios.quic.recipe import Parameters, compose

OPTIONS = RecipeOptions(seed=1, duration_s=60.0, directory=".")


def composed(transport):
    return compose(Parameters.model_validate({"slots": 2, "transport": transport}), OPTIONS)


def test_the_transport_changes_programs_and_what_is_expected_of_them():
    both, quic, tcp = map(composed, ("both", "quic", "tcp"))
    names = [[each["name"] for each in one.pop("program")] for one in (both, quic, tcp)]
    assert names == [
        ["probe", "tcp", "quic-server", "quic-client"], ["probe", "quic-server", "quic-client"], ["probe", "tcp"],
    ]  # fmt: skip
    expected = [[each["figure"] for each in one.pop("expect")] for one in (both, quic, tcp)]
    assert expected == [
        [f"summary.{name}.goodput_mbit_s" for name in names] for names in (["quic", "tcp"], ["quic"], ["tcp"])
    ]
    assert both == quic == tcp


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(0, 1000))
def test_pieces_in_any_order_come_to_the_whole(lengths, seed):
    pieces = [(sum(lengths[:number]), length) for number, length in enumerate(lengths)]
    shuffled = pieces + random.Random(seed).choices(pieces, k=5)
    random.Random(seed).shuffle(shuffled)
    stream, seen, total = analysis.InOrder(), set(), 0
    for offset, length in shuffled:
        total += stream.take(offset, length)
        seen |= set(range(offset, offset + length))
        assert total == next(each for each in range(sum(lengths) + 1) if each not in seen)


def frame(stream, offset, length):
    return {"frame_type": "stream", "stream_id": stream, "offset": offset, "length": length}


def test_streams_are_told_apart():
    events = [
        Event(1.0, "transport:packet_received", {"frames": [frame(0, 0, 10), frame(4, 5, 5), {"frame_type": "ack"}]}),
        Event(2.0, "transport:packet_sent", {"frames": [frame(0, 10, 10)]}),
        Event(3.0, "transport:packet_received", {"frames": [frame(4, 0, 5)]}),
    ]
    assert analysis.in_order(events) == [(1.0, 10.0), (1.0, 0.0), (3.0, 10.0)]


def test_overruns_of_the_socket_are_read():
    assert analysis.overruns("Udp: InDatagrams RcvbufErrors\nUdp: 12 7\nUdpLite: RcvbufErrors\nUdpLite: 9\n") == 7
    assert analysis.overruns("Udp: InDatagrams\n") == 0


@dataclass
class Run:
    path: Path
    samples: polars.DataFrame
    own_events: polars.DataFrame
    parameters: dict = field(default_factory=lambda: {"slots": 2})


def made_up(folder: Path, quic: bool = True) -> Run:
    """Both deliver 1250 bytes every 10 ms. QUIC stands for 1 s after the handover at 15 s, and TCP for 400 ms."""
    every = [number / 100 for number in range(100, 3000)]
    if quic:
        received = [t_s for t_s in every if not 15.0 <= t_s < 16.0]
        events = [
            {
                "time": t_s * 1e3,
                "name": "transport:packet_received",
                "data": {"frames": [frame(0, 1250 * number, 1250)]},
            }
            for number, t_s in enumerate(received)
        ]
        measured = {"time": 9e3, "name": "recovery:metrics_updated", "data": {"smoothed_rtt": 60.0}}
        lost = [{"time": 15.9e3, "name": "recovery:packet_lost", "data": {}}] * 3
        for node, name, found in (("gs-dish", "client", events), ("server", "server", [measured, *lost])):
            (folder / "nodes" / node).mkdir(parents=True)
            document = {"traces": [{"common_fields": {"time_format": "relative"}, "events": found}]}
            (folder / "nodes" / node / f"{name}.qlog").write_text(json.dumps(document))
    rows, total = [], 0
    for tick in range(20, 601):
        t_s = tick * analysis.BIN_S
        total += 0 if 15.0 < t_s <= 15.41 else 6250
        rows += [(t_s, "flow_bytes", float(total)), (t_s, "tcp_rtt_s", 0.05)]
        rows.append((t_s, "tcp_retransmits", 0.0 if t_s < 15.2 else 2.0 if t_s < 25 else 7.0))
    samples = polars.DataFrame(rows, ["t_s", "name", "value"], orient="row").with_columns(program=polars.lit("tcp"))
    handovers = {"t_s": [0.5, 15.0, 29.9], "node": "gs-dish", "kind": "handover"}
    return Run(folder, samples, polars.DataFrame(handovers))


def test_each_transport_has_its_goodput_losses_and_stalls(tmp_path):
    run = made_up(tmp_path)
    summary = analysis.summarise(run)
    quic, tcp = summary["quic"], summary["tcp"]
    assert quic["second_of_slot"]["s05"] == pytest.approx(1.0, rel=0.02)
    assert quic["second_of_slot"]["s00"] == 0.0
    assert tcp["second_of_slot"]["s05"] == pytest.approx(1.0, rel=0.02)
    assert quic["longest_stall_ms"] == pytest.approx(1000, abs=51)
    assert tcp["stall_ms"] == {"at_15_s": pytest.approx(400, abs=51)}
    assert (quic["lost"], quic["lost_after_handovers"], quic["socket_overruns"]) == (3, 3, 0)
    assert (tcp["lost"], tcp["lost_after_handovers"]) == (7, 2)
    assert (quic["rtt_ms"]["p50"], tcp["rtt_ms"]["p50"]) == (60.0, 50.0)
    assert [each.name for each in analysis.figures(run)] == ["goodput", "delay", "losses"]


def test_a_run_with_one_transport_or_none(tmp_path):
    alone = made_up(tmp_path, quic=False)
    assert list(analysis.summarise(alone)) == ["tcp"]
    empty = Run(tmp_path, alone.samples.head(0), alone.own_events)
    assert analysis.summarise(empty) == {}
    assert analysis.figures(empty) == []


def test_a_sweep_has_a_line_for_each_transport_that_ran():
    rows = [
        {"transport": "quic", "quic.second_of_slot.s00": 1.0, "tcp.second_of_slot.s00": None},
        {"transport": "both", "quic.second_of_slot.s00": 1.0, "tcp.second_of_slot.s00": 2.0},
    ]
    (drawn,) = analysis.sweep_figures(polars.DataFrame(rows))
    assert [len(axes.lines) for axes in drawn.figure.axes] == [1, 2]
    assert analysis.sweep_figures(polars.DataFrame({"access": ["ideal"]})) == []
