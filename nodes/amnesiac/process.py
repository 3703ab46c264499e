"""The flooding node over UDP, in slotted rounds: one process for each node, without state between rounds.

Invariant: the messages of a round follow by `core` from the arrivals of the previous round. The links make the delays
of the adversary; the node uses them only to write into each message the round in which it is due, so that the run can
check whether it was in time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node, NodeContext
from emulator.sdk.rounds import Arrival, RoundSocket, Slots
from nodes.amnesiac.core import first, following

MESSAGE = b"M"
Delay = tuple[int, str, str, int]  # round of the table, from, to, by how many rounds


class Flood(Node):
    """Forwards the message, and records an event `flood` for every round in which it received or sent one.

    Fields of the event: `round`, `to` (receivers in this round), `heard` (senders in the previous round), `received`
    and `in_slot` (datagrams of the previous round, and those of them that were due in it).
    """

    protocol = "nodes.amnesiac.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        edges: list[tuple[str, str]]  # of the graph, by names of nodes
        sources: list[str]  # nodes that send in round 1
        rounds: int  # the last one in which messages are sent
        slot_s: Duration  # length of a round
        start_s: Duration = 0.0  # begin of round 0
        prefix: int = 0  # rounds of the table of delays that are used once
        period: int = 1  # rounds after these that are repeated
        delays: list[Delay] | None = None  # rounds, directed edges and delays in rounds
        port: int = 4243

        def __post_init__(self) -> None:
            if self.rounds < 1 or self.prefix < 0 or self.period < 1:
                found = f"rounds {self.rounds}, prefix {self.prefix}, period {self.period}"
                raise Unfit(found, "at least 1, 0 and 1")
            if self.slot_s <= 0:
                raise Unfit("`slot` is 0", "more than 0")
            if not 1 <= self.port <= 65535:
                raise Unfit(f"port {self.port}", "1 to 65535")

    def __init__(self, config: Config, context: NodeContext) -> None:
        super().__init__(config, context)
        name = context.name
        edges = [tuple(edge) for edge in config.edges]
        self.neighbours = [b if a == name else a for a, b in edges if name in (a, b)]
        self._delays = {(round, to): delay for round, sender, to, delay in config.delays or [] if sender == name}
        self._strangers: Counter[str] = Counter()  # messages by sender that is no neighbour; they are ignored

    async def setup(self) -> None:
        unknown = [name for name in self.neighbours if name not in self.context.peers]
        if unknown:
            raise Unfit(f"edges lead to {', '.join(unknown)}", "live nodes")
        slots = Slots(self.config.start_s, self.config.slot_s)
        self.socket = RoundSocket(self.context, self.config.port, slots)
        self.context.exit_stack.callback(self._tell)

    async def run(self) -> None:
        """Play all rounds, and wait as long as a message may be late, so that none arrives at a closed socket."""
        longest = max((delay for *_, delay in self.config.delays or []), default=0)
        await self.socket.play(1, self.config.rounds + longest + 1, self._act)

    def _act(self, round: int, arrivals: list[Arrival]) -> None:
        """Play one round; rounds after the last only receive."""
        senders = {arrival.peer for arrival in arrivals}
        self._strangers.update(senders.difference(self.neighbours))
        senders.intersection_update(self.neighbours)
        to: list[str] = []
        if round == 1 and self.context.name in self.config.sources:
            to = first(self.neighbours)
        elif round <= self.config.rounds:
            to = following(self.neighbours, senders)
        sent = [name for name in to if self.socket.send(name, round, round + self._delay(round, name), MESSAGE)]
        if sent or arrivals:
            in_slot = sum(arrival.due == arrival.arrived for arrival in arrivals)
            heard_from = [name for name in self.neighbours if name in senders]
            self.context.emit("flood", round=round, to=sent, heard=heard_from, received=len(arrivals), in_slot=in_slot)

    def _delay(self, round: int, to: str) -> int:
        config = self.config
        if round > config.prefix:
            round = config.prefix + 1 + (round - config.prefix - 1) % config.period
        return self._delays.get((round, to), 0)

    def _tell(self) -> None:
        if refused := self.socket.refused + sum(self._strangers.values()):
            self.context.emit("flood-refused", count=refused)
