"""CosmJS 0.32 and @confio/relayer 0.12 against our chains: what others wrote for Cosmos chains works with them.

The packages come from npm into the user's cache; without node or without the registry the test is skipped, saying so.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cosmjs import cosmjs
from ibc_validators import validators
from sdk_net import Records, until

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer

pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

SCRIPTS = Path(__file__).parent / "cosmjs"
FUNDS = 1_000_000_000_000


@asynccontextmanager
async def chain(name: str, store: Path) -> AsyncIterator[str]:
    """The URL of a chain that makes blocks on loopback."""
    from nodes.ibc.chain.process import Chain

    context = NodeContext(
        name=name, program="chain", seed=1, address=Peer(name, "host", "127.0.0.1"), peers={}, store=store / name,
        clock=MonotonicClock(time.monotonic_ns()), sink=Records(),
    )  # fmt: skip
    program = Chain(Chain.Config(chain_id=name, block_s=0.4, port=0), context)
    async with context.exit_stack:
        await program.setup()
        running = asyncio.ensure_future(program.run())
        try:
            yield f"http://127.0.0.1:{program.port}"
        finally:
            context.stopping.set()
            await running


async def printed(script: str, *words: str) -> Any:
    """What a script printed, as JSON."""
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPTS / script), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, error = await asyncio.wait_for(process.communicate(), 90)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, error.decode()
    return json.loads(out)


@pytest.fixture(scope="module")
def folder() -> str:
    found = cosmjs()
    if isinstance(found, str):
        pytest.skip(found)
    return str(found)


def test_the_relayer_of_others_joins_two_chains(folder: str, tmp_path: Path) -> None:
    """@confio/relayer 0.12: clients, connection, channel, a packet there and one back, all with proofs."""

    async def session() -> Any:
        async with chain("a-1", tmp_path) as a, chain("b-1", tmp_path) as b:
            return await printed("relay.cjs", folder, a, b)

    seen = asyncio.run(session())
    assert seen["ends"] == [["07-tendermint-0", "connection-0"]] * 2
    assert seen["channels"] == [{"portId": "transfer", "channelId": "channel-0"}] * 2
    assert seen["there"] == [1, 0, 0, 1]
    assert seen["voucher"]["amount"] == "777"
    assert seen["back"] == [0, 1, 1, 0]
    assert seen["left"]["amount"] == "700"
    assert seen["home"]["amount"] == str(FUNDS - 700)


@asynccontextmanager
async def committee(name: str, store: Path) -> AsyncIterator[str]:
    """The URL of one of four validators that are processes of their own."""
    async with validators(store, chain_id=name, block_s=0.4) as lives:
        await until(lambda: lives["a-2"].serves)
        yield lives["a-2"].url()


@pytest.mark.parametrize("signed_by", [chain, committee], ids=["one process", "processes"])
def test_cosmjs_drives_a_chain(
    folder: str, tmp_path: Path, signed_by: Callable[[str, Path], AbstractAsyncContextManager[str]]
) -> None:
    async def session() -> Any:
        async with signed_by("a-1", tmp_path) as url:
            return await printed("drive.mjs", url, folder)

    seen = asyncio.run(session())
    assert seen["chainId"] == seen["genesis"] == "a-1"
    assert seen["dialect"] == "Comet38Client"
    assert seen["before"] == {"denom": "stake", "amount": str(FUNDS)}
    assert seen["all"] == [seen["before"]]
    assert seen["sequence"] == {"accountNumber": 0, "sequence": 0}
    assert seen["nobody"] is None
    assert seen["sent"]["code"] == 0, seen["sent"]
    assert seen["sent"]["response"] == "/cosmos.bank.v1beta1.MsgSendResponse"
    assert seen["after"]["amount"] == str(FUNDS + 1234)
    assert seen["found"] == [True]
    assert (seen["inBlock"], seen["results"], seen["proof"]) == (1, 1, 1)
    assert seen["failed"][0] == 5
    assert "is smaller than 99999999999999999stake: insufficient funds" in seen["failed"][1]
    assert "failed with code 11 (codespace: sdk). Log: out of gas: gasWanted: 100" in seen["refused"]
    heights = [height for height, _ in seen["blocks"]]
    assert heights == list(range(heights[0], heights[0] + 3))
    assert {signatures for _, signatures in seen["blocks"]} == {4}
    assert seen["event"] == 0
    assert seen["proved"] == str(FUNDS + 1241)
    assert seen["provedAbsent"] == 0
    assert seen["committed"] == 0
    assert (seen["validators"], seen["canonical"], seen["blockSearch"], seen["blockchain"]) == (4, True, 2, 3)
    assert (seen["info"], seen["health"], seen["waiting"]) == ("skyloom", None, 0)
