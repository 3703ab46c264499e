"""CosmJS 0.32 against a chain: what others wrote for Cosmos chains works with ours.

The packages come from npm into the user's cache; without node or without the registry the test is skipped, saying so.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cosmjs import cosmjs
from sdk_net import Records

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer

pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

DRIVE = Path(__file__).parent / "cosmjs" / "drive.mjs"
FUNDS = 1_000_000_000_000


async def driven(script: Path, folder: Path, store: Path, port: int) -> Any:
    """What a script printed that ran against a chain on loopback."""
    from nodes.ibc.chain.process import Chain

    context = NodeContext(
        name="a-0", program="chain", seed=1, address=Peer("a-0", "host", "127.0.0.1"), peers={}, store=store,
        clock=MonotonicClock(time.monotonic_ns()), sink=Records(),
    )  # fmt: skip
    chain = Chain(Chain.Config(chain_id="a-1", block_s=0.3, port=port), context)
    async with context.exit_stack:
        await chain.setup()
        running = asyncio.ensure_future(chain.run())
        try:
            process = await asyncio.create_subprocess_exec(
                "node", str(script), f"http://127.0.0.1:{port}", str(folder),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, error = await asyncio.wait_for(process.communicate(), 60)
        finally:
            context.stopping.set()
            await running
    assert process.returncode == 0, error.decode()
    return json.loads(out)


def test_cosmjs_drives_a_chain(tmp_path: Path, unused_port: int) -> None:
    folder = cosmjs()
    if isinstance(folder, str):
        pytest.skip(folder)
    seen = asyncio.run(driven(DRIVE, folder, tmp_path, unused_port))
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


@pytest.fixture
def unused_port() -> int:
    """A port that nobody has now."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
