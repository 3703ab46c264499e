"""The RPC server: JSON-RPC over HTTP and WebSocket, and methods as paths of URIs.

Invariant: whatever a client sends, it gets an answer in the form of JSON-RPC or is refused, and no client can make the
server hold more than its bounds; one that reads its events too slowly loses its connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from nodes.ibc.chain.ledger import Entry
from nodes.ibc.chain.pace import RateLimit
from nodes.ibc.chain.parameters import TEXT, Kind, ParameterError, read
from nodes.ibc.chain.query import QueryError
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.rpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Methods,
    RpcError,
)
from nodes.ibc.chain.shapes import result_form
from nodes.ibc.chain.subscriptions import Subscriptions, notices
from nodes.ibc.chain.transactions import tx_hash

__all__ = ["Server"]

MOST_BYTES = 4 << 20  # of a request
MOST_BATCH = 100  # requests in one
MOST_CONNECTIONS = 256  # WebSockets
MOST_WAITING = 4096  # messages for one connection
COMMIT_TIMEOUT_S = 10.0  # CometBFT's timeout_broadcast_tx_commit
COMMIT = "broadcast_tx_commit"
SUBSCRIBING: Mapping[str, Mapping[str, Kind]] = {
    "subscribe": {"query": TEXT},
    "unsubscribe": {"query": TEXT},
    "unsubscribe_all": {},
}
TOO_MANY = "too many requests"
Json = dict[str, Any]


class _Connection:
    """A WebSocket: its subscriptions, and what is to be sent."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.waiting: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self.slow = asyncio.Event()  # it does not read what it has asked for

    def put(self, message: Json) -> None:
        try:
            self.waiting.put_nowait(json.dumps(message))
        except asyncio.QueueFull:
            self.slow.set()


class Server:
    """The RPC of one node; `close` ends it."""

    def __init__(self, methods: Methods, now_s: Callable[[], float], requests_per_s: float = 0.0) -> None:
        self._methods = methods
        self._now_s = now_s
        self._limit = RateLimit(requests_per_s) if requests_per_s else None
        self._connections: set[_Connection] = set()
        self._committing: dict[bytes, list[asyncio.Future[Json]]] = {}
        application = web.Application(client_max_size=MOST_BYTES)
        application.add_routes(
            [
                web.post("/", self._on_post),
                web.get("/", self._on_index),
                web.get("/websocket", self._on_websocket),
                web.get("/{method}", self._on_uri),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    async def listen(self, host: str, port: int) -> int:
        """Serve on an address; the port, which was chosen where 0 was given."""
        if self._runner.server is None:
            await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[-1][1])

    async def close(self) -> None:
        for connection in self._connections:
            connection.slow.set()
        await self._runner.cleanup()

    def publish(self, entry: Entry) -> None:
        """Tell subscribers of a block, and those who wait for its transactions."""
        for transacted in entry.transactions:
            form = {"height": str(transacted.height), "tx_result": result_form(transacted.result)}
            for future in self._committing.pop(transacted.hash, ()):
                if not future.done():
                    future.set_result(form)
        if self._connections:
            kinds = set().union(*(connection.subscriptions.kinds() for connection in self._connections))
            for notice in notices(entry, kinds):
                for connection in self._connections:
                    for message in connection.subscriptions.messages(notice):
                        connection.put(message)

    async def _on_index(self, request: web.Request) -> web.Response:
        lines = "".join(f"/{name}?{'&'.join(m.parameters)}\n" for name, m in sorted(self._methods.table.items()))
        return web.Response(text=f"Available endpoints:\n{lines}")

    async def _on_uri(self, request: web.Request) -> web.Response:
        self._require_rate(request)
        name = request.match_info["method"]
        if name not in self._methods.table and name != COMMIT:
            raise web.HTTPNotFound(text=f"no method {name}")
        try:
            result = await self._call(name, dict(request.query), uri=True)
        except RpcError as error:
            return web.json_response({"jsonrpc": "2.0", "id": -1, "error": error.form()}, status=500)
        return web.json_response({"jsonrpc": "2.0", "id": -1, "result": result})

    async def _on_post(self, request: web.Request) -> web.Response:
        self._require_rate(request)
        try:
            asked = json.loads(await request.text())
        except (ValueError, RecursionError):
            return web.json_response(_failed(None, RpcError(PARSE_ERROR, "the body is no JSON")))
        if not isinstance(asked, list):
            return web.json_response(await self._answered(asked))
        if not 0 < len(asked) <= MOST_BATCH:
            words = f"a batch of {len(asked)} requests; expected 1 to {MOST_BATCH}"
            return web.json_response(_failed(None, RpcError(INVALID_REQUEST, words)))
        return web.json_response([await self._answered(each) for each in asked])

    async def _on_websocket(self, request: web.Request) -> web.WebSocketResponse:
        if len(self._connections) >= MOST_CONNECTIONS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_CONNECTIONS} connections are open")
        socket = web.WebSocketResponse(max_msg_size=MOST_BYTES, heartbeat=30.0)
        await socket.prepare(request)
        connection = _Connection()
        self._connections.add(connection)
        tasks = [
            asyncio.ensure_future(each)
            for each in (self._receive(request, socket, connection), _send(socket, connection), connection.slow.wait())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await socket.close(code=WSCloseCode.TRY_AGAIN_LATER if connection.slow.is_set() else WSCloseCode.OK)
        return socket

    async def _receive(self, request: web.Request, socket: web.WebSocketResponse, connection: _Connection) -> None:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                return
            try:
                asked = json.loads(message.data)
            except (ValueError, RecursionError):
                connection.put(_failed(None, RpcError(PARSE_ERROR, "the message is no JSON")))
                continue
            if self._limit and not self._limit.allows(request.remote or "", self._now_s()):
                connection.put(_failed(_id(asked), RpcError(INTERNAL_ERROR, TOO_MANY)))
                continue
            connection.put(await self._answered(asked, connection))

    def _require_rate(self, request: web.Request) -> None:
        if self._limit and not self._limit.allows(request.remote or "", self._now_s()):
            raise web.HTTPTooManyRequests(text=TOO_MANY)

    async def _answered(self, asked: Any, connection: _Connection | None = None) -> Json:
        """The answer to one request."""
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return _failed(
                _id(asked), RpcError(INVALID_REQUEST, "expected an object with jsonrpc, id, method and params")
            )
        name, given = asked["method"], asked.get("params") or {}
        try:
            if connection is not None and name in SUBSCRIBING:
                result: Json = _subscribed(connection.subscriptions, asked.get("id"), name, given)
            else:
                result = await self._call(name, given)
        except RpcError as error:
            return _failed(_id(asked), error)
        return {"jsonrpc": "2.0", "id": _id(asked), "result": result}

    async def _call(self, name: str, given: Any, *, uri: bool = False) -> Json:
        """Call a method. RpcError where there is none of that name, or where it cannot answer."""
        method = self._methods.table.get("broadcast_tx_sync" if name == COMMIT else name)
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, f"{name[:64]!r}; there is {', '.join(sorted(self._methods.table))}")
        try:
            parameters = read(method.parameters, given, uri=uri)
        except ParameterError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return await self._committed(**parameters) if name == COMMIT else method.answer(**parameters)

    async def _committed(self, tx: bytes) -> Json:
        """Submit a transaction, and answer when it is in a block."""
        checked = self._methods.broadcast_tx_sync(tx)
        result = TxResult(code=checked["code"], log=checked["log"], codespace=checked["codespace"])
        answer = {"check_tx": result_form(result), "hash": checked["hash"]}
        if result.code:
            return {**answer, "tx_result": result_form(TxResult()), "height": "0"}
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        name = tx_hash(tx)
        waiting = self._committing.setdefault(name, [])
        waiting.append(future)
        try:
            return {**answer, **await asyncio.wait_for(future, COMMIT_TIMEOUT_S)}
        except TimeoutError:
            raise RpcError(INTERNAL_ERROR, "timed out waiting for tx to be included in a block") from None
        finally:  # also where the client has gone
            waiting.remove(future)
            if not waiting:
                self._committing.pop(name, None)


async def _send(socket: web.WebSocketResponse, connection: _Connection) -> None:
    while True:
        await socket.send_str(await connection.waiting.get())


def _subscribed(subscriptions: Subscriptions, id: Any, name: str, given: Any) -> Json:
    """Subscribe, or end one subscription or all."""
    try:
        query = read(SUBSCRIBING[name], given).get("query", "")
        if name == "subscribe":
            subscriptions.add(id, query)
        elif name == "unsubscribe":
            subscriptions.remove(query)
        else:
            subscriptions.clear()
    except (ParameterError, QueryError) as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None
    except ValueError as error:
        raise RpcError(INTERNAL_ERROR, str(error)) from None
    return {}


def _id(asked: Any) -> Any:
    """The id of a request, where it has one that an answer may have."""
    id = asked.get("id") if isinstance(asked, dict) else None
    return id if isinstance(id, int | str) else None


def _failed(id: Any, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": id, "error": error.form()}
