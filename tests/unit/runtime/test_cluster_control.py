"""What lead and hosts say to each other: frames over a stream, recognition, merged reports."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.model.errors import EXIT_LATE
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.record.verdict import Verdict, judge
from emulator.runtime.cluster import figures
from emulator.runtime.cluster.host import NODES_AT_ONCE
from emulator.runtime.cluster.merge import MergedReports
from emulator.runtime.cluster.pair_clocks import PairClocks
from emulator.runtime.cluster.reports import LATE
from emulator.runtime.cluster.versions import skew, versions
from emulator.runtime.control.cluster_messages import FROM_HOST, Beat, HostReady, NodeTotals
from emulator.runtime.control.encoding import BadMessage, decode, encode
from emulator.runtime.control.remote import HEAD as FRAME_HEAD
from emulator.runtime.control.remote import LARGEST_BYTES, Connection, Frame, Kind
from emulator.runtime.control.tls import TlsConnection, context, new_identity
from emulator.schedule.row_digest import Joined, joined

FRAMES = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=20
)


@pytest.fixture(scope="module")
def identity() -> bytes:
    return new_identity()


@pytest.fixture(params=["in clear", "TLS"])
def pair(request: pytest.FixtureRequest, identity: bytes) -> Iterator[tuple[Connection, Connection]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    ends: tuple[Connection, Connection] = Connection(one), Connection(other)
    if request.param == "TLS":
        caller = TlsConnection(one, context(identity, listens=False))
        ends = caller, TlsConnection(other, context(identity, listens=True))
        with ThreadPoolExecutor(1) as threads:
            shaken = threads.submit(caller.shake_hands, 5.0)
            while not shaken.done():
                with suppress(TimeoutError):  # it says nothing yet
                    ends[1].receive_within(0.01)
            shaken.result()
    yield ends
    for each in ends:
        each.close()


@given(frames=FRAMES, cuts=st.lists(st.integers(1, 400), min_size=1))
def test_frames_come_as_they_went_however_the_stream_is_cut(frames: list[Any], cuts: list[int]) -> None:
    stream = b"".join(FRAME_HEAD.pack(len(data), kind, number) + data for kind, number, data in frames)
    pieces, at = [], 0
    while at < len(stream):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(stream[at : at + size])
        at += size
    connection = Connection.__new__(Connection)
    connection._incoming = bytearray()
    connection.socket = SimpleNamespace(recv=lambda size: pieces.pop(0) if pieces else b"")  # type: ignore[assignment]
    assert [connection.receive() for _ in frames] == [Frame(*frame) for frame in frames]
    assert connection.receive() is None


@pytest.mark.parametrize("head", [FRAME_HEAD.pack(LARGEST_BYTES + 1, 0, 0), FRAME_HEAD.pack(0, 99, 0)])
def test_a_frame_of_strangers_is_refused(pair: Any, head: bytes) -> None:
    one, other = pair
    one._put(head, b"")
    one._flush()
    with pytest.raises(BadMessage, match="expected one of this version"):
        other.receive_within(5.0)


def test_messages_travel_and_the_end_is_heard(pair: Any) -> None:
    one, other = pair
    one.say(HostReady(("a warning",)))
    one.send(Kind.PACKET, 7, b"packet")
    assert other.receive_within(5.0).message(FROM_HOST) == HostReady(("a warning",))
    assert other.receive_within(5.0) == Frame(Kind.PACKET, 7, b"packet")
    with pytest.raises(TimeoutError):
        other.receive_within(0.01)
    one.socket.shutdown(socket.SHUT_RDWR)
    assert other.receive_within(5.0) is None


def test_what_a_peer_does_not_read_is_bounded(pair: Any) -> None:
    one, _ = pair
    sends = (one.send(Kind.REPORT, 0, bytes(LARGEST_BYTES)) for _ in range(200))
    with pytest.raises(TimeoutError):
        list(sends)
    assert one.busy


def test_other_versions_are_named_and_other_kernels_allowed() -> None:
    ours = versions()
    assert skew(ours, {**ours, "kernel": "9.9"}) == ""
    assert skew(ours, {**ours, "numpy": "1.0"}) == f"numpy 1.0; expected {ours['numpy']}, as the lead has"


# -- reports -----------------------------------------------------------------------------------------------------------


def network() -> Network:
    end = EndSpec(schedule=PiecewiseSchedule.constant(rate_bps=1e9))
    nodes = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
    return Network(nodes, (LinkSpec("a:up", 0, 1, "up", "down", end, end, carrier=True),))


def counters(**values: float) -> list[float]:
    found = [0.0] * len(EndStats)
    for name, value in values.items():
        found[EndStats[name]] = value
    return found


def health(t_s: float, late_s: float = 0.001, **trunks: dict[str, Any]) -> dict[str, Any]:
    late = Lateness()
    late.add(late_s, 10)
    return {
        "op": "stats", "t_s": t_s, "ends": {}, "lateness": late.pack(), "cpu_s": 1.0, "engine_cpu_s": 0.5,
        "wakeups": 1, "overloaded_s": 0.0, "late_rows": 1, "late_handovers": 0, "untold": 0, "turn_max_s": 0.1,
        "late": dict.fromkeys(LATE, 0.5) | {"packets": 2}, "saturated": False, "realtime": False, "unrouted": {1: 2},
        "captures_lost": {0: 1}, "told_s": t_s, "held": 0, "late_queues": 0, "host_cpu": 0.5, "host_memory_bytes": 9,
        "trunks": {int(peer[1:]): trunk for peer, trunk in trunks.items()},
    }  # fmt: skip


def trunk(sent: int, received: int, peer_sent: int, **more: int) -> dict[str, Any]:
    return {
        "records_sent": sent, "records_received": received, "peer_sent": peer_sent, "bytes_received": 100,
        "datagrams_received": received, "asked": 0, "repaired": 1, "late": 1, "dropped": 0, "latency": [[10, received]],
        "datagram_bytes": 1472, "fragments": 0, "queues_sent": 0, "queues_received": 0,
        **more,
    }  # fmt: skip


def test_the_halves_of_an_end_add_up() -> None:
    reports = MergedReports(network(), np.array([0, 1]), 2)
    first = reports.merged(0, {"op": "stats", "t_s": 1.0, "ends": {0: counters(SENT_PACKETS=5, LATE_MAX_S=0.5)}})
    assert first is not None
    assert first["ends"][0][EndStats.SENT_PACKETS] == 5
    both = reports.merged(1, {"op": "stats", "t_s": 1.1, "ends": {0: counters(DELIVERED_PACKETS=4, LATE_MAX_S=0.1)}})
    assert both is not None
    assert both["ends"][0] == counters(SENT_PACKETS=5, DELIVERED_PACKETS=4, LATE_MAX_S=0.5)


def test_a_cause_of_lateness_that_only_one_host_names_is_not_asked_of_the_others() -> None:
    reports = MergedReports(network(), np.array([0, 1]), 2)
    more = health(1.0)
    more["late"]["weather_s"] = 1.0
    reports.merged(0, more)
    merged = reports.merged(1, health(1.0))
    assert merged is not None
    assert merged["late"] == dict.fromkeys(LATE, 1.0) | {"packets": 4}


def test_the_last_report_is_that_of_the_last_host() -> None:
    reports = MergedReports(network(), np.array([0, 1]), 2)
    first = reports.merged(1, {**health(1.0), "final": True})
    last = reports.merged(0, {**health(2.0, late_s=0.004), "final": True})
    assert first is not None
    assert last is not None
    assert (first["final"], first["told_s"]) == (False, 0.0)
    assert (last["final"], last["told_s"], last["late_rows"]) == (True, 1.0, 2)
    assert (last["unrouted"], last["captures_lost"], last["late"]["packets"]) == ({1: 4}, {0: 2}, 4)
    merged = Lateness.unpack(last["lateness"])
    assert (merged.total, merged.max_s) == (20, 0.004)


def test_an_order_is_done_when_all_have_done_it() -> None:
    reports = MergedReports(network(), np.array([0, 1]), 2)
    for number in (3, 4):
        reports.ordered(number)
    assert reports.merged(0, {"op": "done", "number": 3}) is None
    assert reports.merged(0, {"op": "done", "number": 3}) is None, "twice of one"
    assert reports.merged(0, {"op": "done", "number": 4}) is None
    assert reports.merged(1, {"op": "done", "number": 3}) == {"op": "done", "number": 3}
    for never in (3, 5):
        with pytest.raises(BadMessage, match=f"order {never}, which was not given"):
            reports.merged(1, {"op": "done", "number": never})


def test_a_carrier_is_told_once() -> None:
    reports = MergedReports(network(), np.array([1, 0]), 2)
    message = {"op": "carrier", "t_s": 1.0, "at_s": 1.0, "changes": [[0, False]]}
    assert reports.merged(0, message) is None
    assert reports.merged(1, message) == message


def test_packets_are_accounted_for_wherever_they_are() -> None:
    ends = {0: counters(SENT_PACKETS=10, DELIVERED_PACKETS=5, DROP_QUEUE=1)}
    healths = {0: {**health(1.0, h1=trunk(8, 0, 0)), "held": 1}, 1: health(1.0, h0=trunk(0, 5, 8))}
    assert figures.unaccounted(ends, healths) == 0
    healths[0]["trunks"][1] |= {"records_sent": 10, "queues_sent": 2}  # the end of a queue is no packet
    assert figures.unaccounted(ends, healths) == 0
    healths[0]["held"] = 0
    assert figures.unaccounted(ends, healths) == 1


def test_what_trunks_lose_is_no_drop_of_a_link_and_too_much_of_it_is_no_result() -> None:
    healths = {0: health(1.0, h1=trunk(100, 50, 50)), 1: health(1.0, h0=trunk(50, 98, 100, dropped=1))}
    found = figures.trunk_figures(healths)
    assert (found["crossings"], found["lost"], found["repaired"]) == (148, 3, 2)
    verdict = Verdict("small", 1, trunks=found, trunk_lost_limit=1e-5)
    assert judge.trunks_lossy(verdict)
    verdict.trunk_lost_limit = 0.05
    assert not judge.trunks_lossy(verdict)


def test_a_clock_that_is_stepped_by_more_than_packets_may_be_late_is_no_result() -> None:
    verdict = Verdict("small", 1, clock={"stepped_us": 2100.0}, lateness_limit_ms=2.0)
    assert judge.clocks_stepped(verdict)
    assert judge.conclude(verdict).exit_code == EXIT_LATE
    verdict.clock["stepped_us"] = 1900.0
    assert not judge.clocks_stepped(verdict)


def test_the_mtu_of_trunks_is_that_of_the_narrowest_and_a_path_that_narrows_is_a_warning() -> None:
    healths = {0: health(1.0, h1=trunk(1, 1, 1, datagram_bytes=8972)), 1: health(1.0, h0=trunk(1, 1, 1, fragments=1))}
    assert figures.trunk_figures(healths)["mtu"] == 1500
    assert sorted(row.mtu for row in figures.trunk_intervals(healths, PairClocks())) == [1500, 9000]
    (warning,) = figures.narrowed(["host 0", "host 1"], healths)
    assert warning.startswith("trunk from host 1 to host 0: its path no longer carries IP packets of 1500 bytes whole")


def test_a_host_that_did_not_wait_for_a_queue_is_named() -> None:
    healths = {0: health(1.0, h1=trunk(8, 0, 0)), 1: {**health(1.0, h0=trunk(0, 8, 8)), "late_queues": 3}}
    (warning,) = figures.late_queues(["host 0", "host 1"], healths)
    assert warning.startswith("host 1: at 3 handovers a queue came too late")


def test_clocks_of_hosts_are_those_of_their_probes() -> None:
    clocks, away_ns = PairClocks(), {0: 0, 1: 5_000_000, 2: -3_000_000}
    for asker, asked in ((0, 1), (2, 0), (1, 2)):
        for number in range(20):
            at_ns = 10**9 + number * 10**8
            mine, theirs = at_ns + away_ns[asker], at_ns + away_ns[asked]
            probe = [asker, mine, theirs + 100_000, theirs + 110_000, mine + 210_000]  # 0.1 ms each way
            clocks.note(asker, {"trunks": {asked: {"probes": [probe]}}})
    assert [round(clocks.between(0, host)[0] * 1e3, 6) for host in (1, 2)] == [5.0, -3.0]  # type: ignore[index]
    found = clocks.figures()
    assert found["offset_us"] == pytest.approx(5000, abs=0.01)
    assert found["bound_us"] == pytest.approx(100, abs=0.01)
    assert found["check_us"] == pytest.approx(0, abs=0.01)
    assert PairClocks().figures() == {}


def test_hosts_agree_on_who_is_joined_bit_for_bit_and_on_delays_nearly() -> None:
    def row(peer: int = 1, delay_s: float = 0.01, hop: int = 0) -> Joined:
        columns = {"peer": np.array([peer, 0]), "up": np.array([True, True]), "next_end": np.array([[-1, hop]])}
        return joined(SimpleNamespace(**columns, delay_start_s=np.array([delay_s, 0.02])))  # type: ignore[arg-type]

    assert row().agrees(row(delay_s=0.01 + 1e-17))
    assert not row().agrees(row(peer=0))
    assert not row().agrees(row(hop=1))
    assert not row().agrees(row(delay_s=0.0101))
    beat = Beat(3, *row())
    assert Joined(beat.joined, beat.delays_s).agrees(row())


def test_the_totals_of_nodes_with_long_names_fit_into_a_message() -> None:
    names = [f"{'n' * 60}{number:03}" for number in range(NODES_AT_ONCE)]
    totals = NodeTotals(used=dict.fromkeys(names, (1.5, 2.5, 2**40)))
    assert decode(encode(totals), FROM_HOST) == totals
    packets = NodeTotals(packets=dict.fromkeys(names, 2**40))
    assert decode(encode(packets), FROM_HOST) == packets
