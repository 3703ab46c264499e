"""Flooding over TCP: the part of a relayer's process that owns links and clock.

Events: `learnt` (`ad`: the first digits of its digest, `age_s` when it came, `peer`), `equivocation` (`origin`,
`evidence`: both in hex). Samples, once a second: `flood_entries`, `flood_bytes` (said so far).

Invariant: a neighbour is one that there is a connection to. After a connection was lost, what the other side has missed
is found by comparing databases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from emulator.sdk.node import NodeContext
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.links import Links
from nodes.xroute.flooding.ads import Ad
from nodes.xroute.flooding.database import Database, Entry, Evidence
from nodes.xroute.flooding.flood import Flooding, Settings
from nodes.xroute.flooding.wire import FloodCodec, Said
from nodes.xroute.keys import Key

__all__ = ["PORT", "Flooder"]

PORT = 26680
TICK_S = 0.05
REPORT_S = 1.0


class Flooder:
    """One relayer's flooding with those relayers that are its neighbours, by node name.

    In `setup`: make it and `await open()`. In `run`: a task of `run()`. `stakes` are of all relayers, by public key,
    and may change; `on_learnt(entry)` is called for what neighbours tell that is news, and `on_told(data)` for what
    they `tell` that is no entry.
    """

    def __init__(
        self,
        context: NodeContext,
        key: Key,
        stakes: Mapping[bytes, int],
        neighbours: Iterable[str],
        *,
        settings: Settings | None = None,
        on_learnt: Callable[[Entry], None] = lambda entry: None,
        on_told: Callable[[bytes], None] = lambda data: None,
        port: int = PORT,
        config: LinkConfig | None = None,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self._context = context
        self._flooding = Flooding(key, stakes, settings)
        self._on_learnt = on_learnt
        self._on_told = on_told
        self._connected: set[str] = set()
        self._links = Links(
            context, FloodCodec(), self._hear, peers=neighbours, service="xroute-flood", port=port, config=config,
            ports=ports,
        )  # fmt: skip

    @property
    def database(self) -> Database:
        return self._flooding.database

    async def open(self) -> int:
        """Listen; the port."""
        self._context.exit_stack.callback(self._links.close)
        return await self._links.open()

    def announce(self, ad: Ad) -> None:
        """Say this of its subject from now on."""
        self._flooding.announce(ad, self._now_ms())
        self._pass_on()

    def tell(self, data: bytes) -> None:
        """Tell the neighbours something that is no entry."""
        self._flooding.tell(data, self._now_ms())
        self._pass_on()

    def say(self, neighbour: str, message: Said) -> None:
        """Send a neighbour any message, past all rules: for programs that attack."""
        self._links.send(neighbour, message)

    def counters(self) -> dict[str, int]:
        """Entries and bytes said and heard, and `refused`."""
        return {**self._flooding.counts, "refused": sum(self._flooding.refused.values())}

    async def run(self) -> None:
        """Flood until cancelled."""
        await self._context.until_stopped(self._links.run(), self._tick())

    async def _tick(self) -> None:
        report_s = self._context.now()
        while True:
            self._look_around()
            self._flooding.tick(self._now_ms())
            self._pass_on()
            if self._context.now() >= report_s:
                report_s += REPORT_S
                self._context.sample("flood_entries", len(self.database))
                self._context.sample("flood_bytes", self._flooding.counts["sent_bytes"])
            await self._context.sleep(TICK_S)

    def _look_around(self) -> None:
        """Notice which neighbours have come and gone."""
        now = self._links.connected()
        for peer in sorted(self._connected - now):
            self._flooding.disconnected(peer)
        for peer in sorted(now - self._connected):
            self._flooding.connected(peer, self._now_ms())
        self._connected = now

    def _hear(self, peer: str, message: Said) -> None:
        self._look_around()  # it may be the first message of a connection
        self._flooding.receive(peer, message, self._now_ms())
        self._pass_on()

    def _pass_on(self) -> None:
        """Send what is to be sent, and tell what was learnt."""
        for peer, message in self._flooding.take():
            self._links.send(peer, message)
        while self._flooding.learnt:
            learnt = self._flooding.learnt.popleft()
            if isinstance(learnt.entry, Evidence):
                origin, data = learnt.entry.origin.hex(), learnt.entry.data.hex()
                self._context.emit("equivocation", origin=origin, evidence=data)
            else:
                digest = learnt.entry.digest[:8].hex()
                self._context.emit("learnt", ad=digest, age_s=learnt.age_ms / 1000, peer=learnt.peer)
            self._on_learnt(learnt.entry)
        while self._flooding.told:
            self._on_told(self._flooding.told.popleft())

    def _now_ms(self) -> int:
        """The time of day, which is there before scenario time is."""
        return time.time_ns() // 10**6
