"""A program that speaks with the chains of a run: it asks them, and reads their blocks.

Invariant: what it knows it was told by the chains alone; it changes nothing on them but by what a subclass broadcasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from emulator.model.errors import Unfit
from emulator.sdk.node import Node
from nodes.ibc.relayer.calls import Block, BlockAt, Flow, StatusOf, Unanswered, Wait
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.rpc import Connection, answered

__all__ = ["Asking"]

T = TypeVar("T")
_BATCH = 10  # blocks that a chain is asked for at once
_RETRY_S = 1.0


class Asking(Node):
    """The chains by name, and what they are asked."""

    protocol = "nodes.ibc.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        port: int = 26657
        prefix: str = "cosmos"
        denom: str = "stake"

    config: Config

    def connect(self, names: Iterable[str]) -> None:
        """Have connections to these chains. Unfit where one is no node of the run."""
        everybody = {**self.context.peers, self.context.name: self.context.address}
        self.connections: dict[str, Connection] = {}
        for name in names:
            if name not in everybody:
                raise Unfit(f"chain {name!r}", "a node of the run")
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

    async def followed(self, name: str) -> Followed:
        """A chain as procedures of the relayer have it, as high as it is now."""
        (status,) = await self.ask(StatusOf(name))
        found = Followed(name, status.height, Clock(), lambda *_: None, lambda *_: None)
        found.chain_id = status.chain_id
        return found

    async def carry_out(self, flow: Flow[T]) -> T:
        """Carry out a procedure that only asks, of one chain in each step or of several."""
        answers: Any = None
        while True:
            try:
                need = flow.throw(answers) if isinstance(answers, Unanswered) else flow.send(answers)
            except StopIteration as end:
                result: T = end.value
                return result
            assert not isinstance(need, Wait)
            try:
                answers = await answered(self.connections, need)
            except Unanswered as failure:  # what a chain does not have is answered so, too
                answers = failure

    async def read_blocks(self, heights: dict[str, int], within_s: float) -> int:
        """Read the blocks above `heights` that all chains have now, in order: each is for `take`, and counted in
        `heights`. How many are left unread as the time is over."""
        heads = {chain: height + 1 for chain, height in heights.items()}  # until a chain has told its own
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, within_s)):
                await asyncio.gather(*(self._read_chain(chain, heights, heads) for chain in heads))
        return sum(head - heights[chain] for chain, head in heads.items())

    async def _read_chain(self, chain: str, heights: dict[str, int], heads: dict[str, int]) -> None:
        (status,) = await self.ask(StatusOf(chain))
        heads[chain] = status.height
        while (read := heights[chain]) < status.height:
            numbers = range(read + 1, min(read + _BATCH, status.height) + 1)
            for block in await self.ask(*(BlockAt(chain, number) for number in numbers)):
                await self.take(chain, block)
                heights[chain] = block.height

    async def take(self, chain: str, block: Block) -> None:
        """A block that was read."""
        raise NotImplementedError
