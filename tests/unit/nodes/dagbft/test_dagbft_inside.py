"""Links within a process: in order, in a later turn, refused by class, and an error that ends whoever runs them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emulator.sdk.transport.inside import Exchange
from nodes.dagbft.messages import Cleanup, Message, SubmitTx, Subscribe

NOWHERE: Any = None  # the context: there is nothing to listen on


def play(scene) -> None:  # type: ignore[no-untyped-def]
    asyncio.run(scene())


def test_messages_arrive_in_order_in_a_later_turn_and_are_answered() -> None:
    async def scene() -> None:
        came: list[tuple[str, Message]] = []
        exchange = Exchange()
        link = exchange.link(
            NOWHERE, lambda who, what: came.append((who, what)), service="primary", label="worker-0", port=1,
            accepts=(Cleanup,),
        )  # fmt: skip

        def answer(label: str, message: Message) -> None:
            came.append((label, message))
            server.send(label, Cleanup(7))

        server = exchange.server(NOWHERE, answer, service="primary", port=1, accepts=(Subscribe,))
        assert not server.send("worker-0", Cleanup(1))  # it has not called yet
        assert await server.open() == 0
        assert link.send("primary", Subscribe(1))
        assert link.send("primary", Subscribe(2))
        assert not link.send("worker-0", Subscribe(3))  # nobody listens there
        assert came == []
        await asyncio.sleep(0)
        assert came == [("worker-0", Subscribe(1)), ("worker-0", Subscribe(2))]
        await asyncio.sleep(0)
        assert came[2:] == [("primary", Cleanup(7)), ("primary", Cleanup(7))]

    play(scene)


def test_a_caller_is_known_once_it_runs() -> None:
    async def scene() -> None:
        came: list[Message] = []
        exchange = Exchange()
        link = exchange.link(
            NOWHERE, lambda who, what: came.append(what), service="primary", label="client", port=1, accepts=(Cleanup,)
        )
        server = exchange.server(NOWHERE, lambda label, what: None, service="primary", port=1, accepts=())
        running = asyncio.ensure_future(link.run())
        await asyncio.sleep(0)
        assert server.send("client", Cleanup(1))
        await asyncio.sleep(0)
        assert came == [Cleanup(1)]
        link.close()
        assert server.send("client", Cleanup(2))
        await asyncio.sleep(0)
        assert came == [Cleanup(1)]
        assert running.cancelled() or running.cancelling() or running.done()

    play(scene)


def test_what_is_not_accepted_is_counted_and_errors_end_the_run() -> None:
    async def scene() -> None:
        def fail(label: str, message: Message) -> None:
            raise RuntimeError("out of order")

        exchange = Exchange()
        server = exchange.server(NOWHERE, fail, service="primary", port=1, accepts=(Subscribe,))
        link = exchange.link(NOWHERE, fail, service="primary", label="client", port=1, accepts=())
        link.send("primary", SubmitTx(b"x"))
        await asyncio.sleep(0)
        assert server.rejected == {("type", "client"): 1}
        link.send("primary", Subscribe(1))
        with pytest.raises(RuntimeError, match="out of order"):
            await server.run()

    play(scene)
