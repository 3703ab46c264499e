"""The node program of a chain: its pace, its records, and that it goes on after a restart."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ibc_chain import NAMES, send, signed
from sdk_net import Records, until

from emulator.model.clock import MonotonicClock
from emulator.model.errors import DataError, Unfit
from emulator.sdk.node import NodeContext, Peer
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.comet.json_form import read_signed_header

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")


class Timed(Records):
    """Records that keep the time of events, too."""

    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None:
        super().event(t_s, kind, {**fields, "t_s": t_s})


def blocks(records: Records) -> list[int]:
    return [fields["height"] for kind, fields in records.events if kind == "block"]


async def lived(folder: Path, records: Records, enough: Callable[[Any, Any], Any], **config: Any) -> None:
    """Run a chain on loopback until `enough(client, chain)` returns."""
    from nodes.ibc.chain.process import Chain

    context = NodeContext(
        name="a-0", program="chain", seed=1, address=Peer("a-0", "host", "127.0.0.1"), peers={}, store=folder,
        clock=MonotonicClock(time.monotonic_ns()), sink=records,
    )  # fmt: skip
    chain = Chain(Chain.Config(**{"port": 0, "block_s": 0.02, "accounts": NAMES, **config}), context)
    async with context.exit_stack, aiohttp.ClientSession() as client:
        await chain.setup()
        running = asyncio.ensure_future(chain.run())
        try:
            await enough(client, chain)
        finally:
            context.stopping.set()
            await running


async def called(client: Any, port: int, method: str, **params: Any) -> Any:
    async with client.post(f"http://127.0.0.1:{port}/", json={"id": 1, "method": method, "params": params}) as answer:
        return (await answer.json())["result"]


def test_a_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    first, second = Records(), Records()
    hashes: list[str] = []

    async def before(client: Any, chain: Any) -> None:
        data = signed("alice", [send("alice", "bob", stake=7)], 0, 0, chain_id="a-0-1")
        sent = await called(client, chain.port, "broadcast_tx_commit", tx=b64encode(data).decode())
        assert sent["tx_result"]["code"] == 0
        await until(lambda: len(blocks(first)) > 5)
        hashes.append((await called(client, chain.port, "block", height="3"))["block_id"]["hash"])

    async def after(client: Any, chain: Any) -> None:
        await until(lambda: len(blocks(second)) > 2)
        hashes.append((await called(client, chain.port, "block", height="3"))["block_id"]["hash"])
        found = await called(client, chain.port, "tx_search", query="tx.height > 0")
        assert found["total_count"] == "1"

    asyncio.run(lived(tmp_path, first, before))
    asyncio.run(lived(tmp_path, second, after))
    assert hashes[0] == hashes[1]
    assert second.events[0] == ("restored", {"height": blocks(first)[-1]})
    assert blocks(second)[0] == blocks(first)[-1] + 1
    with pytest.raises(DataError, match="was made with other settings"):
        asyncio.run(lived(tmp_path, Records(), after, store="simple"))


def test_a_chain_halts_and_goes_on(tmp_path: Path) -> None:
    records = Timed()

    async def enough(client: Any, chain: Any) -> None:
        await until(lambda: len(blocks(records)) > 12)

    asyncio.run(lived(tmp_path, records, enough, halt_s=0.1, halt_for_s=0.3))
    times_s = [fields["t_s"] for kind, fields in records.events if kind == "block"]
    gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
    assert max(gaps_s) > 10 * 0.02


def test_equivocation_shows_another_block_at_another_port(tmp_path: Path) -> None:
    records = Records()
    seen: dict[str, Any] = {}

    async def enough(client: Any, chain: Any) -> None:
        await until(lambda: len(blocks(records)) > 4)
        seen["own"] = await called(client, chain.port, "commit", height="3")
        seen["other"] = await called(client, chain.fork_port, "commit", height="3")
        assert await called(client, chain.port, "commit", height="2") == await called(
            client, chain.fork_port, "commit", height="2"
        )

    asyncio.run(lived(tmp_path, records, enough, equivocate_height=3, fork_port=0))
    assert ("equivocation", {"height": 3}) in records.events
    own, other = (read_signed_header(seen[which]["signed_header"]) for which in ("own", "other"))
    assert own.header is not None
    assert other.header is not None
    assert own.header.height == other.header.height == 3
    assert header_hash(own.header) != header_hash(other.header)


@pytest.mark.parametrize("config", [{"block_s": 0.0}, {"store": "paper"}, {"chain_id": "a b"}])
def test_a_config_that_makes_no_chain_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    async def enough(client: Any, chain: Any) -> None:
        raise AssertionError("it started")

    with pytest.raises(Unfit):
        asyncio.run(lived(tmp_path, Records(), enough, **config))
