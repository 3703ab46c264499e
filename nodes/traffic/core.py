"""Cores of the traffic programs: what to send when, and what an arrival means. No sockets, no clock.

Invariant: time comes in as an argument, in scenario seconds; every probe sent is in the end either received or lost,
exactly once.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import inf, isfinite

from emulator.model.errors import Unfit
from nodes.traffic.wire import Probe

PIECE_S = 0.01  # of a capped rate
PIECE_BYTES = 65536.0  # the largest segment that the kernel merges


def require_bounds(above_zero: dict[str, float], at_least_zero: dict[str, float]) -> None:
    """ValueError, for a `Config`, where a value of these keys has no end, or is 0 where only more makes sense."""
    for key, value in {**above_zero, **at_least_zero}.items():
        if not isfinite(value):
            raise Unfit(f"`{key}` is unlimited", "a value with an end")
        if value <= 0 and key in above_zero:
            raise Unfit(f"`{key}` is 0", "more than 0")


@dataclass(frozen=True, slots=True)
class Echo:
    """A probe that came back. `rtt_s` leaves out the time that the other node took to answer."""

    peer: str
    sent_s: float
    rtt_s: float
    forward_s: float  # one way, on the shared clock


@dataclass(slots=True)
class Tally:
    """What became of the probes to one peer."""

    sent: int = 0
    received: int = 0
    lost: int = 0


class Prober:
    """Sends numbered probes, answers those of others, knows which are overdue."""

    def __init__(self, timeout_s: float, size_bytes: int) -> None:
        self.tallies: dict[str, Tally] = {}
        self.unexpected = 0  # datagrams that are no probe of ours: malformed, unknown, twice, or too late
        self._timeout_s = timeout_s
        self._size_bytes = size_bytes
        self._next = 0
        self._waiting: OrderedDict[int, tuple[str, float]] = OrderedDict()  # in the order of sending

    def probe(self, peer: str, now_s: float) -> bytes:
        """The next probe to `peer`, to be sent now."""
        sequence, self._next = self._next, self._next + 1
        self._waiting[sequence] = (peer, now_s)
        self.tallies.setdefault(peer, Tally()).sent += 1
        return Probe(sequence, round(now_s * 1e9)).encode(self._size_bytes)

    def receive(self, data: bytes, arrived_s: float, now_s: float) -> Echo | bytes | None:
        """An arrival: bytes to send back, or an echo of ours, or None for what is neither."""
        try:
            probe = Probe.decode(data)
        except ValueError:
            self.unexpected += 1
            return None
        if not probe.echo:
            answer = Probe(probe.sequence, probe.sent_ns, round(arrived_s * 1e9), round(now_s * 1e9), echo=True)
            return answer.encode(len(data))
        found = self._waiting.pop(probe.sequence, None)
        if found is None:
            self.unexpected += 1
            return None
        peer, sent_s = found
        self.tallies[peer].received += 1
        answering_s = (probe.echoed_ns - probe.received_ns) * 1e-9
        return Echo(peer, sent_s, arrived_s - sent_s - answering_s, probe.received_ns * 1e-9 - sent_s)

    def expire(self, now_s: float) -> list[tuple[str, float]]:
        """Probes given up by now: peer and time of sending."""
        lost = []
        while self._waiting:
            sequence, (peer, sent_s) = next(iter(self._waiting.items()))
            if sent_s + self._timeout_s > now_s:
                break
            del self._waiting[sequence]
            self.tallies[peer].lost += 1
            lost.append((peer, sent_s))
        return lost

    def next_deadline_s(self) -> float:
        """When `expire` next has something to say."""
        if not self._waiting:
            return inf
        _, sent_s = next(iter(self._waiting.values()))
        return sent_s + self._timeout_s


class Rounds:
    """When to probe whom: every peer once an interval, spread evenly over it from a phase of this node's own."""

    def __init__(self, peers: list[str], interval_s: float, start_s: float, phase: float) -> None:
        step_s = interval_s / max(1, len(peers))
        self._interval_s = interval_s
        self._due = [(start_s + (phase + number) * step_s, peer) for number, peer in enumerate(peers)]
        self._at = 0

    def next_s(self) -> float:
        return self._due[self._at][0] if self._due else inf

    def take(self) -> str:
        """The peer whose turn it is; its next turn is an interval later, however late this one was."""
        due_s, peer = self._due[self._at]
        self._due[self._at] = (due_s + self._interval_s, peer)
        self._at = (self._at + 1) % len(self._due)
        return peer


class Pacer:
    """How much of a flow may be sent by now: rate cap, total, and no more than 100 ms of the rate at once.

    A capped flow is sent in pieces of PIECE_S of its rate, so that the kernel can merge segments and a flow does not
    wake up for every packet.
    """

    def __init__(self, rate_bps: float, total_bytes: float, start_s: float) -> None:
        self.sent_bytes = 0
        self._rate_bps = rate_bps
        self._total_bytes = total_bytes
        self._burst_bytes = max(1500.0, rate_bps / 8 * 0.1)
        self._piece_bytes = min(max(1500.0, rate_bps / 8 * PIECE_S), PIECE_BYTES)
        self._level_bytes = self._piece_bytes
        self._at_s = start_s

    @property
    def done(self) -> bool:
        return self.sent_bytes >= self._total_bytes

    def allowance(self, now_s: float, largest_bytes: int) -> int:
        """Bytes that may be sent now, at most `largest_bytes`."""
        left = min(self._total_bytes - self.sent_bytes, largest_bytes)
        if self._rate_bps < inf:
            self._level_bytes = min(self._burst_bytes, self._level_bytes + (now_s - self._at_s) * self._rate_bps / 8)
            self._at_s = now_s
            left = min(left, self._level_bytes)
        return int(left)

    def sent(self, count: int) -> None:
        self.sent_bytes += count
        self._level_bytes -= count

    def wait_s(self) -> float:
        """Time until a piece, or all that is left, may be sent; 0 without a cap."""
        if self._rate_bps == inf:
            return 0.0
        return max(
            0.0, (min(self._piece_bytes, self._total_bytes - self.sent_bytes) - self._level_bytes) * 8 / self._rate_bps
        )


class Meter:
    """Bytes of a flow as they arrive, cut into intervals."""

    def __init__(self, start_s: float, interval_s: float) -> None:
        self.start_s = start_s
        self.total_bytes = 0
        self.last_s = start_s  # of the last arrival
        self._interval_s = interval_s
        self._cut_s = start_s
        self._cut_bytes = 0

    def count(self, received_bytes: int, now_s: float) -> None:
        self.total_bytes += received_bytes
        self.last_s = now_s

    def due_s(self) -> float:
        """When the present interval ends."""
        return self._cut_s + self._interval_s

    def cut(self, now_s: float) -> float:
        """Goodput in bit/s since the last cut, and begin the next interval."""
        span_s = now_s - self._cut_s
        bits = (self.total_bytes - self._cut_bytes) * 8
        self._cut_s, self._cut_bytes = now_s, self.total_bytes
        return bits / span_s if span_s > 0 else 0.0

    def mean_bps(self) -> float:
        """Goodput from the start to the last arrival."""
        span_s = self.last_s - self.start_s
        return self.total_bytes * 8 / span_s if span_s > 0 else 0.0


def parse_pairs(texts: list[str], names: set[str]) -> list[tuple[str, str]]:
    """Pairs of node names from texts such as "gs-tokyo -> gs-paris". ValueError for anything else."""
    pairs = []
    for text in texts:
        source, arrow, target = (part.strip() for part in text.partition("->"))
        if not arrow or not source or not target or source == target:
            raise Unfit(f"{text!r} is not a pair", "'from -> to' with two different nodes")
        for name in (source, target):
            if name not in names:
                raise ValueError(f"{text!r}: there is no live node {name!r}")
        pairs.append((source, target))
    return pairs
