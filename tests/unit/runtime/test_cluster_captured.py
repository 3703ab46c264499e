"""Captures across hosts: packets of all in the order in which they left, and what is left out is counted."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import capture_streams
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.taps import HEAD, records
from emulator.runtime.cluster import captured, tees
from emulator.runtime.cluster.captured import HOLD_S, InOrder
from emulator.runtime.cluster.tees import HostTees, LeadTee

HOSTS = 3


def batch(*packets: tuple[int, bytes, float], lost: int = 0) -> bytes:
    """A batch of packets: link end, data, when it left."""
    return capture_streams.batch(*((left_s, end, 0, data) for end, data, left_s in packets), lost=lost)


@given(
    left_ms=st.lists(st.lists(st.integers(0, 5_000), min_size=1, max_size=12), min_size=HOSTS, max_size=HOSTS),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_packets_come_out_once_and_in_order_however_the_streams_are_cut(left_ms, cuts, order) -> None:
    streams = []
    for host, times in enumerate(left_ms):
        packets = [(host, bytes([host, n]), t_ms / 1e3) for n, t_ms in enumerate(sorted(times))]
        whole = b"".join(batch(*packets[at : at + 3]) for at in range(0, len(packets), 3))
        size = cuts[host % len(cuts)]
        streams.append([whole[at : at + size] for at in range(0, len(whole), size)] + [b""])
    merged, out = InOrder(HOSTS), b""
    while waiting := [host for host in range(HOSTS) if streams[host]]:
        host = order.choice(waiting)
        merged.feed(host, streams[host].pop(0))
        out += merged.take(0.0)[0]
    out += merged.take(10.0)[0]
    found = list(records(out))
    assert merged.ended
    assert [record.left_ns for record in found] == sorted(t_ms * 10**6 for times in left_ms for t_ms in times)
    assert len({record.data for record in found}) == sum(map(len, left_ms))


def test_a_packet_waits_for_the_others_signs_of_life_and_at_most_so_long() -> None:
    merged = InOrder(2)
    merged.feed(0, batch((1, b"a", 1.0)))
    assert merged.take(1.1) == (b"", 0)
    merged.sign(1, 1.2)
    merged.sign(1, 1.2)
    assert merged.take(1.3) == (b"", 0), "the other may yet tell of something before its sign"
    merged.sign(1, 1.45)
    assert merged.take(1.5)[1] == 1
    merged.feed(0, batch((1, b"b", 2.0)))
    assert merged.take(2.0 + HOLD_S - 0.1) == (b"", 0)
    assert merged.take(2.0 + HOLD_S)[1] == 1


def test_many_bytes_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured, "MOST_HELD", 100)
    merged = InOrder(2)
    merged.feed(0, batch((1, bytes(50), 1.0)))
    assert merged.take(1.0) == (b"", 0)
    merged.feed(0, batch((1, bytes(50), 1.1)))
    assert merged.take(1.1)[1] == 2


def test_what_hosts_and_the_way_have_lost_stands_before_what_follows() -> None:
    merged = InOrder(2)
    merged.feed(0, batch((1, b"a", 1.0), lost=3))
    merged.feed(1, batch((2, b"b", 1.0), lost=4))
    out, packets = merged.take(5.0, left_out=10)
    assert packets == 2
    assert [record.lost for record in records(out)] == [17, 17]


def test_a_batch_of_a_lost_host_that_never_came_whole_counts_as_lost() -> None:
    whole = batch((1, b"a", 1.0), (1, b"b", 1.1))
    read_end, write_end = os.pipe()

    async def play() -> LeadTee:
        tee = LeadTee(write_end, 2)
        tee.feed(0, whole + whole[:-1], 1.0)
        tee.feed(1, whole, 1.0)
        tee.feed(1, b"", 1.0)
        tee.finish()
        return tee

    tee = asyncio.run(play())
    with open(read_end, "rb") as reader:
        assert len(list(records(reader.read()))) == 4
    assert tee.lost == 2
    assert tee.closed


@pytest.mark.parametrize("reads", [True, False])
def test_what_waits_of_a_capture_at_the_end_is_written_for_those_who_read(
    monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr(tees, "PATIENCE_S", 5.0 if reads else 0.1)
    whole = batch((1, bytes(1 << 20), 1.0))
    read_end, write_end = os.pipe()

    async def play() -> LeadTee:
        tee = LeadTee(write_end, 1)
        tee.feed(0, whole, 1.0)
        tee.finish()
        return tee

    with ThreadPoolExecutor(1) as threads, open(read_end, "rb") as reader:
        if reads:
            found = threads.submit(reader.read)
            assert asyncio.run(play()).lost == 0
            assert found.result(10) == whole
        else:
            began_s = time.monotonic()
            assert asyncio.run(play()).lost == 1
            assert time.monotonic() - began_s < 3.0


def test_what_has_no_room_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tees, "MOST_WAITING", 200_000)
    monkeypatch.setattr(tees, "PATIENCE_S", 5.0)
    read_end, write_end = os.pipe()

    async def play() -> int:
        tee = LeadTee(write_end, 1)
        for n in range(6):
            tee.feed(0, batch((1, bytes(100_000), 1.0 + n)), 2.0 + n)
        assert tee.lost > 0
        threads.submit(lambda: found.append(reader.read()))
        tee.finish()
        return tee.lost

    found: list[bytes] = []
    with ThreadPoolExecutor(1) as threads, open(read_end, "rb") as reader:
        lost = asyncio.run(play())
    assert len(list(records(found[0]))) + lost == 6


def test_captures_wait_while_the_connection_is_busy() -> None:
    async def play() -> None:
        sent: list[tuple[int, bytes]] = []
        connection = SimpleNamespace(busy=False, send=lambda kind, number, data: sent.append((number, data)))
        pipes = HostTees(connection)  # type: ignore[arg-type]
        one, other = pipes.open(1), pipes.open(2)
        connection.busy = True
        os.write(one, b"a")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert sent == [(1, b"a")], "it was not known to be busy before"
        os.write(one, b"b")
        os.write(other, b"c")
        for _ in range(5):
            await asyncio.sleep(0)
        assert sent == [(1, b"a")]
        connection.busy = False
        pipes.resume()
        async with asyncio.timeout(5):
            while len(sent) < 3:  # noqa: ASYNC110 - what the loop has read
                await asyncio.sleep(0)
        assert sorted(sent[1:]) == [(1, b"b"), (2, b"c")]
        connection.drain = lambda timeout_s: timeout_s > 0
        os.write(one, b"d")
        pipes.pass_on()
        assert sent[3:] == [(1, b"d")], "outside of the loop, too"
        os.close(one)
        os.close(other)
        pipes.drain()

    asyncio.run(play())


def test_other_bytes_than_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="where a batch should begin"):
        InOrder(1).feed(0, bytes(HEAD.size))
