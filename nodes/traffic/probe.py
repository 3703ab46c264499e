"""Probe: a UDP echo between nodes; measures round trip and one-way delay on the run's shared clock.

Samples, each with the peer as key and the time of sending: `rtt_s` (both ways through the network, without the time
that the other node took to answer), `owd_s` (there only), `probe_lost` (1, when a probe is given up). One event
`probe` per peer at the end, with the counts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from emulator.model.units import Duration, Size
from emulator.sdk.node import Node, NodeContext
from nodes.traffic.core import Echo, Prober, Rounds, require_bounds


class Probe(Node):
    """Probes its peers and answers their probes."""

    protocol = "nodes.traffic.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        peers: list[str] = field(default_factory=list)  # names and globs; empty: all nodes that run this program
        interval_s: Duration = 1.0  # between two probes to the same peer
        timeout_s: Duration = 2.0  # after which a probe counts as lost
        size_bytes: Size = 64.0
        port: int = 4242
        version: int = 4  # of IP

        def __post_init__(self) -> None:
            require_bounds({"interval": self.interval_s, "timeout": self.timeout_s}, {"size": self.size_bytes})

    def __init__(self, config: Config, context: NodeContext) -> None:
        super().__init__(config, context)
        self.core = Prober(config.timeout_s, int(config.size_bytes))
        self._addresses: dict[str, str] = {}

    async def setup(self) -> None:
        config, context = self.config, self.context
        chosen = context.matching(config.peers) if config.peers else [context.peers[name] for name in context.members]
        self._addresses = {peer.name: peer.ipv6 if config.version == 6 else peer.ipv4 for peer in chosen}
        self.socket = context.datagrams(config.port, self._arrived, version=config.version)

    async def run(self) -> None:
        context, config = self.context, self.config
        phase = context.rng("phase").random()
        rounds = Rounds(list(self._addresses), config.interval_s, context.now(), phase)
        while not context.stopping.is_set():
            self._expire()
            while rounds.next_s() <= context.now():
                peer = rounds.take()
                self.socket.send(self.core.probe(peer, context.now()), self._addresses[peer], config.port)
            wake_s = min(rounds.next_s(), self.core.next_deadline_s())
            if wake_s - context.now() > 1.0:
                await self._pause(1.0)
            else:
                await context.sleep_until(wake_s)

    async def _pause(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self.context.stopping.wait()
        except TimeoutError:
            pass

    def _arrived(self, data: bytes, address: tuple[str, int], t_s: float) -> None:
        result = self.core.receive(data, t_s, self.context.now())
        if isinstance(result, bytes):
            self.socket.send(result, *address)
        elif isinstance(result, Echo):
            self.context.sample("rtt_s", result.rtt_s, result.peer, t_s=result.sent_s)
            self.context.sample("owd_s", result.forward_s, result.peer, t_s=result.sent_s)

    def _expire(self) -> None:
        for peer, sent_s in self.core.expire(self.context.now()):
            self.context.sample("probe_lost", 1.0, peer, t_s=sent_s)

    async def close(self) -> None:
        self._expire()
        for peer, tally in self.core.tallies.items():
            self.context.emit("probe", peer=peer, sent=tally.sent, received=tally.received, lost=tally.lost)
