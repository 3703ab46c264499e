"""Links by node name on loopback: order, lost connections, bounded queues, and who may come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest
import uvloop
from sdk_net import PEERS, STRANGER, context, until

from emulator.sdk.streams import Stream, connect
from emulator.sdk.transport.codec import BytesCodec
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.frames import MAGIC, Hello, data_head, hello_frame
from emulator.sdk.transport.links import Links

SOON = LinkConfig(retry_least_s=0.01, retry_most_s=0.02, heartbeat_s=0.2, silence_s=2.0)
CODEC = BytesCodec(1000)
Heard = dict[str, list[tuple[str, bytes]]]


async def made(heard: Heard, config: LinkConfig = SOON) -> dict[str, Links[bytes]]:
    """Links of a, b and c, which all know each other. Who dials must know the ports of those whose names come later."""
    links: dict[str, Links[bytes]] = {}
    ports: dict[str, int] = {}
    for name in sorted(PEERS, reverse=True):
        heard[name] = []

        def on_message(peer: str, message: bytes, name: str = name) -> None:
            heard[name].append((peer, message))

        links[name] = Links(
            context(name), CODEC, on_message, peers=PEERS, service="talk", port=0, config=config, ports=dict(ports)
        )
        ports[name] = await links[name].open()
    return links


@asynccontextmanager
async def running(*links: Links[bytes]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.ensure_future(each.run()) for each in links]
    try:
        async with asyncio.timeout(20):
            yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in links:
            each.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_peers_hear_each_other_by_name_and_in_order(run) -> None:  # type: ignore[no-untyped-def]
    async def play() -> None:
        heard: Heard = {}
        links = await made(heard)
        assert links["a"].peers == ("b", "c")
        async with running(*links.values()):
            for number in range(50):
                for name in PEERS:
                    assert links[name].broadcast(b"%s %d" % (name.encode(), number)) == 2
            await until(lambda: all(len(each) == 100 for each in heard.values()))
            for name, each in heard.items():
                for peer in PEERS.keys() - {name}:
                    said = [message for sender, message in each if sender == peer]
                    assert said == [b"%s %d" % (peer.encode(), number) for number in range(50)]
            assert links["b"].connected() == {"a", "c"}
            assert not any(each.rejected for each in links.values())

    run(play())


def test_a_lost_connection_is_made_anew_and_nothing_is_lost() -> None:
    async def play() -> None:
        heard: Heard = {}
        links = await made(heard)
        async with running(*links.values()):
            for round in range(5):
                await until(lambda: links["a"].connected() == {"b", "c"} and "a" in links["b"].connected())
                for line in list(links["b"]._whose):
                    line.abort()
                links["a"].send("b", b"%d" % round)
                links["b"].send("a", b"%d" % round)
            await until(lambda: len([1 for peer, _ in heard["b"] if peer == "a"]) == 5)
            await until(lambda: len([1 for peer, _ in heard["a"] if peer == "b"]) == 5)
            for to, peer in (("a", "b"), ("b", "a")):
                assert [message for sender, message in heard[to] if sender == peer] == [b"%d" % n for n in range(5)]
            assert links["a"].counters()["reconnects"] >= 1

    uvloop.run(play())


def test_a_queue_has_a_bound_and_what_is_not_taken_is_counted() -> None:
    async def play() -> None:
        links = await made({}, LinkConfig(queue_bytes=10_000.0))
        taken = 0
        while links["a"].send("b", bytes(800)):  # nobody runs
            taken += 1
        assert taken == 9
        assert links["a"].counters()["full"] == 1
        assert links["a"].counters()["kept_bytes"] <= 10_000
        with pytest.raises(ValueError, match="expected at most 1000"):
            links["a"].send("b", bytes(1001))
        for each in links.values():
            each.close()

    uvloop.run(play())


def test_only_peers_come_in_and_only_under_their_names() -> None:
    async def ended(stream: Stream) -> None:
        """The other side has ended it, before or after it had read everything."""
        with closing(stream), suppress(ConnectionResetError):
            assert await stream.receive(1) == b""

    async def greet(host: str, to: Links[bytes], label: bytes, service: bytes = b"talk") -> Stream:
        stream = await connect(host, PEERS["b"].ipv4, to.port)
        await stream.send(hello_frame(Hello(MAGIC, service, label, 0, 9, 0, 0)) + data_head(1, 3) + b"\0hi")
        return stream

    async def play() -> None:
        heard: Heard = {}
        links = await made(heard)
        b = links["b"]
        async with running(b):
            refused = [
                await greet(STRANGER, b, b"a"),
                await greet(PEERS["a"].ipv4, b, b"c"),
                await greet(PEERS["a"].ipv4, b, b"nobody"),
                await greet(PEERS["a"].ipv4, b, b"a", b"other"),
            ]
            for stream in refused:
                await ended(stream)
            assert b.rejected == {("stranger", STRANGER): 1, ("stranger", "127.0.0.2"): 2, ("service", "127.0.0.2"): 1}
            assert heard["b"] == []
            peer = await greet(PEERS["a"].ipv4, b, b"a")
            await until(lambda: heard["b"] == [("a", b"hi")])
            await peer.send(data_head(2, 1) + b"\7" + data_head(3, 1002) + b"\0" + bytes(1001))
            await until(lambda: b.rejected["oversized", "a"] == 1)
            assert b.rejected["type", "a"] == 1
            peer.close()
        for name in ("a", "c"):
            links[name].close()

    uvloop.run(play())


def test_what_a_handler_raises_ends_the_run() -> None:
    async def play() -> None:
        links = await made({})
        links["b"]._on_message = lambda peer, message: (_ for _ in ()).throw(KeyError(peer))
        async with running(*links.values()) as tasks:
            links["a"].send("b", b"boom")
            with pytest.raises(KeyError, match="a"):
                await tasks[list(links).index("b")]

    uvloop.run(play())


def test_a_peer_must_be_a_node_of_the_run() -> None:
    async def play() -> None:
        with pytest.raises(KeyError, match="moon"):
            Links(context("a"), CODEC, lambda *_: None, peers=["b", "moon"], service="talk", port=0)

    uvloop.run(play())
