"""RoundSocket on a fake context: what arrives, in which slot, and what is told to the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from oracle.jumping_clock import JumpingClock

from emulator.sdk.node import Peer
from emulator.sdk.rounds import Arrival, RoundSocket, Slots, encode


class Socket:
    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str, int]] = []
        self.full = False

    def send(self, data: bytes, host: str, port: int) -> bool:
        if not self.full:
            self.sent.append((data, host, port))
        return not self.full

    def take(self) -> None:
        pass

    def close(self) -> None:
        pass


class Context:
    """A node `a` with the peer `b`, on a clock that jumps."""

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.peers = {"b": Peer("b", "host", "10.0.0.2")}
        self.stopping = asyncio.Event()
        self.socket = Socket()
        self.arrive: Callable[[bytes, tuple[str, int], float], None] = lambda data, address, t_s: None
        self.notes: list[tuple[int, int, int, int]] = []
        self.due: list[tuple[float, bytes]] = []

    def datagrams(self, port: int, on_datagram: Any) -> Socket:
        self.arrive = on_datagram
        return self.socket

    async def sleep_until(self, t_s: float) -> None:
        while self.due and self.due[0][0] <= t_s:
            at, data = self.due.pop(0)
            self.arrive(data, ("10.0.0.2", 7000), at)
        self.clock.jump_to(t_s)

    def note_round(self, round: int, *, sent: int, received: int, in_slot: int) -> None:
        self.notes.append((round, sent, received, in_slot))


def made() -> tuple[Any, RoundSocket]:
    context: Any = Context()
    return context, RoundSocket(context, 7000, Slots(1.0, 0.1))


def test_play_gives_each_slot_what_arrived_in_the_one_before() -> None:
    context, socket = made()
    context.due = [(1.12, encode(1, 1, b"in time")), (1.25, encode(1, 1, b"late")), (1.31, encode(2, 3))]
    seen: list[tuple[int, list[Arrival]]] = []

    def act(round: int, arrivals: list[Arrival]) -> bool:
        seen.append((round, arrivals))
        if round < 3:
            assert socket.send("b", round, round + 1)
        return round == 4

    asyncio.run(socket.play(1, 9, act))
    assert [(round, [(it.payload, it.sent, it.due, it.arrived) for it in items]) for round, items in seen] == [
        (1, []),
        (2, [(b"in time", 1, 1, 1)]),
        (3, [(b"late", 1, 1, 2)]),
        (4, [(b"", 2, 3, 3)]),
    ]
    assert context.notes == [(1, 1, 0, 0), (2, 1, 1, 1), (3, 0, 1, 0), (4, 0, 1, 1)]
    assert context.clock.now() == 1.4


def test_nonsense_and_strangers_are_counted() -> None:
    context, socket = made()
    context.arrive(b"junk", ("10.0.0.2", 7000), 1.0)
    context.arrive(encode(1, 1), ("10.9.9.9", 7000), 1.0)
    assert socket.refused == 2
    assert socket.arrivals(0) == []


def test_what_is_held_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr("emulator.sdk.rounds.MOST_WAITING", 3)
    context, socket = made()
    for _ in range(5):
        context.arrive(encode(1, 1), ("10.0.0.2", 7000), 1.15)
    assert socket.refused == 2
    assert len(socket.arrivals(1)) == 3
    context.arrive(encode(1, 1), ("10.0.0.2", 7000), 1.15)
    assert len(socket.arrivals(1)) == 1


def test_a_refused_send_is_not_a_message() -> None:
    context, socket = made()
    context.socket.full = True
    assert not socket.send("b", 1, 1)
    socket.report(1)
    assert context.notes == [(1, 0, 0, 0)]


def test_the_end_of_the_run_ends_the_play() -> None:
    context, socket = made()
    rounds: list[int] = []

    def act(round: int, arrivals: list[Arrival]) -> None:
        rounds.append(round)
        context.stopping.set()

    asyncio.run(socket.play(1, 9, act))
    assert rounds == [1]
