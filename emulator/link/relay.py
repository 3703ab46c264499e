"""The relay: one process, one thread, one loop that moves packets between ports over link ends.

A turn gives out what has come due, then reads what the ports hold, then sleeps until the next of either. Invariant: a
packet's time between its ports is the asked one, hop after hop; real time enters where a packet is read and shows
as lateness where it is written.
"""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import groupby
from math import inf, nextafter
from operator import itemgetter
from select import EPOLLIN
from typing import Any, Protocol

from emulator.link.capture import Tees
from emulator.link.carrier import Carriers
from emulator.link.control import Control
from emulator.link.effects import Impairments
from emulator.link.end import End
from emulator.link.item import Item
from emulator.link.overtaking import end_for
from emulator.link.packet import ETHERNET, VIRTIO, destination, hop_limit, is_group, wire_size, with_hop_limit
from emulator.link.port import TunPort
from emulator.link.refusals import Refusals
from emulator.link.rows import Rows
from emulator.link.self_watch import SelfWatch, be_urgent
from emulator.link.sleep import Sleeper
from emulator.link.stats import EndStats
from emulator.link.wait import Waiter
from emulator.network import Network
from emulator.schedule.ring import RowRing

BATCH = 64  # packets that one port may bring in one turn
REPORT_S = 0.025  # between two reports, each of which tells of a fortieth of the link ends: all at once takes 10 ms
SLICES = 40
WATCH_EVERY = 10  # reports of which one also tells what the relay knows about itself


class Port(Protocol):
    """What the fabric hands over for each port."""

    node: int
    end: int
    name: str
    fd: int
    ethernet: bool


class Relay:
    """Moves the packets of `network` between `ports`. `ring` holds the rows of its timeline (None: there is none)."""

    def __init__(
        self, network: Network, ports: Iterable[Port], ring: RowRing | None, seed: int, control: socket.socket
    ) -> None:
        self._network = network
        self._seed = seed
        self._ends: list[End | None] = [None] * (2 * len(network.links))
        self._rows = Rows(network, ring)
        self._live = [node.live for node in network.nodes]
        self._index: dict[bytes, int] = {}
        for index, node in enumerate(network.live):
            for family, text in (
                (socket.AF_INET, network.nodes[node].ipv4),
                (socket.AF_INET6, network.nodes[node].ipv6),
            ):
                if text:
                    self._index[socket.inet_pton(family, text)] = index
        self._ports: dict[int, TunPort] = {}
        self._port_of_end: dict[int, TunPort] = {}
        self._shared: dict[int, TunPort] = {}
        for given in ports:
            port = TunPort(given.fd, given.node, given.end, given.ethernet)
            self._ports[given.fd] = port
            if given.end >= 0:
                self._port_of_end[given.end] = port
            else:
                self._shared[given.node] = port
        self._receivers: list[TunPort | None] = [None] * len(self._ends)  # where the far end is always the same port
        for number in range(len(self._ends)):
            link = network.links[number // 2]
            if not link.moving or number % 2:
                self._receivers[number] = self._port_of_end.get(number ^ 1)
        stations = {link.a for link in network.links if link.moving}
        lively = any(number not in stations for number in network.live)  # a moving link may lead to one of these
        # Deliveries at transit nodes have a heap of their own: their next link's delay hides a little lateness, so
        # they are played in batches (`_rows.slack_s`); what goes to a port is played to the microsecond.
        self._onward = [
            receiver is None
            and (not network.links[number // 2].moving or not lively)
            and not network.end_spec(number).effects.overtaking
            for number, receiver in enumerate(self._receivers)
        ]
        self._heap: list[tuple[float, int]] = []
        self._transit: list[tuple[float, int]] = []
        self._active: set[int] = set()  # ends that did something since the last report
        self._refusals = Refusals(network, self._rows, self._index, self._offer)
        self._unrouted: dict[int, int] = {}
        self._self_watch = SelfWatch()
        self._t0 = 0.0
        self._stats_at = 0.0
        self._reports = 0
        self.end_count = len(self._ends)
        self._control = Control(control, self)
        self.tees = Tees()
        self.stopped = False
        self._waiter = Waiter()
        self._sleeper = Sleeper(self._waiter, self._self_watch, self.now, WATCH_EVERY * REPORT_S)
        self.carriers = Carriers(network, self._port_of_end, self._overrides, self._control.tell, self.now)

    # --- the loop ---

    def run(self) -> None:
        """Move packets from the `start` message until `stop`, or until the control socket closes."""
        gc.collect()
        gc.freeze()
        gc.disable()  # the loop makes no cycles; a collection would stop every packet for milliseconds
        be_urgent()
        self.carriers.begin()
        self._waiter.add(self._control.fileno())
        try:
            self._loop()
        finally:
            self.carriers.close()
            self._report(final=True)
            self.tees.close(patience_s=0.5)
            gc.enable()
            self._waiter.close()

    def start(self, t0_ns: int) -> None:
        """Play begins at this CLOCK_MONOTONIC reading; from now on packets are read."""
        self._t0 = t0_ns * 1e-9
        for fd in self._ports:
            self._waiter.add(fd)
        self.carriers.tell_initial()
        self._stats_at = self.now() + REPORT_S
        self._self_watch.begin(self.now())

    def now(self) -> float:
        """Scenario time; the second before 0 until the start is known."""
        return time.monotonic() - self._t0 if self._t0 else -1.0

    def _loop(self) -> None:
        while not self._t0 and not self.stopped:
            self._waiter.wait(1.0)
            if self._waiter.poll():
                self._control.receive()
        monotonic, t0, heap, waiter, control = (
            time.monotonic,
            self._t0,
            self._heap,
            self._waiter,
            self._control.fileno(),
        )
        transit, rows, watch, carriers = self._transit, self._rows, self._self_watch, self.carriers
        tees, captured = self.tees, self.tees.log.rows
        while not self.stopped:
            now = monotonic() - t0
            if now >= carriers.next_s:
                carriers.play(now)
            if transit and (transit[0][0] + rows.slack_s <= now or now >= rows.stop_s):
                self._play_transit(now)
            if heap and heap[0][0] <= now:
                self._play(now)
            events = waiter.poll()
            if (control, EPOLLIN) in events:  # first: an order holds for every packet that was sent after it
                self._control.receive()
            for fd, kinds in events:
                if fd == control:
                    if kinds != EPOLLIN:
                        self._control.receive()  # the socket was closed
                else:
                    self._read(self._ports[fd], monotonic() - t0)
            after = monotonic() - t0
            if after >= self._stats_at:
                self._report()
            if len(captured) >= tees.ask_at:
                tees.gather()
            if events:
                if after - now > watch.turn_max_s:
                    watch.turn_max_s = after - now
                continue
            tees.flush()
            self._sleep(after)

    def _sleep(self, now: float) -> None:
        """Sleep until the next thing to do; deliveries to ports are met to the microsecond."""
        until, exactly = min(self._stats_at, self.carriers.next_s), False
        if self._transit:
            until = min(until, self._transit[0][0] + self._rows.slack_s)
        if self._heap and self._heap[0][0] < until:
            until, number = self._heap[0]
            exactly = self._receivers[number] is not None
        self._sleeper.sleep(now, until, exactly)

    def _play(self, now: float) -> None:
        """Give to ports what is due by `now`."""
        heap, ends = self._heap, self._ends
        if now >= self._rows.stop_s:
            self._rows.move(now)
        while heap and heap[0][0] <= now:
            at, number = heappop(heap)
            end = ends[number]
            if end is None or at != end.wake_s:
                continue  # a change of configuration moved this wake-up
            items = end.due(now)
            end.wake_s = wake = end.next_s()
            if wake < inf:
                heappush(heap, (wake, number))
            if items:
                self._deliver(end, items)

    def _play_transit(self, now: float) -> None:
        """Pass on what reached transit nodes by `now`, with the routes of the step in which each packet did."""
        heap, ends, rows = self._transit, self._ends, self._rows
        while heap and heap[0][0] <= now:
            if heap[0][0] >= rows.stop_s:
                rows.move(heap[0][0])
            horizon = now if now < rows.stop_s else nextafter(rows.stop_s, -inf)
            table, width = rows.table, rows.width
            while heap and heap[0][0] <= horizon:
                at, number = heappop(heap)
                end = ends[number]
                if end is None or at != end.wake_s:
                    continue
                flying = end.flying
                if end.waiting:
                    end.advance(horizon)
                while flying and flying[0][0] <= horizon:
                    item = flying.popleft()
                    t, data, size, dest, hops, node = item
                    end.delivered_packets += 1
                    end.delivered_bytes += size
                    onward = table[dest * width + node] if dest >= 0 and hops > 1 else -1
                    sender = ends[onward] if onward >= 0 else None
                    if sender is None or not sender.commit(t, data, size, dest, hops):
                        self._forward(end, [item])
                    elif sender.wake_s == inf:
                        self.schedule(sender)
                end.wake_s = wake = flying[0][0] if flying else end.next_s()
                if wake < inf:
                    heappush(heap, (wake, number))

    # --- packets ---

    def _read(self, port: TunPort, now: float) -> None:
        packets = port.receive(BATCH)
        if not packets:
            return
        ip = VIRTIO + ETHERNET if port.ethernet else VIRTIO
        items: list[Item] = [
            (now, data, len(data) - VIRTIO if not data[1] else wire_size(data, ip), -1, 0, -1) for data in packets
        ]
        if port.end >= 0:
            self._offer(port.end, items)
            return
        if now >= self._rows.stop_s:
            self._rows.move(now)
        for item in items:
            number, dest = self._downlink(port.node, item[1])
            if number >= 0:
                self._offer(number, [(now, item[1], item[2], dest, hop_limit(item[1]), -1)])
            elif not is_group(destination(item[1])):
                self._unrouted[port.node] = self._unrouted.get(port.node, 0) + 1

    def _downlink(self, node: int, data: bytes) -> tuple[int, int]:
        """End on which a live satellite's shared port sends a packet, and its destination index; -1 for none."""
        dest = self._index.get(destination(data), -1)
        return (self._rows.table[dest * self._rows.width + node] if dest >= 0 else -1), dest

    def _offer(self, number: int, items: list[Item]) -> None:
        end = self._ends[number]
        if end is None:
            end = self.end(number)
        end.offer(items)
        if end.wake_s == inf or end.overtaking:
            self.schedule(end)

    def _deliver(self, end: End, items: list[Item]) -> None:
        """Packets of one end that reached its far node: to its port there, or, on a moving link, to whoever serves."""
        port = self._receivers[end.number]
        if port is not None:
            self._write(end, port, items)
            return
        for node, run in groupby(items, itemgetter(5)):
            if self._live[node]:
                self._write(end, self._shared[node], list(run))
            else:
                self._forward(end, list(run))

    def _write(self, end: End, port: TunPort, items: list[Item]) -> None:
        if items[0][3] < 0 and items[-1][3] < 0:  # no transit node has touched them
            packets = [item[1] for item in items]
        else:
            packets = [data if dest < 0 else with_hop_limit(data, hops) for _, data, _, dest, hops, _ in items]
        refused = port.send(packets)
        late = time.monotonic() - self._t0 - items[0][0]  # of the first, which bounds the others
        count = len(items)
        end.late_sum_s += late * count
        if late > end.late_max_s:
            end.late_max_s = late
        self._self_watch.lateness.add(late, count)
        for place in refused:
            end.lose(EndStats.DROP_OVERLOAD, items[place])

    def _forward(self, end: End, items: list[Item]) -> None:
        """Packets at a transit node: one hop less to live, and on to the end that its routes name."""
        rows, last_dest, number, current = self._rows, -1, -1, -1
        run: list[Item] = []
        for item in items:
            dest = item[3]
            if dest < 0:
                t, data, size, _, _, node = item
                dest = self._index.get(destination(data), -1)
                item = (t, data, size, dest, hop_limit(data), node)
            if dest != last_dest:
                last_dest = dest
                number = rows.table[dest * rows.width + item[5]] if dest >= 0 else -1
            if number < 0 or item[4] <= 1:
                self._refusals.refuse(end, item)
                continue
            if number != current:
                if run:
                    self._offer(current, run)
                run, current = [], number
            run.append(item)
        if run:
            self._offer(current, run)

    # --- ends ---

    def end(self, number: int) -> End:
        """The link end of this number, made when it is first used."""
        end = self._ends[number]
        if end is None:
            effects = self._network.end_spec(number).effects
            ip = VIRTIO + ETHERNET if self._network.links[number // 2].ethernet else VIRTIO
            name = self._network.end_name(number)
            rows = self._rows
            end = self._ends[number] = end_for(effects)(
                lambda t: rows.source(number, t),
                effects,
                lambda: Impairments(effects, self._seed, name, ip),
                number,
                ip,
            )
        return end

    def _overrides(self, number: int) -> dict[str, float | bool]:
        """What orders of the control channel set on an end."""
        end = self._ends[number]
        return end.overrides if end is not None else {}

    def hurry(self) -> None:
        """Play transit nodes to the microsecond too: a delay set by hand may be shorter than what hides lateness."""
        self._rows.hurry()

    def schedule(self, end: End) -> None:
        """Enter the end's next delivery into the heap."""
        self._active.add(end.number)
        wake = end.next_s()
        if wake != end.wake_s:
            end.wake_s = wake
            if wake < inf:
                heappush(self._transit if self._onward[end.number] else self._heap, (wake, end.number))

    # --- reports ---

    def _report(self, final: bool = False) -> None:
        now = self.now()
        self.tees.collect()
        self._reports += 1
        due = self._reports % SLICES
        ends: dict[int, list[float]] = {}
        idle = []
        for number in [number for number in self._active if final or number % SLICES == due]:
            end = self._ends[number]
            assert end is not None
            ends[number] = end.stats()
            if end.wake_s == inf:
                idle.append(number)
        self._rows.look_ahead(ends, now)
        message: dict[str, Any] = {"op": "stats", "t_s": now}
        if final or self._reports % WATCH_EVERY == 0:
            message |= self._self_watch.report(now)
            message["late_rows"] = self._rows.late
            message["unrouted"] = dict(self._unrouted)
            message["captures_lost"] = self.tees.lost()
            message["untold"] = self._control.untold
            self._sleeper.renew()
        if (len(message) == 2 and not ends) or self._control.report(message, ends, final):
            self._active.difference_update(idle)
        self._stats_at = now + REPORT_S
