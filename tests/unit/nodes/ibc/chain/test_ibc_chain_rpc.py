"""The RPC of a chain over real sockets: JSON-RPC, URIs, batches, WebSocket subscriptions, and all that is refused."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from ibc_chain import GENESIS_NS, Ticking, address, send, settings

from nodes.ibc.chain.chain import Limits
from nodes.ibc.chain.genesis import chain_of, genesis_form, queries_of
from nodes.ibc.chain.parameters import FLAG, HEX, NUMBER, OCTETS, TEXT, ParameterError, read
from nodes.ibc.chain.rpc import Methods
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.comet.json_form import read_header

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")


@dataclass
class Served:
    """A chain with its server, and a client."""

    ticking: Ticking
    server: Any
    client: Any
    url: str

    async def post(self, body: Any) -> Any:
        async with self.client.post(self.url, data=body if isinstance(body, bytes) else json.dumps(body)) as answer:
            assert answer.status == 200
            return await answer.json()

    async def call(self, method: str, **params: Any) -> Any:
        answer = await self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
        assert answer["id"] == 7
        return answer.get("result") if "result" in answer else answer["error"]

    def block(self) -> None:
        self.server.publish(self.ticking.block())


@asynccontextmanager
async def served(requests_per_s: float = 0.0, **changes: object) -> AsyncIterator[Served]:
    from nodes.ibc.chain.server import Server

    made = settings(**changes)
    ticking = Ticking(chain_of(made, GENESIS_NS))
    genesis = genesis_form(made, ticking.chain)
    methods = Methods(ticking.chain, queries_of(ticking.chain, "stake"), "n0", "tcp://127.0.0.1:0", genesis)
    server = Server(methods, lambda: 0.0, requests_per_s)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as client:
        port = await server.listen("127.0.0.1", 0)
        try:
            it = Served(ticking, server, client, f"http://127.0.0.1:{port}/")
            it.block()
            yield it
        finally:
            await server.close()


def run(test: Callable[[Served], Coroutine[Any, Any, None]], **given: Any) -> None:
    async def session() -> None:
        async with asyncio.timeout(30), served(**given) as it:
            await test(it)

    asyncio.run(session())


def test_blocks_headers_and_status() -> None:
    async def test(it: Served) -> None:
        it.block()
        status = await it.call("status")
        assert status["sync_info"]["latest_block_height"] == "2"
        assert status["node_info"]["network"] == "skyloom-1"
        block = await it.call("block", height="2")
        header = read_header(block["block"]["header"])
        assert header_hash(header).hex().upper() == block["block_id"]["hash"]
        assert header == it.ticking.chain.ledger[2].block.header
        assert (await it.call("block"))["block"] == block["block"]
        assert (await it.call("commit", height="1"))["canonical"] is True
        found = await it.call("block_by_hash", hash=b64encode(header_hash(header)).decode())
        assert found["block"]["header"]["height"] == "2"
        assert (await it.call("header", height="2"))["header"] == block["block"]["header"]
        assert (await it.call("blockchain", minHeight="1", maxHeight="9"))["last_height"] == "2"
        assert (await it.call("validators", height="1", per_page="3"))["count"] == "3"
        assert (await it.call("validators", height="1", per_page="3", page="2"))["count"] == "1"
        assert (await it.call("genesis"))["genesis"]["chain_id"] == "skyloom-1"
        assert (await it.call("abci_info"))["response"]["last_block_height"] == "2"
        assert await it.call("health") == {}
        assert (await it.call("net_info"))["n_peers"] == "0"

    run(test)


def test_transactions_are_broadcast_and_found() -> None:
    async def test(it: Served) -> None:
        data = b64encode(it.ticking.tx("alice", send("alice", "bob", stake=7))).decode()
        sent = await it.call("broadcast_tx_sync", tx=data)
        assert sent["code"] == 0
        assert (await it.call("num_unconfirmed_txs"))["total"] == "1"
        assert (await it.call("unconfirmed_txs", limit="5"))["txs"] == [data]
        again = await it.call("broadcast_tx_sync", tx=data)
        assert (again["code"], again["data"]) == (-32603, "tx already exists in cache")
        it.block()
        hash = b64encode(bytes.fromhex(sent["hash"])).decode()
        found = await it.call("tx", hash=hash, prove=True)
        assert (found["height"], found["tx"], found["proof"]["proof"]["total"]) == ("2", data, "1")
        query = f"transfer.recipient='{address('bob')}' AND tx.height>=2"
        assert (await it.call("tx_search", query=query))["txs"][0]["hash"] == sent["hash"]
        assert (await it.call("tx_search", query="tx.height>2"))["total_count"] == "0"
        assert (await it.call("block_search", query="block.height=2"))["total_count"] == "1"
        assert (await it.call("block_results", height="2"))["txs_results"][0]["code"] == 0
        assert (await it.call("block_results", height="1"))["txs_results"] is None
        assert (await it.call("tx", hash=b64encode(bytes(32)).decode()))["data"] == f"tx ({'00' * 32}) not found"
        broken = await it.call("broadcast_tx_sync", tx=b64encode(b"nothing").decode())
        assert (broken["code"], broken["codespace"]) == (2, "sdk")
        assert (await it.call("broadcast_tx_async", tx=b64encode(b"nothing").decode()))["code"] == 0

    run(test)


def test_broadcast_tx_commit_answers_when_the_block_is_there() -> None:
    async def test(it: Served) -> None:
        data = b64encode(it.ticking.tx("alice", send("alice", "bob", stake=7))).decode()
        answer = asyncio.ensure_future(it.call("broadcast_tx_commit", tx=data))
        while not len(it.ticking.chain.mempool):  # noqa: ASYNC110 - a mempool tells nobody
            await asyncio.sleep(0.001)
        it.block()
        assert (await answer)["height"] == "2"
        refused = await it.call("broadcast_tx_commit", tx=b64encode(b"nothing").decode())
        assert refused["check_tx"]["code"] == 2

    run(test)


def test_a_broadcast_that_no_block_answers_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.ibc.chain.server.COMMIT_TIMEOUT_S", 0.01)

    async def test(it: Served) -> None:
        data = b64encode(it.ticking.tx("alice", send("alice", "bob", stake=7))).decode()
        assert "timed out" in (await it.call("broadcast_tx_commit", tx=data))["data"]
        assert not it.server._committing
        it.block()

    run(test)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", -32700, "no JSON"),
        (b"[" * 100_000, -32700, "no JSON"),
        (b"7", -32600, "expected an object"),
        (b"[]", -32600, "a batch of 0 requests; expected 1 to 100"),
        ({"id": 7, "method": 3}, -32600, "expected an object"),
        ({"id": 7, "method": "brodcast"}, -32601, "'brodcast'; there is abci_info"),
        ({"id": 7, "method": "block", "params": {"height": "x"}}, -32602, "height 'x'; expected a whole number"),
        ({"id": 7, "method": "block", "params": {"hight": "1"}}, -32602, "parameter 'hight'; expected one of height"),
        ({"id": 7, "method": "block", "params": "1"}, -32602, "params that are no object and no array"),
        ({"id": 7, "method": "block", "params": {"height": "9"}}, -32603, "height 9 must be less than or equal to"),
        ({"id": 7, "method": "block", "params": {"height": "-1"}}, -32603, "height must be greater than 0, but got -1"),
        ({"id": 7, "method": "tx_search", "params": {"query": "a ="}}, -32602, "failed to parse query"),
        ({"id": 7, "method": "tx_search", "params": {"query": "a = 1", "page": "2"}}, -32602, "within [1, 1] range"),
        ({"id": 7, "method": "tx_search", "params": {"query": "a = 1", "order_by": "up"}}, -32602, "expected order_by"),
        ({"id": 7, "method": "subscribe", "params": {"query": "tm.event='Tx'"}}, -32601, "'subscribe'; there is"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request_is_said(body: Any, code: int, words: str) -> None:
    async def test(it: Served) -> None:
        error = (await it.post(body))["error"]
        assert error["code"] == code
        assert words in error["data"]

    run(test)


def test_batches_arrays_and_uris() -> None:
    async def test(it: Served) -> None:
        answers = await it.post([{"id": n, "method": "block", "params": ["1"]} for n in (1, 2)])
        assert [answer["id"] for answer in answers] == [1, 2]
        async with it.client.get(f"{it.url}block?height=1") as answer:
            assert (await answer.json())["result"]["block"]["header"]["height"] == "1"
        async with it.client.get(f'{it.url}tx_search?query="tx.height=1"&prove=true') as answer:
            assert (await answer.json())["result"]["total_count"] == "0"
        async with it.client.get(f"{it.url}tx?hash=0x{'00' * 32}") as answer:
            assert answer.status == 500
            assert "not found" in (await answer.json())["error"]["data"]
        async with it.client.get(f"{it.url}nothing") as answer:
            assert answer.status == 404
        async with it.client.get(it.url) as answer:
            assert "/abci_query?path&data&height&prove" in await answer.text()
        async with it.client.post(it.url, data=BytesIO(bytes(5 << 20))) as answer:
            assert answer.status == 413

    run(test)


def test_subscribers_are_told() -> None:
    async def test(it: Served) -> None:
        async with it.client.ws_connect(f"{it.url}websocket") as socket:

            async def ask(id: int, method: str, query: str = "") -> Any:
                await socket.send_json({"id": id, "method": method, "params": {"query": query} if query else {}})
                return await socket.receive_json()

            assert await ask(1, "subscribe", "tm.event='NewBlock'") == {"jsonrpc": "2.0", "id": 1, "result": {}}
            recipient = f"tm.event='Tx' AND transfer.recipient='{address('bob')}'"
            await ask(2, "subscribe", recipient)
            assert (await ask(3, "subscribe", recipient))["error"]["data"] == "already subscribed"
            assert (await ask(4, "subscribe", "x"))["error"]["code"] == -32602
            assert (await ask(5, "status"))["result"]["sync_info"]["latest_block_height"] == "1"
            it.ticking.chain.submit(it.ticking.tx("alice", send("alice", "bob", stake=7)))
            it.ticking.chain.submit(it.ticking.tx("alice", send("alice", "carol", stake=7)))
            it.block()
            first, second = [await socket.receive_json() for _ in range(2)]
            assert first["id"] == 1
            assert first["result"]["data"]["type"] == "tendermint/event/NewBlock"
            assert first["result"]["data"]["value"]["block"]["header"]["height"] == "2"
            assert second["result"]["query"] == recipient
            assert second["result"]["data"]["value"]["TxResult"]["index"] == 0
            assert second["result"]["events"]["transfer.recipient"][-1] == address("bob")
            assert await ask(6, "unsubscribe", recipient) == {"jsonrpc": "2.0", "id": 6, "result": {}}
            assert (await ask(7, "unsubscribe", recipient))["error"]["data"] == "subscription not found"
            await ask(8, "unsubscribe_all")
            it.block()
            assert (await ask(9, "health"))["id"] == 9  # and nothing of the block before it
            for number in range(32):
                await ask(10, "subscribe", f"tx.height={number}")
            assert (await ask(11, "subscribe", "tx.height=99"))["error"]["data"].endswith("32 reached")
            await socket.send_str("{")
            assert (await socket.receive_json())["error"]["code"] == -32700

    run(test)


def test_a_subscriber_that_does_not_read_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    import nodes.ibc.chain.server as server

    monkeypatch.setattr(server, "MOST_WAITING", 3)

    async def test(it: Served) -> None:
        async with it.client.ws_connect(f"{it.url}websocket") as socket:
            await socket.send_json({"id": 1, "method": "subscribe", "params": {"query": "tm.event='NewBlock'"}})
            await socket.receive_json()
            for _ in range(5):
                it.block()  # without a turn for the socket
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert message.data == aiohttp.WSCloseCode.TRY_AGAIN_LATER

    run(test)


def test_requests_are_limited() -> None:
    async def test(it: Served) -> None:
        statuses = []
        for _ in range(4):
            async with it.client.get(f"{it.url}health") as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 200, 429]

    run(test, requests_per_s=3.0)


def test_what_was_pruned_is_said_to_be() -> None:
    async def test(it: Served) -> None:
        for _ in range(5):
            it.block()
        assert (await it.call("block", height="2"))["data"] == "height 2 is not available, lowest height is 4"
        answer = await it.call("abci_query", path="/store/bank/key", data="00" + b"stake".hex(), height="2", prove=True)
        assert answer["response"]["code"] == 18
        assert "version 2; expected 4 to 6, which are kept" in answer["response"]["log"]
        assert (await it.call("status"))["sync_info"]["earliest_block_height"] == "4"

    run(test, keep_blocks=3, limits=Limits())


def test_parameters() -> None:
    declared = {"a": NUMBER, "b": FLAG, "c": TEXT, "d": OCTETS, "e": HEX}
    plain = {"a": 3, "b": True, "c": "x", "d": b"x", "e": b"\x01"}
    assert read(declared, {"a": "3", "b": True, "c": "x", "d": "eA==", "e": "01"}) == plain
    assert read(declared, {"a": "3", "b": "true", "c": '"x"', "d": '"x"', "e": "0x01"}, uri=True) == plain
    assert read(declared, {}) == {"a": 0, "b": False, "c": "", "d": b"", "e": b""}
    for wrong in (
        {"a": True},
        {"a": "3.5"},
        {"b": "true"},
        {"c": 3},
        {"d": "x"},
        {"e": "0"},
        {"f": 1},
        [1, 2, 3, 4, 5, 6],
    ):
        with pytest.raises(ParameterError):
            read(declared, wrong)
    for text in ({"c": "x"}, {"d": "x"}, {"b": "maybe"}, {"a": ""}):
        with pytest.raises(ParameterError):
            read(declared, text, uri=True)
