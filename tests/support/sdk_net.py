"""Contexts of nodes that share this machine, each with an address of its own of the loopback network."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer

PEERS = {name: Peer(name, "host", f"127.0.0.{number}", "::1") for number, name in enumerate("abc", 2)}
OWN_NET = f"127.0.{4 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])}"  # of this process
STRANGER = "127.0.0.99"


class Records:
    """What a program has told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.samples: list[tuple[str, float, str]] = []

    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None:
        self.events.append((kind, fields))

    def sample(self, t_s: float, name: str, value: float, key: str) -> None:
        self.samples.append((name, value, key))


def context(name: str, records: Records | None = None) -> NodeContext:
    return NodeContext(
        name=name, program="p", seed=1, address=PEERS[name], store=Path("/nonexistent"), clock=MonotonicClock(0),
        peers={other: peer for other, peer in PEERS.items() if other != name}, sink=records or Records(),
        members=tuple(other for other in PEERS if other != name),
    )  # fmt: skip


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop its turns until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a counter tells nobody that it has changed
            await asyncio.sleep(0.001)
