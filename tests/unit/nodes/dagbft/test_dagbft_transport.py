"""Meshes over loopback sockets: order, replay after lost connections, restarts, bounded queues, silence."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from dagbft_net import HOST, SEED, SOON, Inbox, context, meshes, running, until

from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.frames import MAGIC, Hello, data_head, hello_frame
from emulator.sdk.transport.local import LocalServer
from nodes.dagbft.identity import Identity
from nodes.dagbft.links import validator_mesh
from nodes.dagbft.messages import CODEC, Batch, BatchRequest, Message, Vote
from nodes.dagbft.wire import encode


def asked(number: int) -> BatchRequest:
    return BatchRequest((number.to_bytes(32, "big"),))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_everybody_hears_everybody_in_order(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(4)
        async with running(*made):
            for number in range(50):
                for mesh in made:
                    assert mesh.broadcast(asked(number)) == 3
            for me, inbox in enumerate(inboxes):
                came = await inbox.until(150)
                assert {key for key, _ in came} == set(range(4)) - {me}
                for peer in made[me].others:
                    assert [message for key, message in came if key == peer] == [asked(number) for number in range(50)]
            assert all(mesh.counters()["rejected"] == 0 for mesh in made)
            assert made[0].connected() == {1, 2, 3}

    run(play())


def test_connections_that_are_cut_within_frames_lose_and_repeat_nothing() -> None:
    async def play() -> None:
        made, inboxes, wires = await meshes(2, wire=True)
        wires[1].budgets = [4_000, 9_001, 20_017, 33_333, 70_000]
        sent: list[Message] = [Batch(bytes([number]) * 997) for number in range(200)]
        back: list[Message] = [asked(number) for number in range(200)]
        async with running(*made):
            for number in range(200):
                assert made[0].send(1, sent[number])
                assert made[1].send(0, back[number])
            assert [message for _, message in await inboxes[1].until(200)] == sent
            assert [message for _, message in await inboxes[0].until(200)] == back
            assert wires[1].connections > 5
            assert made[0].counters()["replayed"] > 0
            assert made[0].counters()["received"] == made[1].counters()["received"] == 200
            await until(lambda: made[0].counters()["kept_bytes"] == 0)  # everything acknowledged
        await wires[1].close()
        await wires[0].close()

    uvloop.run(play())


def test_a_receiver_that_restarts_gets_what_was_not_acknowledged() -> None:
    async def play() -> None:
        made, _, wires = await meshes(2, wire=True)
        inbox = Inbox()
        names = ["v0", "v1"]
        async with running(made[0]):
            async with running(made[1]):
                await until(lambda: made[0].connected() == {1})
            wires[1].cut()  # the process is gone
            for number in range(10):
                made[0].send(1, asked(number))
            again = validator_mesh(
                context("v1", names), Identity.of(SEED, "v1"), names, inbox, service="primary", port=0
            )
            wires[1].to = await again.open()
            async with running(again):
                assert [message for _, message in await inbox.until(10)] == [asked(number) for number in range(10)]
        for wire in wires:
            await wire.close()

    uvloop.run(play())


def test_a_sender_that_restarts_is_heard_from_its_first_message() -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(2)
        names, ports = ["v0", "v1"], [0, made[1].port]
        async with running(made[1]):
            async with running(made[0]):
                made[0].broadcast(asked(1))
                await inboxes[1].until(1)
            again = validator_mesh(
                context("v0", names), Identity.of(SEED, "v0"), names, Inbox(), service="primary", port=0, config=SOON,
                ports=ports,
            )  # fmt: skip
            async with running(again):
                again.broadcast(asked(2))
                assert await inboxes[1].until(2) == [(0, asked(1)), (0, asked(2))]

    uvloop.run(play())


def test_a_queue_has_a_bound_and_collected_rounds_make_room() -> None:
    async def play() -> None:
        config = LinkConfig(queue_bytes=100_000.0)
        made, _, _ = await meshes(2, config)  # nobody runs: nothing is sent
        vote = Vote(bytes(32), 1, 0, 0, bytes(64))
        taken = 0
        while made[0].send(1, vote, round=taken):
            taken += 1
        counters = made[0].counters()
        assert 200 < taken < 1000
        assert counters["full"] == 1
        assert counters["kept_bytes"] <= 100_000
        made[0].forget(9)
        assert made[0].counters()["forgotten"] == 10
        assert [made[0].send(1, vote) for _ in range(11)] == [True] * 10 + [False]
        for mesh in made:
            mesh.close()

    uvloop.run(play())


def test_a_connection_that_falls_silent_is_given_up_and_made_anew() -> None:
    async def play() -> None:
        config = LinkConfig(retry_least_s=0.01, retry_most_s=0.02, heartbeat_s=0.05, silence_s=0.3)
        made, inboxes, wires = await meshes(2, config, wire=True)
        async with running(*made):
            made[0].send(1, asked(0))
            await inboxes[1].until(1)
            wires[1].frozen = True
            made[1].send(0, asked(1))
            await until(lambda: wires[1].connections >= 2)
            assert inboxes[0].messages == []
            wires[1].frozen = False
            assert await inboxes[0].until(1) == [(1, asked(1))]
        for wire in wires:
            await wire.close()

    uvloop.run(play())


def test_an_idle_connection_stays() -> None:
    async def play() -> None:
        config = LinkConfig(heartbeat_s=0.02, silence_s=0.1)
        made, inboxes, _ = await meshes(2, config)
        async with running(*made):
            await until(lambda: made[0].connected() == {1})
            loop = asyncio.get_running_loop()
            until_s = loop.time() + 0.3
            await until(lambda: loop.time() > until_s)
            assert made[0].counters()["reconnects"] == 0
            made[0].send(1, asked(1))
            await inboxes[1].until(1)

    uvloop.run(play())


def test_what_a_handler_raises_ends_the_run() -> None:
    class Broken(Exception):
        pass

    async def play() -> None:
        made, inboxes, _ = await meshes(2)
        inboxes[1].error = Broken()
        async with running(*made) as tasks:
            made[0].send(1, asked(1))
            with pytest.raises(Broken):
                await tasks[1]

    uvloop.run(play())


def test_a_process_that_slept_gives_nobody_up() -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(2, LinkConfig(heartbeat_s=0.05, silence_s=0.1))
        async with running(*made):
            await until(lambda: made[0].connected() == {1})
            time.sleep(0.3)  # noqa: ASYNC251 - the loop stands still, as on a machine with too much to do
            made[0].send(1, asked(1))
            await inboxes[1].until(1)
            assert made[0].counters()["reconnects"] == made[1].counters()["reconnects"] == 0

    uvloop.run(play())


def test_a_flood_leaves_other_links_and_timers_their_turns() -> None:
    """libuv would read eight megabytes in one go, here a hundred thousand messages; one read has a quarter of one."""
    count = 50_000
    flood = hello_frame(Hello(MAGIC, b"primary", b"flood", 0, 9, 0, 0)) + b"".join(
        data_head(number, 35) + encode(asked(number)) for number in range(1, count + 1)
    )

    async def play() -> None:
        inbox = Inbox()
        server = LocalServer(context("v0", ["v0"]), CODEC, inbox, service="primary", port=0)
        port = await server.open()
        async with running(server):
            with socket.create_connection((HOST, port)) as flooding:
                sending = asyncio.get_running_loop().run_in_executor(None, flooding.sendall, flood)
                most, before = 0, 0
                while len(inbox.messages) < count:
                    await asyncio.sleep(0)
                    most, before = max(most, len(inbox.messages) - before), len(inbox.messages)
                await sending
        assert most < 10_000

    uvloop.run(play())


def test_a_validator_must_be_among_the_validators() -> None:
    async def play() -> None:
        with pytest.raises(ValueError, match="v7 is not a member; expected one of v0, v1"):
            validator_mesh(
                context("v0", ["v0"]), Identity.of(SEED, "v7"), ["v0", "v1"], Inbox(), service="primary", port=0
            )

    uvloop.run(play())


def test_sessions_can_be_decrypted_with_the_key_log(tmp_path: Path) -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(2, store=tmp_path)
        async with running(*made):
            made[0].send(1, asked(1))
            await inboxes[1].until(1)

    uvloop.run(play())
    logged = (tmp_path / "keys" / "primary.keys").read_text()
    assert {"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= {
        line.split(" ")[0] for line in logged.splitlines()
    }


@pytest.mark.parametrize("wrong", [{"retry_least_s": 0.0}, {"retry_least_s": 9.0}, {"heartbeat_s": 6.0}])
def test_settings_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="; expected"):
        LinkConfig(**wrong)
