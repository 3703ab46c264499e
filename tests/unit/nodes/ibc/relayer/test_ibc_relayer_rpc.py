"""A relayer's connection over a real socket: which requests are under way at once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from nodes.ibc.relayer.calls import Broadcast, Call, StatusOf

pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

from aiohttp import web

from nodes.ibc.relayer.rpc import MOST_BATCH, Connection

STATUS = {
    "node_info": {"network": "a-1"},
    "sync_info": {"earliest_block_height": "1", "latest_block_height": "7"},
}
ADMISSION = {"code": 0, "codespace": "", "log": ""}


def asked(calls: Sequence[Call], result: Any, before_answer: Callable[[list[Any]], Awaitable[None]]) -> list[Any]:
    """The answers of a chain that says the same to all."""

    async def on_post(request: web.Request) -> web.Response:
        batch = await request.json()
        await before_answer(batch)
        return web.json_response([{"jsonrpc": "2.0", "id": each["id"], "result": result} for each in batch])

    async def main() -> list[Any]:
        application = web.Application(client_max_size=1 << 24)
        application.add_routes([web.post("/", on_post)])
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        connection = Connection("a", f"http://127.0.0.1:{runner.addresses[0][1]}", lambda height: None)
        try:
            return await asyncio.wait_for(connection.call(calls), 10.0)
        finally:
            await connection.close()
            await runner.cleanup()

    return asyncio.run(main())


def test_batches_of_questions_are_under_way_at_once() -> None:
    under_way, all_came = 0, asyncio.Event()

    async def all_three(batch: list[Any]) -> None:
        nonlocal under_way
        assert len(batch) <= MOST_BATCH
        under_way += 1
        if under_way == 3:
            all_came.set()
        await all_came.wait()

    answers = asked([StatusOf("a")] * (2 * MOST_BATCH + 1), STATUS, all_three)
    assert [each.height for each in answers] == [7] * (2 * MOST_BATCH + 1)


def test_transactions_are_handed_over_in_their_order() -> None:
    came: list[str] = []
    under_way = 0

    async def alone(batch: list[Any]) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        for _ in range(10):
            await asyncio.sleep(0)  # another batch could come now
        came.extend(each["params"]["tx"] for each in batch)
        under_way -= 1

    txs = [Broadcast("a", number.to_bytes(2)) for number in range(2 * MOST_BATCH + 1)]
    answers = asked(txs, ADMISSION, alone)
    assert [each.code for each in answers] == [0] * len(txs)
    assert came == [base64.b64encode(tx.data).decode() for tx in txs]
