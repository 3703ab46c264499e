"""A network split over hosts whose trunks take time: an engine for each host, all played by one clock.

Unlike in `host_networks`, nothing waits for a trunk: datagrams take their time, are lost, doubled and overtaken, and
queues that change hosts come while packets are offered and orders given. Invariant: where no record came after it was
due and no queue too late, everything is as in one engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np
from host_networks import HostsNetwork
from networks import Case, arrivals, heard, in_order
from scripts import Dice, Step

from emulator.link.engine.engine import Delivery
from emulator.model.network import Ints

TICK_S = 2e-4  # between two looks at the trunks


class LatentHosts(HostsNetwork):
    """`latency_s`: least and most time that a datagram takes. `lost`, `doubled`: shares of all datagrams."""

    def __init__(
        self, made: Case, host_of_node: Ints, lanes: int, dice: Dice, latency_s: tuple[float, float],
        lost: float = 0.0, doubled: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(made, host_of_node, lanes)
        self._dice, self._latency_s, self._shares = dice, latency_s, (lost, doubled)
        self._under_way: list[tuple[float, int, int, int, bytes]] = []  # when it comes, a number, from, to
        self._numbers = count()

    def tell(self, steps: Sequence[Step], until_s: float, window_s: float = 0.0) -> dict[str, Any]:
        """Play a script, as `EngineNetwork.tell` does."""
        came: list[Delivery] = []
        now_s = 0.0
        for step in (*steps, Step("due", until_s, (0, None))):
            while now_s < step.t_s:
                now_s = min(now_s + TICK_S, step.t_s)
                self._play_at(now_s)
            for engine in self.engines:
                came += engine.take()
            end, what = step.what
            if step.kind == "offer":
                t_s, data, size, dest, hops, _ = what
                assert sum(engine.offer(end, t_s, data, size, dest, hops) for engine in self.engines) == 1
            elif step.kind == "set":
                for engine in self.engines:
                    engine.set(end, step.t_s, **what)
            elif step.kind == "hold":
                for engine in self.engines:
                    engine.hold(end, step.t_s, what)
        for engine in self.engines:
            for end in range(engine.ends):
                engine.tap_ends(end, 1, until_s)
        log = [entry for engine in self.engines for entry in heard(engine, self._ip)]
        counters = np.sum([engine.all_stats() for engine in self.engines], axis=0).tolist()
        return {"came": arrivals(came, self._ip), "log": in_order(log), "counters": counters}

    @property
    def late(self) -> int:
        """Records that came after they were due, datagrams that were given up, and queues that were not waited for."""
        reports = [self.engines[to].trunk_report(sender) for sender, to in self._flying]
        queues = sum(engine.report(lane).late_queues for engine in self.engines for lane in range(engine.lanes))
        return queues + sum(report.late + report.given_up for report in reports)

    def _play_at(self, now_s: float) -> None:
        while self._under_way and self._under_way[0][0] <= now_s:
            _, _, sender, to, datagram = heappop(self._under_way)
            self.engines[to].push(sender, now_s, datagram)
        for engine in self.engines:
            engine.play(now_s)
        for sender, to in self._flying:
            while datagram := self.engines[sender].pull(to, now_s):
                self._send(sender, to, now_s, datagram)

    def _send(self, sender: int, to: int, now_s: float, datagram: bytes) -> None:  # type: ignore[override]
        lost, doubled = self._shares
        for _ in range(0 if self._dice.chance(lost) else 2 if self._dice.chance(doubled) else 1):
            comes_s = now_s + self._dice.uniform(*self._latency_s)
            heappush(self._under_way, (comes_s, next(self._numbers), sender, to, datagram))
