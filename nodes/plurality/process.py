"""Agents: a process that hosts some agents of a plurality consensus behind one UDP socket.

Synchronous rounds begin at a barrier outside the emulated network; its tally of opinions also detects consensus, which
ends the run. With Poisson clocks the barrier only observes, four times a second.

Events: `round` (round, time, tally, and of all so far: samples, lost queries) by the first process; by all at the end
`agents`: totals, and of each round the trips, the first query and the end of the last update.

Invariant: every message between agents is a datagram, to agents of the same process too, so results do not depend on
how agents share processes; only those between processes count as messages over links.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict
from math import inf, isfinite

from emulator.model.errors import EmulationError
from emulator.sdk.node import Node, NodeContext
from nodes.plurality.config import AgentsConfig
from nodes.plurality.core import consensus, deal, rule_of
from nodes.plurality.host import Host, Out

BURST = 32  # datagrams sent before the socket is read again, so that the answers do not overflow it
OBSERVE_S = 0.25  # between two observations of an asynchronous run


class Agents(Node):
    """Process number i, on the node `prefix`i, hosts the agents i·agents_per_process and following."""

    protocol = "nodes.plurality.protocol:PROTOCOL"

    class Config(AgentsConfig):
        """The keys of `config`."""

    def __init__(self, config: AgentsConfig, context: NodeContext) -> None:
        super().__init__(config, context)
        self._outgoing: deque[Out] = deque()  # never more than the queries and replies that our agents owe
        self._sending = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = inf  # time for which it is set
        self._settled = asyncio.Event()  # no update is running
        self._sent = self._received = self._in_time = 0  # over links
        self._noted = (0, 0, 0)
        self._rounds: list[tuple[int, float, float]] = []

    async def setup(self) -> None:
        context, config = self.context, self.config
        agents, per = sum(config.counts), config.agents_per_process
        names = [f"{config.prefix}{number}" for number in range(-(-agents // per))]
        if context.name not in names:
            raise EmulationError(f"no agents for {context.name}: they live on {names[0]} to {names[-1]}")
        absent = [name for name in names if name != context.name and name not in context.peers]
        if absent:
            raise EmulationError(f"{len(absent)} nodes with agents are not in this run: {', '.join(absent[:5])}")
        self._number = names.index(context.name)
        self._hosts = [context.address.ipv4 if name == context.name else context.peers[name].ipv4 for name in names]
        kinds = len(config.counts)
        self._host = Host(
            rule_of(config.protocol, kinds, config.h, config.own),
            context.seed,
            range(self._number * per, min((self._number + 1) * per, agents)),
            deal(config.counts, context.seed),
            kinds,
            config.timeout_s,
            neighbours=config.neighbours or None,
            tick_s=config.interval_s if config.mode == "asynchronous" else 0.0,
        )
        self._socket = context.datagrams(config.port, self._arrived)
        context.exit_stack.callback(self._tell)

    async def run(self) -> None:
        if self.config.mode == "synchronous":
            await self._synchronous()
        else:
            await self._asynchronous()
        self._note(len(self._rounds))  # what others asked since the last one

    async def _synchronous(self) -> None:
        round, host = 0, self._host
        while not await self._meet(round, float(round)) and round < self.config.max_rounds:
            round += 1
            self._settled.clear()
            began_s = self.context.now()
            self._send(host.begin(round, began_s))
            self._arm()
            await self._settled.wait()
            self._rounds.append((host.trips, began_s, host.totals.ended_s))
            self._note(round)

    async def _asynchronous(self) -> None:
        """Run Poisson clocks until consensus is observed, and still holds after all running updates have ended."""
        context, config, host = self.context, self.config, self._host
        meeting = look = 0
        ended = await self._meet(meeting, 0.0)
        start_s = context.now()
        host.tick(start_s)
        while not ended and look * OBSERVE_S < config.max_rounds * config.interval_s:
            host.ticking = True
            self._arm()
            look += 1
            await context.sleep_until(start_s + look * OBSERVE_S)
            time = look * OBSERVE_S / config.interval_s
            self._note(int(time))
            meeting += 1
            if await self._meet(meeting, time):
                host.ticking = False
                if not host.done:
                    self._settled.clear()
                    await self._settled.wait()
                meeting += 1
                ended = await self._meet(meeting, time)
        host.ticking = False

    async def _meet(self, round: int, time: float) -> bool:
        """Exchange tallies of opinions at the barrier; returns whether there is consensus."""
        tally = {str(opinion): count for opinion, count in enumerate(self._host.tally()) if count}
        did = self._host.totals
        totals = await self.context.meet(round, {**tally, "samples": did.samples, "lost": did.lost})
        kinds = len(self.config.counts)
        seen = [totals.get(str(opinion), 0) for opinion in range(kinds + 1)]
        if self._number == 0:
            costs = {name: totals.get(name, 0) for name in ("samples", "lost")}
            self.context.emit("round", round=round, time=time, tally=seen, **costs)
        return consensus(seen, kinds) is not None

    def _note(self, round: int) -> None:
        now = (self._sent, self._received, self._in_time)
        sent, received, in_time = (total - before for total, before in zip(now, self._noted, strict=True))
        self.context.note_round(round, sent=sent, received=received, in_slot=in_time)
        self._noted = now

    def _arrived(self, data: bytes, address: tuple[str, int], t_s: float) -> None:
        in_time, out = self._host.receive(data, t_s, self.context.now())
        if address[0] != self._hosts[self._number]:
            self._received += 1
            self._in_time += in_time
        self._send(out)
        self._look()

    def _send(self, out: list[Out]) -> None:
        self._outgoing.extend(out)
        if self._outgoing and not self._sending:
            self._burst()

    def _burst(self) -> None:
        per, port = self.config.agents_per_process, self.config.port
        for _ in range(min(BURST, len(self._outgoing))):
            agent, data = self._outgoing.popleft()
            number = agent // per
            self._socket.send(data, self._hosts[number], port)
            self._sent += number != self._number
        self._sending = bool(self._outgoing)
        if self._sending:
            asyncio.get_running_loop().call_soon(self._burst)

    def _look(self) -> None:
        if self._host.done:
            self._settled.set()
        self._arm()

    def _arm(self) -> None:
        """Set the timer of `_wake` to the host's next deadline, which may be earlier than before."""
        due_s = self._host.next_s()
        if due_s >= self._armed_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_s = due_s
        wait_s = max(0.001, due_s - self.context.now())
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._armed_s = inf
        self._socket.take()  # first process answers that have arrived, so that they do not count as lost
        self._send(self._host.wake(self.context.now()))
        self._look()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self) -> None:
        """Record the counts of this process, if it was set up."""
        links = {"sent": self._sent, "received": self._received, "in_time": self._in_time}
        self.context.emit("agents", rounds=self._rounds, **links, **self._totals())

    def _totals(self) -> dict[str, float | None]:
        totals = asdict(self._host.totals)
        return {key: value if isfinite(value) else None for key, value in totals.items()}
