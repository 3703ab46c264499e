"""A network split over hosts: an engine for each, and trunks in memory on which datagrams are lost, doubled, overtaken.

Invariant: time goes on in windows shorter than the least delay between hosts, and between two windows everything that
the trunks carry arrives; so what the engines do may not depend on the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nextafter
from typing import Any

import numpy as np
from networks import STEP_S, STEPS, Case, arrivals, heard, in_order, ip_offsets, listen, ring_of
from scripts import Dice, Step

from emulator.link.engine.engine import Delivery, Engine
from emulator.link.engine.tables import memory_ports
from emulator.link.trunks import Hosts, trunk
from emulator.model.network import Ints

SECRET = b"of this test"
PUMP_S = 2e-4  # between two looks at the trunks
PUMPS = 400
BEGINS_S = [step * STEP_S for step in range(STEPS)]


class HostsNetwork:
    """The engines of all hosts. `trouble`: how datagrams fare on the trunks; None: all arrive in order."""

    def __init__(self, made: Case, host_of_node: Ints, lanes: int = 1, trouble: Dice | None = None) -> None:
        network, hosts = made.network, int(host_of_node.max()) + 1
        self._ip, self._trouble, self._clock_s = ip_offsets(network), trouble, 0.0
        self.engines = []
        for own in range(hosts):
            ports = [port for port in memory_ports(network) if host_of_node[port.node] == own]
            trunks = {peer: trunk(SECRET, own, peer) for peer in range(hosts) if peer != own}
            engine = Engine(
                network, ports, ring_of(made), made.seed, lanes=lanes, hosts=Hosts(own, host_of_node, trunks),
                small_slots=1 << 14, large_slots=1 << 9, handover_bytes=1 << 20,
            )  # fmt: skip
            listen(engine)
            self.engines.append(engine)
        self._flying: dict[tuple[int, int], list[bytes]] = {
            (a, b): [] for a in range(hosts) for b in range(hosts) if a != b
        }

    def play(self, until_s: float, window_s: float) -> list[Delivery]:
        """Play all engines to `until_s`."""
        came: list[Delivery] = []
        while (next_s := min(engine.next_s() for engine in self.engines)) <= until_s:
            self._play(min(nextafter(next_s + window_s, -inf), until_s))
        self._play(until_s)
        for engine in self.engines:
            came += engine.take()
        return came

    def _play(self, until_s: float) -> None:
        for engine in self.engines:
            engine.play(until_s)
        self.settle(until_s)

    def settle(self, now_s: float) -> None:
        """Carry datagrams until every record has come."""
        self._clock_s = max(self._clock_s, now_s)
        for _ in range(PUMPS):
            self._clock_s += PUMP_S
            for sender, receiver in self._flying:
                self._send(sender, receiver)
                self._arrive(sender, receiver)
            if self._all_there():
                for sender, receiver in self._flying:  # probes that were on the way until the next window would
                    self._arrive(sender, receiver, every=True)  # tell of a long way
                return
        raise AssertionError("a trunk does not come to an end")

    def _all_there(self) -> bool:
        return all(
            self.engines[a].trunk_report(b).records_sent == self.engines[b].trunk_report(a).records_received
            for a, b in self._flying
        )

    def _send(self, sender: int, receiver: int) -> None:
        flying, dice = self._flying[sender, receiver], self._trouble
        while datagram := self.engines[sender].pull(receiver, self._clock_s):
            copies = 1 if dice is None else dice.choice([0, 1, 1, 1, 1, 2])
            flying += [datagram] * copies
        if dice is not None and dice.chance(0.3):
            dice.shuffle(flying)

    def _arrive(self, sender: int, receiver: int, every: bool = False) -> None:
        flying, dice = self._flying[sender, receiver], self._trouble
        stay = 0 if every or dice is None or not dice.chance(0.3) else dice.randint(0, len(flying))
        for datagram in flying[: len(flying) - stay]:
            self.engines[receiver].push(sender, self._clock_s, datagram)
        del flying[: len(flying) - stay]

    def tell(self, steps: Sequence[Step], until_s: float, window_s: float) -> dict[str, Any]:
        """Play a script, as `EngineNetwork.tell` does. Packets enter when everything before them has happened, but for
        one that is offered at the begin of a step: queues that change hosts then have not come yet."""
        came = []
        begins_s, begin_s = [t_s for t_s in BEGINS_S if t_s <= until_s], -inf
        for step in (*steps, Step("due", until_s, (0, None))):
            while begins_s and begins_s[0] <= step.t_s:
                came += self.play(nextafter(begins_s[0], -inf), window_s)
                begin_s = begins_s.pop(0)
                for engine in self.engines:
                    engine.play(begin_s)
                if step.kind != "offer" or begin_s != step.t_s:
                    self.settle(begin_s)
            if step.kind != "offer" or begin_s != step.t_s:
                came += self.play(step.t_s, window_s)
            end, what = step.what
            if step.kind == "offer":
                t_s, data, size, dest, hops, _ = what
                assert sum(engine.offer(end, t_s, data, size, dest, hops) for engine in self.engines) == 1
                self.settle(step.t_s)
            elif step.kind == "set":
                for engine in self.engines:
                    engine.set(end, step.t_s, **what)
            elif step.kind == "hold":
                for engine in self.engines:
                    engine.hold(end, step.t_s, what)
        for engine in self.engines:
            for end in range(engine.ends):
                engine.tap_ends(end, 1, until_s)
        assert not any(engine.report(lane).late_queues for engine in self.engines for lane in range(engine.lanes))
        log = [entry for engine in self.engines for entry in heard(engine, self._ip)]
        counters = np.sum([engine.all_stats() for engine in self.engines], axis=0).tolist()
        return {"came": arrivals(came, self._ip), "log": in_order(log), "counters": counters}
