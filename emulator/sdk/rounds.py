"""Rounds: slots of the shared clock, and a UDP socket whose datagrams name the rounds of their sending and due time.

Invariant: a datagram belongs to the slot in which the kernel received it, however late the program reads it. Each
datagram is counted as received in its due slot or not, so that a run reports how reliable its rounds are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.model.errors import Unfit
from emulator.sdk.wire import Dissector, Kind, Message, Octets, Rest, Row, Rule, Unsigned, row_message

if TYPE_CHECKING:
    from emulator.sdk.node import NodeContext

__all__ = ["DISSECTOR", "Arrival", "RoundSocket", "Slots", "decode", "encode", "message"]

MAGIC = b"SkyR"
HEADER = Row(
    Rule("sent <= due"),
    magic=Octets(4, equals=MAGIC),
    sent=Unsigned(4).says("round in which it was sent"),
    due=Unsigned(4).says("round in which it is to arrive"),
)
_HEADER = HEADER.struct
MOST_WAITING = 1 << 16  # arrivals not fetched by `arrivals` yet, in all slots together


@dataclass(frozen=True, slots=True)
class Slots:
    """Slotted time: round r is [start_s + r·length_s, start_s + (r+1)·length_s) of scenario time."""

    start_s: float
    length_s: float

    def __post_init__(self) -> None:
        if not self.length_s > 0.0:
            raise Unfit(f"slots of {self.length_s} s", "a length above 0")

    def begin_s(self, round: int) -> float:
        """Scenario time at which a round begins."""
        return self.start_s + round * self.length_s

    def round_at(self, t_s: float) -> int:
        """The round that holds at a time; negative before round 0."""
        round = math.floor((t_s - self.start_s) / self.length_s)
        if t_s >= self.begin_s(round + 1):  # the division rounded down, or up, past the border
            return round + 1
        return round if t_s >= self.begin_s(round) else round - 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """A datagram of a round: its sender, the rounds in which it was sent, due and received, and its payload."""

    peer: str
    sent: int
    due: int
    arrived: int
    payload: bytes
    t_s: float


def encode(sent: int, due: int, payload: bytes = b"") -> bytes:
    """A datagram sent in round `sent` and due in round `due`."""
    return _HEADER.pack(MAGIC, sent, due) + payload


def decode(data: bytes) -> tuple[int, int, bytes]:
    """Round sent, round due, payload. ValueError if it is no datagram of a round."""
    if len(data) < HEADER.size:
        raise ValueError(f"round: length {len(data)}, expected at least {HEADER.size}")
    magic, sent, due = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError(f"round: magic {magic!r}, expected {MAGIC!r}")
    if due < sent:
        raise ValueError(f"round: due in {due}, expected {sent} or later, in which it was sent")
    return sent, due, data[HEADER.size :]


def message(name: str, payload: Kind | None = None, summary: str = "") -> Message:
    """The description of a round's datagram for captures; `payload` is that of the protocol."""
    said = "round {sent}, due in {due}" + (f": {summary}" if summary else "")
    return row_message(name, HEADER, {"payload": payload or Rest()}, summary=said)


DISSECTOR = Dissector("rounds", "Datagram of a round", "udp", (message("datagram"),))  # of protocols that bring none


class RoundSocket:
    """UDP in slotted rounds. Make it in `setup`; `play` drives it, or `send` and `arrivals` by hand."""

    def __init__(self, context: NodeContext, port: int, slots: Slots) -> None:
        self._context = context
        self._port = port
        self.slots = slots
        self._names = {peer.ipv4: peer.name for peer in context.peers.values()}
        self._waiting: dict[int, list[Arrival]] = defaultdict(list)
        self._held = 0
        self._sent = self._received = self._in_slot = 0  # since the last report
        self.refused = 0  # datagrams that are malformed, of unknown senders, or beyond MOST_WAITING
        self._socket = context.datagrams(port, self._arrived)

    def send(self, peer_name: str, round: int, due: int, payload: bytes = b"") -> bool:
        """Send now, in `round`, a datagram due in round `due`; returns False if the kernel refused it."""
        peer = self._context.peers[peer_name]
        if not self._socket.send(encode(round, due, payload), peer.ipv4, self._port):
            return False
        self._sent += 1
        return True

    def arrivals(self, round: int) -> list[Arrival]:
        """The arrivals of a slot that has ended, in order; each arrival is returned once."""
        self._socket.take()
        found = self._waiting.pop(round, [])
        self._held -= len(found)
        return found

    async def play(self, first: int, last: int, act: Callable[[int, list[Arrival]], bool | None]) -> None:
        """At the beginning of each slot from `first` to `last` call `act(round, arrivals of the previous slot)`.

        Ends after the call that returns True, or when the run ends. Counts are reported to the run after every slot.
        """
        context = self._context
        for round in range(first, last + 1):
            await context.sleep_until(self.slots.begin_s(round))
            if context.stopping.is_set():
                break
            ended = act(round, self.arrivals(round - 1))
            self.report(round)
            if ended:
                break

    def report(self, round: int) -> None:
        """Report the datagrams sent and received since the last report to the run."""
        self._context.note_round(round, sent=self._sent, received=self._received, in_slot=self._in_slot)
        self._sent = self._received = self._in_slot = 0

    def _arrived(self, data: bytes, address: tuple[str, int], t_s: float) -> None:
        name = self._names.get(address[0])
        try:
            sent, due, payload = decode(data)
        except ValueError:
            name = None
        if name is None or self._held >= MOST_WAITING:
            self.refused += 1
            return
        round = self.slots.round_at(t_s)
        self._received += 1
        self._in_slot += round == due
        self._held += 1
        self._waiting[round].append(Arrival(name, sent, due, round, payload, t_s))

    def close(self) -> None:
        self._socket.close()
