"""A link end without kernel and clock: packets are offered at a time, and come due at a time.

What happened until `now` is worked out when someone asks (`offer`, `due`, `set`), from logical times: a packet leaves
the queue at max(its arrival, the packet before) + bits/rate, integrated over every change of rate, and arrives at the
far end after the delay that holds at the instant it leaves. Invariant: however late the relay wakes, these times are
the same; order is kept where the delay falls (but on an `overtaking.OvertakingEnd`); a change of configuration applies
to what has not left yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from emulator.link.bounds import Bounds
from emulator.link.effects import Impairments
from emulator.link.item import Item, Log, Source
from emulator.link.packet import VIRTIO, pieces, wire_size
from emulator.link.stats import EndStats
from emulator.network import Effects

MEMORY_BYTES = 256 * 2**20  # what one end may hold, whatever its bounds say
COMMIT_S = 250e-6  # a packet that leaves within this time is let go when it is offered; orders come too late for it
MOST_FLYING = 1 << 16  # packets in flight up to which `commit` need not count bytes


class End:
    """One direction of a link. Times are scenario seconds; `wake_s` belongs to the relay (its entry in the heap).

    The packet at the head of `waiting` sits in the transmitter and is apart from the queue's bounds; `left` of its
    bytes are still to be sent at `since_s`.
    """

    overtaking = False  # whether a later packet may arrive first, so that any offer may bring the next arrival forward
    # fmt: off
    __slots__ = (
        "_bounds", "_commits", "_head_drop", "_hold_when_down", "_impair", "_ip", "_source", "asked_delay_sum_s",
        "base_s", "chain", "commit_s", "delivered_bytes", "delivered_packets", "departs_s", "dropped_bytes", "drops",
        "flying", "held", "idle_s", "keeps", "last_s", "late_max_s", "late_sum_s", "left", "log", "loss", "mark",
        "number", "overrides", "pace", "peer", "per_packet", "plain", "queue_pace", "random", "running", "sent_bytes",
        "sent_packets", "since_s", "slope", "stop_s", "toll", "waiting", "waiting_bytes", "wake_s",
    )
    # fmt: on

    def __init__(
        self,
        source: Source,
        effects: Effects | None = None,
        impair: Callable[[], Impairments] | None = None,
        number: int = 0,
        ip: int = VIRTIO,
    ) -> None:
        effects = effects or Effects()
        self.number = number
        self.mark = number << 8
        self._source = source
        self._impair = impair or (lambda: Impairments(effects, 0, str(number), ip))
        self._ip = ip
        self._bounds = Bounds.of(effects)
        # a queue bounded by time alone, and much longer than COMMIT_S, cannot be full for a packet that leaves at once
        self._commits = self._bounds is None or self._bounds.seconds_only(10 * COMMIT_S)
        self._head_drop = effects.head_drop
        self._hold_when_down = effects.hold_when_down
        self.per_packet = effects.per_packet
        self.chain = self._impair() if effects.per_packet else None
        self.overrides: dict[str, float | bool] = {}
        self.held = False
        self.log: Log | None = None  # of who captures
        self.waiting: deque[Item] = deque()
        self.waiting_bytes = 0  # without the head
        self.flying: deque[Item] = deque()
        self.left = self.since_s = 0.0  # the head: bytes still to send, counted at this time
        self.departs_s = inf  # when the head leaves, if the values of now last
        self.idle_s = self.last_s = -inf  # last departure, last arrival
        self.wake_s = inf
        self.drops = [0] * len(EndStats)
        self.sent_packets = self.sent_bytes = self.delivered_packets = self.delivered_bytes = self.dropped_bytes = 0
        self.asked_delay_sum_s = self.late_sum_s = self.late_max_s = 0.0
        self.queue_pace = inf
        self.stop_s = -inf  # the first offer loads
        self.peer = -1
        self.base_s = self.slope = self.pace = self.loss = 0.0
        self.running = self.keeps = self.plain = self.random = False
        self.toll = 0
        self.commit_s = -1.0  # COMMIT_S where `commit` may be used

    def commit(self, t: float, data: bytes, size: int, dest: int, hops: int) -> bool:
        """Let one packet leave at once where it can within COMMIT_S; False: nothing was done, `offer` it.

        The way of most packets through most hops, so it is kept short.
        """
        idle = self.idle_s
        departs = (t if t > idle else idle) + size * self.pace
        if departs - t > self.commit_s or departs >= self.stop_s or self.waiting or len(self.flying) > MOST_FLYING:
            return False
        delay = self.base_s + self.slope * departs
        arrival = departs + delay
        if arrival < self.last_s:
            arrival = self.last_s
        self.flying.append((arrival, data, size, dest, hops - self.toll, self.peer))
        self.last_s, self.idle_s = arrival, departs
        self.sent_packets += 1
        self.sent_bytes += size
        self.asked_delay_sum_s += delay
        log = self.log
        if log is not None:
            log.rows.append((departs, data))
            log.marks.append(self.mark)
        return True

    def offer(self, items: list[Item]) -> None:
        """Take packets in the order given; their times may not fall. Never raises, counts what it drops."""
        first, data, size, dest, hops, _ = items[0]
        if len(items) == 1 and self.commit(first, data, size, dest, hops):
            return
        if first >= self.stop_s or first >= self.departs_s:
            self.advance(first)
        if self.random and any(item[1][1] for item in items):
            ip = self._ip  # random effects look at single packets
            cut = [(item, piece) for item in items for piece in pieces(item[1], ip)]
            items = [(item[0], piece, wire_size(piece, ip), *item[3:]) for item, piece in cut]
        count = len(items)
        size = items[0][2] if count == 1 else sum([item[2] for item in items])
        self.sent_packets += count
        self.sent_bytes += size
        if self.sent_bytes - self.delivered_bytes - self.dropped_bytes > MEMORY_BYTES:
            for item in items:
                self._drop(EndStats.DROP_OVERLOAD, item, item[0])
        elif not self.plain or items[-1][0] >= self.stop_s:
            self._admit(items)
        elif self.pace == 0.0 and not self.waiting and self.last_s <= first + self.base_s + self.slope * first:
            base, slope, toll, peer = self.base_s, self.slope, self.toll, self.peer
            flown = [
                (t + (base + slope * t), data, size, dest, hops - toll, peer) for t, data, size, dest, hops, _ in items
            ]
            self.flying.extend(flown)
            self.last_s = flown[-1][0]
            if self.log is not None:
                self.log.rows.extend(items)
                self.log.marks.extend([self.mark] * count)
            self.idle_s = items[-1][0]
            self.asked_delay_sum_s += (base + slope * first) * count
        elif self._bounds is not None and not self._bounds.admit(
            self.waiting_bytes + size, len(self.waiting) + count, self._wait_s(first) + size * self.queue_pace
        ):  # they might not fit if none leaves meanwhile: look at each
            self._admit(items)
        elif self.waiting:
            self.waiting.extend(items)
            self.waiting_bytes += size
        else:
            self.waiting.extend(items)
            self.waiting_bytes = size - items[0][2]
            self._start(first if first > self.idle_s else self.idle_s)

    def _admit(self, items: list[Item]) -> None:
        """Take packets one by one, each at its time: where bounds, outages or effects may treat them differently."""
        waiting = self.waiting
        for item in items:
            t = item[0]
            if t >= self.departs_s or t >= self.stop_s:
                self.advance(t)
            if not self.keeps:
                self._drop(EndStats.DROP_OUTAGE, item, t)
            elif not waiting:
                waiting.append(item)
                self._start(t if t > self.idle_s else self.idle_s)
            elif self._bounds is None or self._has_room(item):
                waiting.append(item)
                self.waiting_bytes += item[2]

    def _has_room(self, item: Item) -> bool:
        """Whether the queue takes the packet, after head drops where asked; a refused packet has been counted."""
        assert self._bounds is not None
        while not self._bounds.admit(self.waiting_bytes + item[2], len(self.waiting), self._wait_s(item[0])):
            if not self._head_drop or len(self.waiting) < 2:
                self._drop(EndStats.DROP_QUEUE, item, item[0])
                return False
            oldest = self.waiting[1]
            del self.waiting[1]
            self.waiting_bytes -= oldest[2]
            self._drop(EndStats.DROP_QUEUE, oldest, item[0])
        return True

    def _wait_s(self, t: float) -> float:
        """How long a packet that joins the queue at t waits until its transmission starts, at the present rate."""
        if not self.waiting:
            return 0.0
        head_s = self.left * self.queue_pace - (t - self.since_s if self.running else 0.0)
        return max(head_s, 0.0) + self.waiting_bytes * self.queue_pace

    def due(self, now: float) -> list[Item]:
        """Packets that have arrived at the far end by `now`, in order; their time is the asked time of arrival."""
        if self.waiting and (now >= self.departs_s or now >= self.stop_s):
            self.advance(now)
        flying = self.flying
        if not flying or flying[0][0] > now:
            return []
        if flying[-1][0] <= now:
            items = list(flying)
            flying.clear()
        else:
            items = []
            while flying[0][0] <= now:
                items.append(flying.popleft())
        self.delivered_packets += len(items)
        self.delivered_bytes += items[0][2] if len(items) == 1 else sum([item[2] for item in items])
        return items

    def next_s(self) -> float:
        """When to call `due` next: never later than the next arrival; inf where nothing is inside."""
        if self.flying:
            return self.flying[0][0]
        if not self.waiting:
            return inf
        departs = self.departs_s
        if departs >= self.stop_s:
            return self.stop_s
        return max(departs + self.base_s + self.slope * departs, self.last_s)

    def advance(self, now: float) -> None:
        """Let leave what has logically left by `now`, and bring the schedule to `now`."""
        while True:
            if self.waiting and self.departs_s <= now and self.departs_s < self.stop_s:
                self._serve(now)
            if now < self.stop_s:
                return
            if self.waiting:
                at = self.stop_s
                self._account(at)
                self._load(at)
            else:
                self._load(now)

    def _serve(self, now: float) -> None:
        """Departures up to `now` within the segment that holds."""
        waiting, flying, stop, pace = self.waiting, self.flying, self.stop_s, self.pace
        base, slope, toll, peer, last = self.base_s, self.slope, self.toll, self.peer, self.last_s
        simple, log = not self.random, self.log
        departs, queued, asked = self.departs_s, self.waiting_bytes, 0.0
        while True:
            _, data, size, dest, hops, _ = waiting.popleft()
            if simple:
                delay = base + slope * departs
                asked += delay
                arrival = departs + delay
                if arrival < last:
                    arrival = last
                flying.append((arrival, data, size, dest, hops - toll, peer))
                last = arrival
                if log is not None:
                    log.rows.append((departs, data))
                    log.marks.append(self.mark)
            else:
                self._launch(data, size, dest, hops, departs)
            since = departs
            if not waiting:
                self.departs_s = inf
                break
            head = waiting[0]
            size = head[2]
            queued -= size
            begin = head[0] if head[0] > since else since
            departs = begin + size * pace
            if departs > now or departs >= stop:
                self.left, self.since_s, self.departs_s = float(size), begin, departs
                break
        if simple:
            self.last_s = last
            self.asked_delay_sum_s += asked
        self.idle_s = since
        self.waiting_bytes = queued

    def _launch(self, data: bytes, size: int, dest: int, hops: int, departs: float) -> None:
        """One departure with effects: the copies that survive go into flight."""
        delay = self.base_s + self.slope * departs
        copies = self.chain.copies(data, self.loss) if self.chain is not None else [(data, 0.0)]
        if not copies:
            self._drop(EndStats.DROP_LOSS, (departs, data, size, dest, hops, -1), departs)
        self.dropped_bytes -= size * (len(copies) - 1) if len(copies) > 1 else 0  # a copy is more inside than was sent
        for copy, jitter in copies:
            self.asked_delay_sum_s += delay + jitter
            self._fly((departs + delay + jitter, copy, size, dest, hops - self.toll, self.peer))
            if self.log is not None:
                self.log.rows.append((departs, copy))
                self.log.marks.append(self.mark)

    def _fly(self, item: Item) -> None:
        """Put a packet among those in flight, behind them all."""
        if item[0] < self.last_s:
            item = (self.last_s, *item[1:])
        self.flying.append(item)
        self.last_s = item[0]

    def _drop(self, cause: EndStats, item: Item, t: float) -> None:
        self.drops[cause] += 1
        self.dropped_bytes += item[2]
        if self.log is not None:
            self.log.rows.append((t, item[1]))
            self.log.marks.append(self.mark | cause)

    def lose(self, cause: EndStats, item: Item) -> None:
        """Count a packet that `due` gave out as dropped after all: the far node or its port did not take it."""
        self.delivered_packets -= 1
        self.delivered_bytes -= item[2]
        self._drop(cause, item, item[0])

    def _start(self, begin: float) -> None:
        """The head enters the transmitter."""
        self.left = float(self.waiting[0][2])
        self.since_s = begin
        self.departs_s = begin + self.left * self.pace if self.running else inf

    def _account(self, t: float) -> None:
        """Take off the head what was sent of it until `t`."""
        if self.waiting and t > self.since_s:
            if self.running:
                self.left = max(0.0, self.left - (t - self.since_s) / self.pace) if self.pace else 0.0
            self.since_s = t

    def _load(self, t: float) -> None:
        """Bring in the values that hold at `t`, with overrides on top, and what they mean to the packets waiting."""
        segment, self.peer, self.stop_s, self.toll = self._source(t)
        overrides = self.overrides
        rate = overrides.get("rate_bps", segment.rate_bps)
        up = bool(overrides.get("up", segment.up)) and self.peer >= 0
        self.loss = overrides.get("loss", segment.loss)
        self.slope, self.base_s = 0.0, segment.delay_start_s
        if "delay_s" in overrides:
            self.base_s = overrides["delay_s"]
        elif segment.delay_end_s != segment.delay_start_s:
            self.slope = (segment.delay_end_s - segment.delay_start_s) / (segment.stop_s - segment.start_s)
            self.base_s -= self.slope * segment.start_s
        self.pace = 8.0 / rate if rate > 0.0 else inf
        if rate > 0.0:
            self.queue_pace = self.pace
        self.running = up and not self.held and rate > 0.0
        self.keeps = up or self.held or self._hold_when_down
        if self.loss > 0.0 and self.chain is None:
            self.chain = self._impair()
        self.random = self.per_packet or self.loss > 0.0
        self.plain = self.running and not self.random and self.slope > -1.0
        self.commit_s = COMMIT_S if self.plain and self._commits else -1.0
        if not self.waiting:
            self.departs_s = inf
        elif not self.keeps:
            for item in self.waiting:
                self._drop(EndStats.DROP_OUTAGE, item, t)
            self.waiting.clear()
            self.waiting_bytes = 0
            self.departs_s = inf
        else:
            self.departs_s = self.since_s + self.left * self.pace if self.running else inf

    def _catch_up(self, now: float) -> None:
        """Before a change at `now`: what has left keeps its times, and the head what was sent of it."""
        if self.waiting:
            self.advance(now)
            self._account(now)

    def reload(self, now: float) -> None:
        """Apply a change of `held`, `overrides`, `log` or the schedule itself to what has not left by `now`."""
        self._catch_up(now)
        if self.waiting:
            self._load(now)
        else:
            self.stop_s = -inf  # the next packet loads

    def set(self, now: float, **values: float | bool | None) -> None:
        """Override `up`, `rate_bps`, `delay_s` or `loss` from `now` on; None goes back to the schedule."""
        self.advance(now)
        merged = self.overrides | values
        self.overrides = {name: value for name, value in merged.items() if value is not None}
        self.reload(now)

    def hold(self, now: float, held: bool) -> None:
        """Keep every packet that has not left in the queue, or let them go again."""
        self._catch_up(now)
        self.held = held
        self.reload(now)

    @property
    def inside(self) -> int:
        return len(self.waiting) + len(self.flying)

    def stats(self) -> list[float]:
        """The counters, indexed by EndStats."""
        counts = [self.sent_packets, self.sent_bytes, self.delivered_packets, self.delivered_bytes]
        values: list[float] = [*counts, *self.drops[len(counts) :]]
        copies = (self.chain.duplicated, self.chain.corrupted) if self.chain else (0, 0)
        values[EndStats.ASKED_DELAY_SUM_S :] = [self.asked_delay_sum_s, self.late_sum_s, self.late_max_s, *copies]
        return values
