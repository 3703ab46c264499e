"""Four validators of a chain as node programs in this process, each on a loopback address of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer
from nodes.ibc.validator.process import Validator
from tests.support.sdk_net import OWN_NET, Records

VALIDATORS = ("a-0", "a-1", "a-2", "a-3")
PEERS = {name: Peer(name, "host", f"{OWN_NET}.{number}") for number, name in enumerate(VALIDATORS, 1)}


class Lived:
    """One life of a validator."""

    def __init__(self, folder: Path, name: str, clock: MonotonicClock, **config: Any) -> None:
        self.records = Records()
        self.context = NodeContext(
            name=name, program="validator", seed=1, address=PEERS[name], store=folder / "store" / name / "validator",
            peers={other: peer for other, peer in PEERS.items() if other != name}, clock=clock, sink=self.records,
        )  # fmt: skip
        given = {"validators": VALIDATORS, "chain_id": "a-1", "port": 0, "block_s": 0.05, "round_s": 0.02}
        self.program = Validator(Validator.Config(**{**given, **config}), self.context)

    async def set_up(self) -> None:
        await self.program.setup()

    def begin(self) -> None:
        self._running = asyncio.ensure_future(self.program.run())

    async def end(self) -> None:
        self.context.stopping.set()
        await self._running
        await self.context.exit_stack.aclose()

    @property
    def heights(self) -> list[int]:
        return [fields["height"] for kind, fields in self.records.events if kind == "block"]

    @property
    def serves(self) -> bool:
        """Whether its RPC answers: from the first block on."""
        return hasattr(self.program, "port")

    def url(self) -> str:
        return f"http://127.0.0.1:{self.program.port}/"


@asynccontextmanager
async def validators(folder: Path, **config: Any) -> AsyncIterator[dict[str, Lived]]:
    """All of them, alive; who ends one puts another life in its place."""
    clock = MonotonicClock(time.monotonic_ns() + 3_600_000_000_000)
    lives = {name: Lived(folder, name, clock, **config) for name in VALIDATORS}
    for life in lives.values():
        await life.set_up()
    clock.t0_ns = time.monotonic_ns()  # the scenario begins
    for life in lives.values():
        life.begin()
    try:
        yield lives
    finally:
        for life in lives.values():
            await life.end()
