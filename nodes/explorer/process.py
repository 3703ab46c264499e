"""The host: one process for each node of the graph. It shows the agent the ports that are up, and sends it over TCP.

Invariant: an edge is present if the kernel reports its interface as up, and the agent is never at two nodes. After a
failed move the agent stays at its node.

In mode "barrier" all hosts meet twice in every step (see `meeting`), so a step has no fixed duration. Mode "slotted"
needs no messages between hosts: step k is slot k of the shared clock, links change with the slots, and late arrivals
are counted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from emulator.model.errors import EmulationError, Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node, NodeContext
from emulator.sdk.rounds import Slots
from nodes.explorer import meeting
from nodes.explorer.agent_transfer import AgentTransfer, Unacknowledged
from nodes.explorer.core import VISIBILITIES, Agent
from nodes.explorer.schedules import Footprint

SETTLE_SHARE = 0.25  # of a slot, for its links to change before the agent reads them
POLL_S = 0.0002  # between two checks of ports that have not changed yet


class Host(Node):
    """Hosts the agent while it is at this node.

    Events: `explore` {step, node, seen (nodes visited so far), doors (neighbours present), move (where to, -1: waits),
    moves, waits, replans, sweeps} for each step of the agent here; `carried` {step, by, in_slot (whether in
    its own step)} when it has come from a neighbour; `carry-failed` {step, to, text, unsure
    (whether it may be there all the same)}; `explore-refused` {count} at the end where frames were refused.
    """

    protocol = "nodes.explorer.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        nodes: int  # of the graph; node i of it is the node n<i>
        edges: list[tuple[int, int]] = field(default_factory=list)  # of the footprint
        visibility: str = "kt0"
        agent_seed: int = 0
        start: int = 0  # node at which the agent begins
        max_steps: int = 100
        mode: str = "barrier"
        slots_start_s: Duration = 0.5  # of slot 0, in mode "slotted"
        slot_s: Duration = 0.04
        timeout_s: Duration = 5.0  # of a move, and of the change of ports that the conductor has ordered
        port: int = 4244

        def __post_init__(self) -> None:
            Footprint.of(self.nodes, self.edges)
            if self.visibility not in VISIBILITIES:
                raise Unfit(f"visibility {self.visibility!r}", f"one of {', '.join(VISIBILITIES)}")
            if self.mode not in ("barrier", "slotted"):
                raise Unfit(f"mode {self.mode!r}", "barrier or slotted")
            if not 0 <= self.start < self.nodes:
                raise Unfit(f"start {self.start}", f"a node of 0 … {self.nodes - 1}")
            if self.max_steps < 1 or not 1 <= self.port <= 65535 or not 0 <= self.agent_seed < 1 << 63:
                found = f"max_steps {self.max_steps}, port {self.port}, agent_seed {self.agent_seed}"
                raise Unfit(found, "at least 1, 1 to 65535, 0 to 2^63-1")

    def __init__(self, config: Config, context: NodeContext) -> None:
        super().__init__(config, context)
        self.footprint = Footprint.of(config.nodes, [(a, b) for a, b in config.edges])
        self.node = int(context.name.removeprefix("n"))
        self.neighbours = self.footprint.neighbours[self.node]
        self.slots = Slots(config.slots_start_s, config.slot_s)
        self.transfer = AgentTransfer(context, config.port, self.neighbours, self._take_in)
        self.agent: Agent | None = None
        self.came_from = -1  # neighbour from which it came with its last step
        self.step = -1

    async def setup(self) -> None:
        if self.node == self.config.start:
            self.agent = Agent(self.config.visibility, self.config.agent_seed)
        self._receiving = self.transfer.open()

    async def run(self) -> None:
        exploring = asyncio.ensure_future(self._slotted() if self.config.mode == "slotted" else self._barrier())
        stopping = asyncio.ensure_future(self.context.stopping.wait())
        await asyncio.wait([exploring, stopping, self._receiving], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in (exploring, self._receiving):
            if task.done():
                task.result()
        exploring.cancel()

    async def close(self) -> None:
        self.transfer.close()
        if self.transfer.refused:
            self.context.emit("explore-refused", count=self.transfer.refused)

    async def _barrier(self) -> None:
        progress = meeting.Progress(self.config.nodes, self.config.max_steps)
        tally = {} if self.agent is None else meeting.here(self.node)
        step = 0
        while True:
            position = meeting.position(await self.context.meet(2 * step, tally))
            if position != self.node:
                self.agent = None  # its sender has no receipt and has kept it: the meeting decides
            if progress.ends(step, position):
                return
            self.step = step
            expected = meeting.neighbours(await self.context.meet(2 * step + 1))
            tally = {}
            if position == self.node:  # not: where an agent is, as that of this step may have come here by now
                await self._ports_show(expected)
                tally = meeting.here(await self._explore(self.config.timeout_s))
            step += 1

    async def _ports_show(self, expected: set[int]) -> None:
        """Return when the kernel shows the ordered state: interfaces follow within a fraction of a millisecond."""
        deadline_s = self.context.now() + self.config.timeout_s
        while (shown := self._ports_up()) != expected:
            if self.context.now() > deadline_s:
                raise EmulationError(
                    f"links to {sorted(expected)} should be up at n{self.node}; up are {sorted(shown)}"
                )
            await self.context.sleep(POLL_S)

    async def _slotted(self) -> None:
        context, config, slots = self.context, self.config, self.slots
        for step in range(config.max_steps):
            await context.sleep_until(slots.begin_s(step) + SETTLE_SHARE * slots.length_s)
            if self.agent is not None and len(self.agent.visited | {self.node}) < config.nodes:
                self.step = step
                await self._explore(slots.begin_s(step + 1) - context.now())

    def _ports_up(self) -> set[int]:
        return {node for node in self.neighbours if self.context.port_up(f"n{node}")}

    async def _explore(self, timeout_s: float) -> int:
        """One step of the agent that is here; returns its node afterwards."""
        agent, step = self.agent, self.step
        if agent is None:
            raise EmulationError(f"the agent was lost at n{self.node} before step {step}: its process began anew")
        present = self._ports_up()
        door = agent.step(self.footprint.view(self.node, present, self.came_from, agent.visibility))
        self.came_from = -1  # of the next step, should it stay
        to = -1 if door is None else self.footprint.behind(self.node, door, agent.visibility)
        self.context.emit(
            "explore", step=step, node=self.node, seen=len(agent.visited), doors=sorted(present), move=to,
            moves=agent.moves, waits=agent.waits, replans=agent.replans, sweeps=agent.sweeps,
        )  # fmt: skip
        if to < 0:
            return self.node
        self.context.note_round(step, sent=1)
        try:
            await self.transfer.send(agent, step, to, timeout_s)
        except OSError as error:  # also TimeoutError and Unacknowledged
            unsure = isinstance(error, Unacknowledged)
            self.context.emit("carry-failed", step=step, to=to, text=str(error) or type(error).__name__, unsure=unsure)
            if unsure and self.config.mode == "slotted":
                self.agent = None  # it may be at either node; no agent is better than two
            return self.node
        self.agent = None
        return to

    def _take_in(self, agent: Agent, step: int, sender: int) -> bool:
        """Accept the agent from a neighbour in this step; returns False if it cannot be the agent in transit."""
        now = self.step if self.config.mode == "barrier" else self.slots.round_at(self.context.now())
        late = step != now and self.config.mode == "barrier"
        if late or self.agent is not None or agent.visibility != self.config.visibility:
            return False
        self.context.note_round(step, received=1, in_slot=int(step == now))
        self.context.emit("carried", step=step, by=sender, in_slot=step == now)
        self.agent, self.came_from = agent, sender
        return True
