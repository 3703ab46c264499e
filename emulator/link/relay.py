"""The relay process: the packet engine between ports, and around it the tasks that may be slower.

The engine's lanes move packets in their own threads, without the interpreter. The main thread receives orders, sends
reports, writes captures and tracks carriers, whose interfaces another thread changes (`carrier.py`). Invariant: an
order is in force for every packet that was sent after it: while an order is in the control socket or on its way to the
engine, the engine reads no port.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from math import inf

import numpy as np

from emulator.link.carrier import Carriers
from emulator.link.control import Control
from emulator.link.engine.engine import Engine, new_order
from emulator.link.engine.structures import EngineOrder, OrderKind
from emulator.link.engine.tables import Port
from emulator.link.health import Health, be_urgent, step_back
from emulator.link.taps import Captures
from emulator.link.trunks import Hosts
from emulator.link.wait import Waiter
from emulator.model import clock
from emulator.model.network import Network
from emulator.schedule.ring import RowRing

REPORT_S = 0.025  # between two reports, each of which covers a fortieth of the link ends
SLICES = 40
CATCH_UP_S = 0.1  # reports that were late by less are caught up, so that every end is reported once a second
HEALTH_EVERY = 10  # each tenth report includes the health of the relay
CAPTURE_S = 0.005  # between two writes of captured packets
EARLY_S, PROBES_S = 0.01, 0.1  # before the start: between two looks at trunks, and between reports of them
BEFORE_PLAY_S = -1.0  # scenario time until the start is known


class Relay:
    """Moves the packets of `network` between `ports`. `ring` holds the rows of its timeline; None without one. Where
    the network is split over `hosts`, it moves those of one host's nodes, whose ports these are."""

    def __init__(
        self,
        network: Network,
        ports: Iterable[Port],
        ring: RowRing | None,
        seed: int,
        control: socket.socket,
        *,
        threads: int = 1,
        realtime: bool = False,
        hosts: Hosts | None = None,
    ) -> None:
        port_list = list(ports)
        self.engine = Engine(network, port_list, ring, seed, lanes=threads, hosts=hosts)
        self.end_count = self.engine.ends
        self.overrides: dict[int, dict[str, float | bool]] = {}
        self.stopped = False
        self.captures = Captures(self.engine)
        self._realtime = realtime
        self._control = Control(control, self)
        self._health = Health(self.engine)
        self._reported = np.zeros((self.engine.ends, 0))  # counters as reported last
        self._reported_s = [0.0] * SLICES  # when each slice of the ends was reported last
        self._t0_ns = 0
        self._lanes: list[threading.Thread] = []
        self._failure: BaseException | None = None
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()  # calls to make when an order is in force
        self._report_at_s = inf
        self._trunk_fds = tuple(trunk.fd for trunk in hosts.trunks.values()) if hosts is not None else ()
        self._probes_at_s = 0.0
        self._reports = 0
        self._waiter = Waiter()
        self._ports = port_list
        by_end = {port.end: _Descriptor(port.fd) for port in port_list if port.end >= 0}
        self.carriers = Carriers(network, by_end, self._overrides, self._control.tell, self.now, rows=ring)

    def run(self) -> None:
        """Move packets from the `start` message until `stop`, or until the control socket closes."""
        for port in self._ports:
            os.set_blocking(port.fd, False)
        be_urgent()
        self.carriers.begin()
        self._waiter.add(self._control.fileno())
        self._waiter.add(self.engine.order_fd)
        for fd in self._trunk_fds:
            self._waiter.add(fd)
        try:
            while not self.stopped:
                self._turn()
        finally:
            self._stop_lanes()
            self.carriers.close()
            self.captures.close(patience_s=0.5)
            self._report(final=True)
            self._waiter.close()
            self.engine.close()
        if self._failure is not None:
            raise self._failure

    def start(self, t0_ns: int) -> None:
        """Scenario time 0 is this reading of the run's monotonic clock; packets are read from now on."""
        if self._lanes:
            raise ValueError("play has begun already")
        self._t0_ns = t0_ns
        if (page := clock.shared()) is not None:  # not before: probes wait for times, and first lines may step
            self.engine.share_clock(page)
        for fd in self._trunk_fds:
            self._waiter.remove(fd)
        self._trunk_fds = ()  # they are the lanes' from now on
        gate = self._control.fileno()
        for lane in range(self.engine.lanes):
            thread = threading.Thread(target=self._play, args=(lane, gate), name=f"lane {lane}", daemon=True)
            self._lanes.append(thread)
            thread.start()
        step_back()  # the lanes have priority over this thread
        self.carriers.tell_initial()
        self._report_at_s = self.now() + REPORT_S
        self._health.begin(self.now())

    def now(self) -> float:
        """Scenario time."""
        return (clock.monotonic_ns() - self._t0_ns) * 1e-9 if self._t0_ns else BEFORE_PLAY_S

    def _play(self, lane: int, gate: int) -> None:
        try:
            self.engine.run(lane, self._t0_ns, gate, self._realtime)
        except BaseException as error:
            self._failure, self.stopped = error, True

    def _turn(self) -> None:
        """Wait for the next event or deadline and process it, orders first."""
        now = self.now()
        until = min(self._report_at_s, self.carriers.next_s, now + (CAPTURE_S if self.captures else 1.0))
        if self._trunk_fds:
            until = min(until, now + EARLY_S)
        self._waiter.wait(until - now)
        for fd, _ in self._waiter.poll():
            if fd == self._control.fileno():
                self._receive_orders()
            elif fd == self.engine.order_fd:
                os.read(fd, 8)
        if self._trunk_fds:
            self._probe_clocks()
        self._answer()
        now = self.now()
        if now >= self.carriers.next_s:
            self.carriers.play(now)
        self.captures.pump()
        if now >= self._report_at_s:
            self._report()
            self._report_at_s = max(self._report_at_s + REPORT_S, now - CATCH_UP_S)

    def _probe_clocks(self) -> None:
        """Before the start: probe the clocks of the other hosts, and tell what came of it."""
        self.engine.attend()
        if time.monotonic() >= self._probes_at_s:
            self._probes_at_s = time.monotonic() + PROBES_S
            self._control.tell({"op": "trunks", "trunks": self._health.trunks()})

    def _receive_orders(self) -> None:
        self.engine.gate(True)
        try:
            self._control.receive()
        finally:
            self.engine.gate(False)

    # --- orders -------------------------------------------------------------------------------------------------------

    def order(self, orders: Iterable[EngineOrder]) -> int:
        """Pass orders to the engine; returns the number of the last one, for `afterwards`."""
        number = 0
        for order in orders:
            if not self._lanes:
                self.engine.obey(order, BEFORE_PLAY_S)
                continue
            while not (number := self.engine.send(order)) and not self.stopped:
                time.sleep(0)  # the engine takes orders out between two turns
        return number

    def afterwards(self, number: int, say: Callable[[], None]) -> None:
        """Call `say` when this order is in force in the engine, and carriers have followed."""
        self._waiting.append((number, say))

    def wait_for(self, number: int) -> None:
        """Return when this order is in force in the engine: within its turn, some microseconds."""
        while self._running() and self.engine.obeyed() < number:
            time.sleep(20e-6)

    def set(self, ends: list[int], values: Mapping[str, float | bool | None]) -> int:
        """Override values of link ends; None returns to the schedule. Returns the order's number."""
        for end in ends:
            merged = {**self.overrides.get(end, {}), **values}
            self.overrides[end] = {name: value for name, value in merged.items() if value is not None}
        number = self.order(new_order(OrderKind.SET, end, values=values) for end in ends)
        if "up" in values:
            self.carriers.look_again(ends, self.now())
        return number

    def tap(self, ends: Iterable[int]) -> int:
        """Send the engine the captures of these link ends. Returns the order's number."""
        return self.order(new_order(OrderKind.TAPS, end, taps=self.captures.mask(end)) for end in ends)

    def _overrides(self, end: int) -> Mapping[str, float | bool]:
        return self.overrides.get(end, {})

    def _running(self) -> bool:
        return any(lane.is_alive() for lane in self._lanes)

    def _answer(self) -> None:
        """Make the calls that waited for orders which are in force now."""
        obeyed = self.engine.obeyed() if self._running() else 2**62
        while self._waiting and self._waiting[0][0] <= obeyed:
            self.carriers.afterwards(self._waiting.popleft()[1])

    def _stop_lanes(self) -> None:
        if self._lanes:
            self.engine.send(EngineOrder(kind=OrderKind.STOP, end=-1))
            for lane in self._lanes:
                lane.join()
        self._answer()

    # --- reports ------------------------------------------------------------------------------------------------------

    def _report(self, final: bool = False) -> None:
        """Report the counters of the link ends whose turn it is and that have changed since their last report."""
        now = self.now()
        self._reports += 1
        first, every = (0, 1) if final else (self._reports % SLICES, SLICES)
        stats = self.engine.some_stats(first, every)
        if not self._reported.shape[1]:
            self._reported = np.zeros((self.engine.ends, stats.shape[1]))
        reported = self._reported[first::every]
        changed = np.flatnonzero((stats.any(axis=1)) if final else (stats != reported).any(axis=1))
        ends = dict(zip((first + every * changed).tolist(), stats[changed].tolist(), strict=True))
        message: dict[str, object] = {"op": "stats", "t_s": now}
        if final or self._reports % HEALTH_EVERY == 0:
            message |= self._health.report(now)
            unrouted = self.engine.unrouted
            message["unrouted"] = {int(node): int(unrouted[node]) for node in np.flatnonzero(unrouted)}
            message["captures_lost"] = self.captures.lost()
            message["untold"] = self._control.untold
            message["told_s"] = now if final else min(self._reported_s)
        if (len(message) == 2 and not ends) or self._control.report(message, ends, final):
            reported[:] = stats
            self._reported_s[first] = now


class _Descriptor:
    """A port's descriptor, as an object with `fileno`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd
