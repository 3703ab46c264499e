"""A relayer's connection over a real socket: which requests are under way at once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from nodes.ibc.relayer.calls import Broadcast, Call, StatusOf, Unanswered

pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

from aiohttp import web

from nodes.ibc.relayer.rpc import MOST_BATCH, Connection

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
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

    return answers_of(on_post, lambda connection: connection.call(calls))


def answers_of(
    handle: Handler, ask: Callable[[Connection], Awaitable[T]], on_height: Callable[[int], None] = lambda height: None
) -> T:
    """What a connection makes of a chain that handles its requests so."""

    async def main() -> T:
        application = web.Application(client_max_size=1 << 24)
        application.add_routes([web.route("*", "/{path:.*}", handle)])
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        connection = Connection("a", f"http://127.0.0.1:{runner.addresses[0][1]}", on_height)
        try:
            return await asyncio.wait_for(ask(connection), 10.0)
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


@pytest.mark.parametrize(
    "body",
    [
        "7", "{}", "[]", "[7]", "x", "[" * 100_000, '[{"id": []}]', '[{"id": {}}]', '[{"id": 1}]', '[{"id": "0"}]',
        '[{"id": false}]', '[{"id": 0}]', '[{"id": 0, "result": 7}]',
        '[{"id": 0, "result": {"sync_info": {"latest_block_height": Infinity}}}]',
    ],
)  # fmt: skip
def test_a_body_that_answers_nothing_is_no_answer(body: str) -> None:
    async def on_post(request: web.Request) -> web.Response:
        return web.Response(text=body)

    with pytest.raises(Unanswered):
        answers_of(on_post, lambda connection: connection.call([StatusOf("a")]))


def test_news_out_of_form_is_passed_over() -> None:
    heights: list[int] = []
    heard = asyncio.Event()
    news = '{"result": {"data": {"value": {"header": {"height": %s}}}}}'

    async def on_socket(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in ("x", "7", "{}", "[" * 100_000, *(news % each for each in ("null", "[]", "Infinity", '"7"'))):
            await socket.send_str(message)
        await socket.receive()
        return socket

    def on_height(height: int) -> None:
        heights.append(height)
        heard.set()

    async def listened(connection: Connection) -> None:
        listening = asyncio.ensure_future(connection.listen())
        hearing = asyncio.ensure_future(heard.wait())
        await asyncio.wait((listening, hearing), return_when=asyncio.FIRST_COMPLETED)
        assert not listening.done(), listening.exception()
        listening.cancel()

    answers_of(on_socket, listened, on_height)
    assert heights == [7]
