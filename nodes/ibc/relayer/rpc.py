"""A relayer's connection to one chain: requests over HTTP in batches, news of blocks over a WebSocket.

Invariant: a set of calls is answered in full or fails in full; transactions in it are handed over in their order, and
never twice. Questions have no order: their batches are under way at once.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp import web

from nodes.ibc.relayer.calls import Broadcast, Call, StatusOf, Unanswered
from nodes.ibc.relayer.dialect import answer, requests

__all__ = ["Connection", "Telemetry", "answered", "chain_id_of"]

MOST_BATCH = 100  # requests in one
TIMEOUT_S = 20.0
_HEADERS = {"Content-Type": "application/json"}  # so that captures show what is asked
_NEWS = "tm.event = 'NewBlockHeader'"
_LONGEST_WAIT_S = 60.0
_LARGEST_MESSAGE = 64 << 20


class Connection:
    """HTTP and WebSocket to one node."""

    def __init__(self, chain: str, url: str, on_height: Callable[[int], None]) -> None:
        self.chain = chain
        self.requests: Counter[str] = Counter()  # by method
        self.reconnects = 0
        self._url = url
        self._on_height = on_height
        self._session: aiohttp.ClientSession | None = None

    async def call(self, calls: Sequence[Call]) -> list[Any]:
        """The answers, in order. Unanswered where one is missing."""
        asked = [(call, requests(call)) for call in calls]
        flat = [request for _, each in asked for request in each]
        self.requests.update(method for method, _ in flat)
        batches = [flat[place : place + MOST_BATCH] for place in range(0, len(flat), MOST_BATCH)]
        if any(isinstance(call, Broadcast) for call in calls):
            answered = [await self._post(batch) for batch in batches]
        else:
            answered = await asyncio.gather(*map(self._post, batches))
        replies = [reply for batch in answered for reply in batch]
        answers, at = [], 0
        for call, each in asked:
            answers.append(answer(call, replies[at : at + len(each)]))
            at += len(each)
        return answers

    async def _post(self, batch: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
        form = [{"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                for number, (method, params) in enumerate(batch)]  # fmt: skip
        try:
            async with self._opened().post(self._url, data=json.dumps(form), headers=_HEADERS) as response:
                replies = json.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            raise Unanswered(f"Cannot connect to {self.chain} at {self._url}: {reason}") from None
        found = _by_number(replies)
        if found.keys() != {*range(len(batch))}:
            raise Unanswered(f"{self.chain} answers {len(found)} of {len(batch)} requests: {str(replies)[:200]}")
        return [found[number] for number in range(len(batch))]

    async def listen(self) -> None:
        """Tell of new blocks, for ever."""
        wait_s = 1.0
        while True:
            try:
                async with self._opened().ws_connect(
                    f"{self._url}/websocket", heartbeat=TIMEOUT_S, max_msg_size=_LARGEST_MESSAGE
                ) as socket:
                    query = {"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": {"query": _NEWS}}
                    await socket.send_json(query)
                    async for message in socket:
                        wait_s = 1.0
                        self._told(message)
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            self.reconnects += 1
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _told(self, message: aiohttp.WSMessage) -> None:
        try:
            height = int(json.loads(message.data)["result"]["data"]["value"]["header"]["height"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return
        self._on_height(height)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class Telemetry:
    """Serves a page of metrics to whoever asks; `close` ends it."""

    def __init__(self, page: Callable[[], str]) -> None:
        application = web.Application()
        application.add_routes([web.get("/metrics", self._on_get)])
        self._page = page
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def listen(self, hosts: Iterable[str], port: int) -> None:
        await self._runner.setup()
        for host in hosts:
            await web.TCPSite(self._runner, host, port).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _on_get(self, request: web.Request) -> web.Response:
        return web.Response(text=self._page(), content_type="text/plain", charset="utf-8")


def _by_number(replies: object) -> dict[int, dict[str, Any]]:
    """The replies of a batch by the numbers of its requests; others answer none of them."""
    each = [reply for reply in replies if isinstance(reply, dict)] if isinstance(replies, list) else []
    return {reply["id"]: reply for reply in each if type(reply.get("id")) is int}


async def answered(connections: Mapping[str, Connection], calls: Sequence[Call]) -> list[Any]:
    """Answers in the order of the calls, which may be of several chains: each is asked for all that is its own at once.

    Unanswered where one is missing.
    """
    chains = list(dict.fromkeys(call.chain for call in calls))
    found = await asyncio.gather(
        *(connections[chain].call([call for call in calls if call.chain == chain]) for chain in chains)
    )
    left = {chain: iter(each) for chain, each in zip(chains, found, strict=True)}
    return [next(left[call.chain]) for call in calls]


async def chain_id_of(connection: Connection) -> str:
    """The id of a chain, once it can be reached."""
    while True:
        try:
            (status,) = await connection.call([StatusOf(connection.chain)])
        except Unanswered:
            await asyncio.sleep(1.0)
            continue
        return str(status.chain_id)
