"""A slow model of one link end: packets are offered at a time, wait, leave, fly, and come due at a time.

The model takes one packet at a time and works out what has happened when someone asks. Each formula stands in one
place, in the floating-point order that the engine keeps, so that the engine's times are equal bit for bit.

Invariant: a packet leaves at `departs_s`. A change at t applies to each packet with departs_s > t; a packet with
departs_s <= t has left before the change.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf

from emulator.link.stats import EndStats
from emulator.model.network import Effects
from emulator.schedule.piecewise import Segment
from oracle.effects import Impairments
from oracle.packet_bytes import VIRTIO, wire_size
from oracle.packets import Data, Departure, Packet, joined, segments

MEMORY_BYTES = 256 * 2**20  # that may wait at one end, whatever its bounds say
PIECE_S = 1e-3  # a link that takes longer to send one merged packet gets it in chunks
Source = Callable[[float], tuple[Segment, int, float, int]]  # values at t, peer, until when they hold, ttl_cost in hops


class LinkEnd:
    """One direction of a link. `source` says what holds at a time; times given to the methods never fall."""

    def __init__(
        self, source: Source, effects: Effects | None = None, seed: int = 0, name: str = "", ip: int = VIRTIO
    ) -> None:
        self.source, self.ip = source, ip
        self.effects = effects or Effects()
        self.chain = Impairments(self.effects, seed, name, ip)
        self.overrides: dict[str, float | bool] = {}
        self.queued: list[Packet] = []  # the first one is in the transmitter and apart from the queue's bounds
        self.in_flight: list[Packet] = []
        self.left = self.since_s = 0.0  # bytes of the first waiting packet that are still to be sent at since_s
        self.departs_s = inf  # when the first waiting packet leaves, if the present values last
        self.idle_s = self.last_s = -inf  # last departure, last arrival
        self.stop_s = -inf  # until when the values below hold; the first packet loads them
        self.base_s = self.slope = 0.0  # a departure at t has the delay base_s + slope t
        self.seconds_per_byte = self.loss = 0.0  # seconds_per_byte 0: no rate yet
        self.peer, self.ttl_cost = -1, 0  # the node that receives; hops that leaving costs
        self.admission_s_per_byte = inf  # the last finite seconds_per_byte: waiting time is computed from it
        self.paused = self.running = self.accepts = False
        self.counts: list[float] = [0] * len(EndStats)
        self.log: list[Departure] = []

    def offer(self, items: list[tuple[float, Data, int, int, int, int]]) -> None:
        """Take packets (time, packet, bytes on the wire, destination, hops left, unused), each at its own time."""
        for t, data, size, dest, hops, _ in items:
            self.advance(t)
            if t >= self.stop_s:
                self._load(t)
            for piece, piece_size in self._cut(data, size):
                self._take(Packet(t, piece, piece_size, dest, hops))
                self.advance(t)  # without a rate it leaves at once

    @property
    def random(self) -> bool:
        """Whether packets may fare differently from each other, so that none may be merged."""
        return self.effects.per_packet or self.loss > 0.0 or self.effects.overtaking

    def _cut(self, data: Data, size: int) -> list[tuple[Data, int]]:
        """The packets to take for an offered one: a merged one is cut into chunks, so that none blocks the link."""
        parts = segments(data, self.ip)
        if not isinstance(parts, tuple):
            return [(parts, size)]
        if self.random or self.effects.queue_packets < inf:
            count = 1
        elif size * self.seconds_per_byte > PIECE_S:
            count = max(1, floor(PIECE_S / (wire_size(parts[0], self.ip) * self.seconds_per_byte)))
        else:
            return [(parts, size)]
        chunks = [parts[first : first + count] for first in range(0, len(parts), count)]
        return [(joined(chunk), self._size(chunk)) for chunk in chunks]

    def _size(self, chunk: tuple[bytes, ...]) -> int:
        return sum(wire_size(part, self.ip) for part in chunk)

    def _take(self, packet: Packet) -> None:
        self.counts[EndStats.SENT_PACKETS] += 1
        self.counts[EndStats.SENT_BYTES] += packet.size
        if sum(queued.size for queued in self.queued) + packet.size > MEMORY_BYTES:
            self._drop(EndStats.DROP_OVERLOAD, packet, packet.at_s)
        elif not self.accepts:
            self._drop(EndStats.DROP_OUTAGE, packet, packet.at_s)
        elif not self.queued:
            self.queued.append(packet)
            self._start()
        else:
            self._queue(packet)

    def _queue(self, packet: Packet) -> None:
        """Put a packet behind those that wait, or as many of its leading segments as there is room for."""
        t = packet.at_s
        while not self._admits(packet.size, 1, self._wait_s(t)):
            if self.effects.head_drop and len(self.queued) >= 2:
                self._drop(EndStats.DROP_QUEUE, self.queued.pop(1), t)
                continue
            if room := self._room(packet):
                head, rest = packet.data[:room], packet.data[room:]
                self.queued.append(packet._replace(data=joined(head), size=self._size(head)))
                packet = packet._replace(data=joined(rest), size=self._size(rest))
                self.counts[EndStats.SENT_PACKETS] += 1  # what is dropped counts as a packet of its own
            self._drop(EndStats.DROP_QUEUE, packet, t)
            return
        self.queued.append(packet)

    def _room(self, packet: Packet) -> int:
        """How many leading segments of a merged packet, which was refused whole, the queue admits one by one."""
        if not isinstance(packet.data, tuple):
            return 0
        wait_s, total = self._wait_s(packet.at_s), 0
        for number, part in enumerate(packet.data[:-1]):
            total += wire_size(part, self.ip)
            if not self._admits(total, number + 1, wait_s):
                return number
            wait_s += wire_size(part, self.ip) * self.admission_s_per_byte
        return len(packet.data) - 1

    def _admits(self, size: float, packets: int, wait_s: float) -> bool:
        """Whether the queue may hold so much more, the last of which would wait so long."""
        effects, queue = self.effects, self.queued[1:]
        return (
            sum(packet.size for packet in queue) + size <= effects.queue_bytes
            and len(queue) + packets <= effects.queue_packets
            and (effects.queue_s == inf or wait_s <= effects.queue_s * (1 + 1e-12))
        )

    def _wait_s(self, t: float) -> float:
        """How long a packet that joins the queue at t waits until its transmission starts, at the present rate."""
        head_s = self.left * self.admission_s_per_byte - (t - self.since_s if self.running else 0.0)
        return max(head_s, 0.0) + sum(packet.size for packet in self.queued[1:]) * self.admission_s_per_byte

    def advance(self, now: float) -> None:
        """Let leave what leaves by `now`, under the values that hold as it does."""
        while self.queued:
            if self.departs_s <= now and self.departs_s < self.stop_s:
                self._depart()
            elif now >= self.stop_s:
                self._account(self.stop_s)
                self._load(self.stop_s)
            else:
                return

    def _start(self) -> None:
        """The first waiting packet enters the transmitter."""
        self.left = float(self.queued[0].size)
        self.since_s = max(self.queued[0].at_s, self.idle_s)
        self.departs_s = self.since_s + self.left * self.seconds_per_byte if self.running else inf

    def _depart(self) -> None:
        packet, departs_s = self.queued.pop(0), self.departs_s
        delay_s = self.base_s + self.slope * departs_s
        copies = self.chain.copies(packet.data, self.loss)  # type: ignore[arg-type]  # a merged one is lost as a whole
        if not copies:
            self._drop(EndStats.DROP_LOSS, packet, departs_s)
        for data, jitter_s in copies:
            self.counts[EndStats.ASKED_DELAY_SUM_S] += delay_s + jitter_s
            at_s, hops = departs_s + delay_s + jitter_s, packet.hops - self.ttl_cost
            self._fly(Packet(at_s, data, packet.size, packet.dest, hops, self.peer))
            self.log.append(Departure(departs_s, data))
        self.idle_s, self.departs_s = departs_s, inf
        if self.queued:
            self._start()

    def _fly(self, packet: Packet) -> None:
        """A packet arrives after every packet that left before it, unless packets may overtake."""
        place = len(self.in_flight)
        if self.effects.overtaking:
            while place and self.in_flight[place - 1].at_s > packet.at_s:
                place -= 1
        else:
            self.last_s = max(packet.at_s, self.last_s)
            packet = packet._replace(at_s=self.last_s)
        self.in_flight.insert(place, packet)

    def _drop(self, cause: EndStats, packet: Packet, t: float) -> None:
        self.counts[cause] += 1
        self.log.append(Departure(t, packet.data, cause))

    def due(self, now: float) -> list[Packet]:
        """Packets that have arrived by `now`, in order."""
        self.advance(now)
        out: list[Packet] = []
        while self.in_flight and self.in_flight[0].at_s <= now:
            out.append(self.in_flight.pop(0))
            self.counts[EndStats.DELIVERED_PACKETS] += 1
            self.counts[EndStats.DELIVERED_BYTES] += out[-1].size
        return out

    def next_s(self) -> float:
        """When to ask for packets: never later than the next arrival; inf where none will come."""
        arrival_s = self.in_flight[0].at_s if self.in_flight else inf
        return min(arrival_s, self.departs_s, self.stop_s) if self.queued else arrival_s

    def _account(self, t: float) -> None:
        """Take off the first waiting packet what was sent of it until t."""
        if self.queued and t > self.since_s:
            if self.running:
                self.left = (
                    max(0.0, self.left - (t - self.since_s) / self.seconds_per_byte) if self.seconds_per_byte else 0.0
                )
            self.since_s = t

    def _load(self, t: float) -> None:
        """Take the values that hold at t, orders on top; they apply to every packet that waits."""
        values, self.peer, self.stop_s, self.ttl_cost = self.source(t)
        rate_bps = self.overrides.get("rate_bps", values.rate_bps)
        up = bool(self.overrides.get("up", values.up)) and self.peer >= 0
        self.loss = self.overrides.get("loss", values.loss)
        self.base_s, self.slope = self.overrides.get("delay_s", values.delay_start_s), 0.0
        if "delay_s" not in self.overrides and values.delay_end_s != values.delay_start_s:
            self.slope = (values.delay_end_s - values.delay_start_s) / (values.stop_s - values.start_s)
            self.base_s -= self.slope * values.start_s
        self.seconds_per_byte = 8.0 / rate_bps if rate_bps > 0.0 else inf
        self.admission_s_per_byte = self.seconds_per_byte if rate_bps > 0.0 else self.admission_s_per_byte
        self.running = up and not self.paused and rate_bps > 0.0
        self.accepts = up or self.paused or self.effects.hold_when_down
        if not self.accepts:
            for packet in self.queued:
                self._drop(EndStats.DROP_OUTAGE, packet, t)
            self.queued.clear()
        self.departs_s = self.since_s + self.left * self.seconds_per_byte if self.queued and self.running else inf

    def set(self, now: float, **values: float | bool | None) -> None:
        """Override `up`, `rate_bps`, `delay_s` or `loss` from `now` on; None goes back to the schedule."""
        self.advance(now)
        self.overrides = {name: value for name, value in (self.overrides | values).items() if value is not None}
        self._change(now)

    def hold(self, now: float, held: bool) -> None:
        """Keep every packet that has not left, or let the packets go again."""
        self.advance(now)
        self.paused = held
        self._change(now)

    def _change(self, now: float) -> None:
        self._account(now)
        if self.queued:
            self._load(now)
        else:
            self.stop_s = -inf  # the next packet loads

    def stats(self) -> list[float]:
        """The counters, indexed by EndStats."""
        return [*self.counts[: EndStats.DUPLICATED], self.chain.duplicated, self.chain.corrupted]
