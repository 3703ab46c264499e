"""TCP by node name on loopback: what comes is what was sent, strangers and crowds are refused, contexts close all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_net import PEERS, STRANGER, context, until

from emulator.model.errors import EmulationError
from emulator.sdk.node import NodeContext
from emulator.sdk.streams import Stream, connect, require_congestion_control

Scene = Callable[[NodeContext, NodeContext], Coroutine[Any, Any, None]]


def play(scene: Scene, run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run) -> None:
    """A scene between the nodes a and b, whose contexts close what was opened."""

    async def body() -> None:
        a, b = context("a"), context("b")
        async with asyncio.timeout(20), a.exit_stack, b.exit_stack:
            await scene(a, b)

    run(body())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@settings(max_examples=20)
@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=8), st.data())
def test_bytes_arrive_however_they_are_cut(
    run: Callable[[Coroutine[Any, Any, None]], None], parts: list[bytes], data: st.DataObject
) -> None:
    """The reader asks for pieces of other lengths than the writer has sent; both know the names of each other."""
    whole = b"".join(parts)
    pieces, left = [], len(whole)
    while left:
        pieces.append(data.draw(st.integers(1, left)))
        left -= pieces[-1]
    heard: list[bytes] = []

    async def scene(a: NodeContext, b: NodeContext) -> None:
        ended = asyncio.Event()

        async def hear(stream: Stream) -> None:
            assert stream.peer == "a"
            for number, piece in enumerate(pieces):
                if number % 2:
                    await stream.discard(piece)
                    heard.append(bytes(piece))
                else:
                    heard.append(await stream.receive_exactly(piece))
            with pytest.raises(EOFError, match="was closed"):
                await stream.receive_exactly(1)
            ended.set()

        listener = b.listen(0)
        serving = asyncio.ensure_future(listener.serve(hear))
        stream = await a.connect("b", listener.port, no_delay=True)
        assert stream.peer == "b"
        for part in parts:
            await stream.send(part)
        assert stream.info().rtt_us >= 0
        stream.close()
        stream.close()
        await ended.wait()
        assert listener.rejected == {}
        serving.cancel()

    play(scene, run)
    assert len(b"".join(heard)) == len(whole)
    at = 0
    for number, (piece, found) in enumerate(zip(pieces, heard, strict=True)):
        assert number % 2 or found == whole[at : at + piece]
        at += piece


def test_strangers_are_refused_unless_they_may_come() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        heard: list[str] = []

        async def hear(stream: Stream) -> None:
            heard.append(stream.peer)

        shut, opened = a.listen(0), a.listen(0, strangers=True)
        serving = [asyncio.ensure_future(listener.serve(hear)) for listener in (shut, opened)]
        for listener in (shut, opened):
            with closing(await connect(STRANGER, PEERS["a"].ipv4, listener.port)) as stream:
                assert await stream.receive(1) == b""
        assert heard == [STRANGER]
        assert (shut.rejected, opened.rejected) == ({"stranger": 1}, {})
        for task in serving:
            task.cancel()

    play(scene)


def test_a_crowd_is_refused_and_room_is_found_again() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        listener = a.listen(0, most=2)

        async def hear(stream: Stream) -> None:
            await stream.send(b"in")
            await stream.receive(1)

        serving = asyncio.ensure_future(listener.serve(hear))
        streams = [await b.connect("a", listener.port) for _ in range(2)]
        assert [await stream.receive_exactly(2) for stream in streams] == [b"in", b"in"]
        with closing(await b.connect("a", listener.port)) as third:
            assert await third.receive(1) == b""
        assert listener.rejected == {"crowd": 1}
        streams.pop().close()
        await until(lambda: listener._open == 1)
        streams.append(await b.connect("a", listener.port))
        assert await streams[-1].receive_exactly(2) == b"in"
        for stream in streams:
            stream.close()
        serving.cancel()

    play(scene)


def test_what_a_peer_says_wrong_ends_its_connection_only() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        async def hear(stream: Stream) -> None:
            if await stream.receive_exactly(2) != b"ok":
                raise ValueError("not ok")
            await stream.send(b"yes")

        listener = a.listen(0)
        serving = asyncio.ensure_future(listener.serve(hear))
        for said in (b"no", b"x"):  # the second one ends too soon
            with closing(await b.connect("a", listener.port)) as stream:
                await stream.send(said)
                if said == b"no":
                    assert await stream.receive(1) == b""
        await until(lambda: listener.rejected["broken"] == 2)
        with closing(await b.connect("a", listener.port)) as stream:
            await stream.send(b"ok")
            assert await stream.receive_exactly(3) == b"yes"
        serving.cancel()

    play(scene)


def test_an_error_of_the_program_ends_it() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        async def hear(stream: Stream) -> None:
            raise KeyError(stream.peer)

        listener = a.listen(0)
        serving = asyncio.ensure_future(listener.serve(hear))
        stream = await b.connect("a", listener.port)
        with pytest.raises(ExceptionGroup) as raised:
            await serving
        assert [str(error) for error in raised.value.exceptions] == ["'b'"]
        stream.close()

    play(scene)


def test_handlers_end_with_serve() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        ends: list[str] = []

        async def hear(stream: Stream) -> None:
            try:
                await stream.send(b"in")
                await stream.receive(1)
            finally:
                ends.append(stream.peer)

        listener = a.listen(0)
        serving = asyncio.ensure_future(listener.serve(hear))
        stream = await b.connect("a", listener.port)
        await stream.receive_exactly(2)
        serving.cancel()
        await asyncio.wait([serving])
        assert ends == ["b"]
        assert await stream.receive(1) == b""
        stream.close()

    play(scene)


def test_contexts_close_their_sockets_the_last_first() -> None:
    order: list[str] = []

    async def body() -> None:
        a, b = context("a"), context("b")
        async with a.exit_stack:
            listener, datagrams = a.listen(0), a.datagrams(0, lambda *_: None)
            a.exit_stack.callback(order.append, "first")
            a.exit_stack.callback(order.append, "second")
        for port in (listener.port if listener._socket.fileno() >= 0 else 0, max(datagrams._socket.fileno(), 0)):
            assert port == 0
        with pytest.raises(ConnectionRefusedError):
            await b.connect("a", 1)
        with pytest.raises(KeyError):
            await b.connect("nobody", 1)

    uvloop.run(body())
    assert order == ["second", "first"]


def test_a_port_that_is_taken_is_an_error_and_nothing_stays_open() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        listener = a.listen(0)
        with pytest.raises(OSError, match="in use"):
            a.listen(listener.port)

    play(scene)


def test_streams_over_ipv6() -> None:
    async def scene(a: NodeContext, b: NodeContext) -> None:
        async def hear(stream: Stream) -> None:
            await stream.send(b"six")

        listener = a.listen(0, version=6)
        serving = asyncio.ensure_future(listener.serve(hear))
        with closing(await b.connect("a", listener.port, version=6)) as stream:
            assert await stream.receive_exactly(3) == b"six"
        serving.cancel()

    play(scene)


def test_congestion_control_is_that_of_the_kernel() -> None:
    require_congestion_control("cubic" if "cubic" in allowed() else allowed()[0])
    with pytest.raises(EmulationError, match=r"'moon': .*; this kernel allows: "):
        require_congestion_control("moon")

    async def scene(a: NodeContext, b: NodeContext) -> None:
        listener = a.listen(0)
        with closing(await b.connect("a", listener.port, congestion=allowed()[0])) as stream:
            found = stream._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            assert found.rstrip(b"\0").decode() == allowed()[0]
        with pytest.raises(EmulationError, match="'moon'"):
            await b.connect("a", listener.port, congestion="moon")

    play(scene)


def allowed() -> list[str]:
    with open("/proc/sys/net/ipv4/tcp_allowed_congestion_control") as file:
        return file.read().split()
