"""A program that finds the ends of the paths between chains.

Invariant: it asks the chains alone, by the relayer's procedures that only ask; it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ibc.relayer.calls import Unanswered
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.handshake import find_v1
from nodes.ibc.relayer.opening import Side, find_v2
from nodes.ibc.relayer.packets import End
from nodes.ibc.relayer.paths import Path, read
from nodes.ibc.relayer.signer import Signer, Terms
from scenarios.ibc.asking import Asking

_RETRY_S = 1.0


class Ends(Asking):
    """The chains of some paths."""

    @dataclass(frozen=True, slots=True)
    class Config(Asking.Config):
        paths: tuple[str, ...] = ("a-0 b-0",)  # as relayers have them

    config: Config

    async def setup(self) -> None:
        self.paths = tuple(map(read, self.config.paths))
        self.connect(dict.fromkeys(name for path in self.paths for name in (path.a, path.b)))

    async def find(self, path: Path) -> tuple[End, End]:
        """The ends of a path, once a relayer has opened it."""
        a, b = [await self._side(name) for name in (path.a, path.b)]
        while True:
            try:
                found = await self.carry_out(find_v1(a, b, path) if path.port else find_v2(a, b))
            except Unanswered:
                found = None
            if found is not None:
                return found
            await self.context.sleep(_RETRY_S)

    async def _side(self, name: str) -> Side:
        followed = await self.followed(name)
        terms = Terms(name, followed.chain_id, self.config.prefix, self.config.denom, 0.0, 0.0)
        return Side(followed, Signer(terms, (), Clock(), followed))
