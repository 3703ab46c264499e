"""A program that speaks with the chains of a run, and finds the ends of the paths between them.

Invariant: it asks the chains alone, by the relayer's procedures that only ask; it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from emulator.model.errors import Unfit
from emulator.sdk.node import Node
from nodes.ibc.relayer.calls import Flow, StatusOf, Unanswered, Wait
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.handshake import find_v1
from nodes.ibc.relayer.opening import Side, find_v2
from nodes.ibc.relayer.packets import End
from nodes.ibc.relayer.paths import Path, read
from nodes.ibc.relayer.rpc import Connection
from nodes.ibc.relayer.signer import Signer, Terms

T = TypeVar("T")
_RETRY_S = 1.0


class Ends(Node):
    """The chains by name, and what they are asked."""

    protocol = "nodes.ibc.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        paths: tuple[str, ...] = ("a-0 b-0",)  # as relayers have them
        port: int = 26657
        prefix: str = "cosmos"
        denom: str = "stake"

    config: Config

    async def setup(self) -> None:
        self.paths = tuple(map(read, self.config.paths))
        everybody = {**self.context.peers, self.context.name: self.context.address}
        self.connections: dict[str, Connection] = {}
        for name in dict.fromkeys(name for path in self.paths for name in (path.a, path.b)):
            if name not in everybody:
                raise Unfit(f"chain {name!r} of a path", "a node of the run")
            url = f"http://{everybody[name].ipv4}:{self.config.port}"
            self.connections[name] = Connection(name, url, lambda height: None)
            self.context.exit_stack.push_async_callback(self.connections[name].close)

    async def ask(self, *calls: Any) -> list[Any]:
        """The answers of one chain, as soon as it can be reached."""
        while True:
            try:
                return await self.connections[calls[0].chain].call(calls)
            except Unanswered:
                await self.context.sleep(_RETRY_S)

    async def find(self, path: Path) -> tuple[End, End]:
        """The ends of a path, once a relayer has opened it."""
        a, b = [await self._side(name) for name in (path.a, path.b)]
        while True:
            try:
                found = await self._follow(find_v1(a, b, path) if path.port else find_v2(a, b))
            except Unanswered:
                found = None
            if found is not None:
                return found
            await self.context.sleep(_RETRY_S)

    async def _side(self, name: str) -> Side:
        (status,) = await self.ask(StatusOf(name))
        clock = Clock()
        followed = Followed(name, status.height, clock, lambda *_: None, lambda *_: None)
        followed.chain_id = status.chain_id
        terms = Terms(name, status.chain_id, self.config.prefix, self.config.denom, 0.0, 0.0)
        return Side(followed, Signer(terms, (), clock))

    async def _follow(self, flow: Flow[T]) -> T:
        """Carry out a procedure that only asks."""
        answers: Any = None
        while True:
            try:
                need = flow.throw(answers) if isinstance(answers, Unanswered) else flow.send(answers)
            except StopIteration as end:
                result: T = end.value
                return result
            assert not isinstance(need, Wait)
            try:
                answers = await self.connections[need[0].chain].call(need)
            except Unanswered as failure:  # what a chain does not have is answered so, too
                answers = failure
