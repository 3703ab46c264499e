"""All agents of one process: their updates, their answers to others, and the processing of messages. No I/O.

Invariant: in synchronous rounds a query names a round, and the answer is the agent's opinion at that round's start,
never one adopted in it. A query for the next round may arrive before that round begins here: by then all updates here
have ended, so the opinion at the next round's start is known.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from nodes.plurality.core import Rule, Stream, Update
from nodes.plurality.wire import HEADERS_BYTES, Query, Reply, decode

Out = tuple[int, bytes]  # a datagram for the process of that agent


@dataclass(slots=True)
class Totals:
    """Counts of the agents of a process."""

    updates: int = 0
    samples: int = 0  # answers received
    messages: int = 0  # queries and replies sent, to agents of the same process too
    sent_bytes: int = 0  # of these, with IP and UDP headers
    lost: int = 0  # queries that timed out
    late: int = 0  # replies to queries that timed out, and queries of earlier rounds
    refused: int = 0  # datagrams that are no message of this protocol, or for no agent here
    missed: int = 0  # ticks of a Poisson clock during the update of the previous tick
    began_s: float = inf  # first query
    ended_s: float = -inf  # end of the last update


class Host:
    """Agents `agents` of 0 … len(opinions)-1. Methods return the datagrams to send."""

    def __init__(
        self,
        rule: Rule,
        seed: int,
        agents: range,
        opinions: Sequence[int],
        kinds: int,
        timeout_s: float,
        *,
        neighbours: Sequence[Sequence[int]] | None = None,
        tick_s: float = 0.0,
    ) -> None:
        """`opinions`: initial ones of all agents, each below `kinds`.

        `tick_s` > 0: asynchronous, mean time between two updates of an agent.
        """
        self._rule = rule
        self._seed = seed
        self._agents = agents
        self._count = len(opinions)
        self._kinds = kinds
        self._timeout_s = timeout_s
        self._near = {agent: neighbours[agent] for agent in agents} if neighbours is not None else {}
        self._tick_s = tick_s
        self._before = {agent: opinions[agent] for agent in agents}  # at the start of the round
        self._after = dict(self._before)
        self._updates: dict[int, Update] = {}  # running
        self._numbers: dict[int, int] = {}  # of the update under way (synchronous: the round), by agent
        self._open: OrderedDict[tuple[int, int, int], tuple[int, float, int]] = OrderedDict()
        self._asked = 0
        self._clocks: dict[int, Stream] = {}
        self._ticks: list[tuple[float, int]] = []
        self.ticking = False  # whether Poisson clocks begin updates
        self.round = 0
        self.trips = 0  # most consecutive round trips of an agent in this round
        self.totals = Totals()

    @property
    def done(self) -> bool:
        """Whether no update is running."""
        return not self._updates

    def tally(self) -> list[int]:
        """The number of agents of each opinion, after completed updates; the last entry counts the undecided."""
        counts = [0] * (self._kinds + 1)
        for opinion in self._after.values():
            counts[opinion] += 1
        return counts

    def begin(self, round: int, now_s: float) -> list[Out]:
        """Begin a synchronous round: all agents ask. Call after every agent of the run has ended the previous round."""
        self.round = round
        self.trips = 0
        self._before = dict(self._after)
        self.totals.began_s = min(self.totals.began_s, now_s)
        return [out for agent in self._agents for out in self._start(agent, round, now_s)]

    def tick(self, now_s: float) -> None:
        """Start the Poisson clocks; then call `wake` at `next_s`."""
        for agent in self._agents:
            clock = self._clocks[agent] = Stream(f"{self._seed}/{agent}/clock")
            self._numbers[agent] = 0
            heapq.heappush(self._ticks, (now_s + self._tick_s * clock.exponential(), agent))
        self.ticking = True

    def next_s(self) -> float:
        """When to call `wake` next."""
        tick_s = self._ticks[0][0] if self.ticking else inf
        return min(tick_s, next(iter(self._open.values()))[1]) if self._open else tick_s

    def wake(self, now_s: float) -> list[Out]:
        """Replace queries that have timed out by queries to other agents; begin the updates that are due."""
        out: list[Out] = []
        while self._open:
            key, (slot, deadline_s, _) = next(iter(self._open.items()))
            if deadline_s > now_s:
                break
            del self._open[key]
            agent = key[1]
            self.totals.lost += 1
            self._updates[agent].lose(slot)
            out += self._ask(agent, now_s)
        while self.ticking and self._ticks[0][0] <= now_s:
            at_s, agent = self._ticks[0]
            heapq.heapreplace(self._ticks, (at_s + self._tick_s * self._clocks[agent].exponential(), agent))
            self.totals.began_s = min(self.totals.began_s, now_s)
            if agent in self._updates:
                self.totals.missed += 1
            else:
                out += self._start(agent, self._numbers[agent] + 1, now_s)
        return out

    def receive(self, data: bytes, arrived_s: float, now_s: float) -> tuple[bool, list[Out]]:
        """Process a datagram that arrived at `arrived_s`; returns whether it was in time, and datagrams to send."""
        try:
            message = decode(data)
        except ValueError:
            self.totals.refused += 1
            return False, []
        if isinstance(message, Query):
            return self._answer(message)
        return self._hear(message, arrived_s, now_s)

    def _start(self, agent: int, number: int, now_s: float) -> list[Out]:
        self._numbers[agent] = number
        stream = Stream(f"{self._seed}/{agent}/{number}")
        own = self._after[agent]
        self._updates[agent] = Update(self._rule, agent, own, self._count, stream, self._near.get(agent))
        return self._ask(agent, now_s)

    def _ask(self, agent: int, now_s: float) -> list[Out]:
        out = []
        update, number = self._updates[agent], self._numbers[agent]
        while query := update.ask():
            slot, asked = query
            self._asked = (self._asked + 1) & 0xFFFFFFFF
            self._open[number, agent, self._asked] = (slot, now_s + self._timeout_s, asked)
            out.append(self._post(asked, Query(number, self._asked, agent, asked).encode()))
        return out

    def _post(self, agent: int, data: bytes) -> Out:
        self.totals.messages += 1
        self.totals.sent_bytes += len(data) + HEADERS_BYTES
        return agent, data

    def _answer(self, query: Query) -> tuple[bool, list[Out]]:
        asked, asker = query.asked, query.asker
        if asked not in self._after or not 0 <= asker < self._count or asker == asked:
            self.totals.refused += 1
            return False, []
        in_time = True
        opinion = self._before[asked]
        if self._tick_s or (query.round == self.round + 1 and self.done):
            opinion = self._after[asked]
        elif query.round != self.round:
            # The sender has timed out long ago, or was restarted and catches up: an answer is harmless for both.
            self.totals.late += 1
            in_time = False
        reply = Reply(query.round, query.number, asker, asked, opinion)
        return in_time, [self._post(asker, reply.encode())]

    def _hear(self, reply: Reply, arrived_s: float, now_s: float) -> tuple[bool, list[Out]]:
        key = (reply.round, reply.asker, reply.number)
        found = self._open.get(key)
        if found is None or arrived_s > found[1]:
            self.totals.late += 1
            return False, []
        slot, _, asked = found
        if reply.asked != asked or reply.opinion > self._kinds:
            self.totals.refused += 1
            return False, []
        del self._open[key]
        agent = reply.asker
        update = self._updates[agent]
        update.hear(slot, reply.opinion)
        self.totals.samples += 1
        if update.adopted < 0:
            return True, self._ask(agent, now_s)
        del self._updates[agent]
        self._after[agent] = update.adopted
        self.trips = max(self.trips, update.trips)
        self.totals.updates += 1
        self.totals.ended_s = max(self.totals.ended_s, arrived_s)
        return True, []
