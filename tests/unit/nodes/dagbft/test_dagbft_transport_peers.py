"""Peers that are not who they say, and peers that send nonsense or too much: refused, counted by reason and peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from dagbft_net import SEED, SOON, Inbox, Raw, context, meshes, running, until

from emulator.sdk.transport.endpoint import MOST_STRANGERS
from emulator.sdk.transport.frames import ACK, DATA, HELLO, MAGIC, ack_frame, data_head
from emulator.sdk.transport.lines import MOST_ATTRIBUTED
from emulator.sdk.transport.local import LocalLink, LocalServer
from emulator.sdk.transport.mesh import Mesh
from nodes.dagbft.identity import Identity
from nodes.dagbft.links import validator_mesh
from nodes.dagbft.messages import CODEC, Cleanup, Message, Subscribe, TailRequest, Vote
from nodes.dagbft.wire import encode

V0 = Identity.of(SEED, "v0")
STRANGER = Identity.of(SEED, "nobody")
GOOD = TailRequest(7)


def with_listener(play: Callable[[Mesh[Message], Inbox], Awaitable[None]]) -> None:
    """Run against the mesh of v1 of two; v0 is what the test makes of it."""

    async def whole() -> None:
        made, inboxes, _ = await meshes(2)
        async with running(made[1]):
            await play(made[1], inboxes[1])
        made[0].close()

    uvloop.run(whole())


def test_a_key_outside_the_committee_is_a_stranger() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(STRANGER).dial(mesh.port)
        await raw.greet()
        await raw.gone()
        await until(lambda: mesh.rejected == {("stranger", "127.0.0.1"): 1})
        assert not mesh.connected()
        assert not inbox.messages

    with_listener(play)


def test_a_stranger_who_copies_a_name_is_a_stranger() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(Identity.of(SEED + 1, "v0")).dial(mesh.port)
        await raw.greet()
        await raw.gone()
        await until(lambda: sum(mesh.rejected.values()) == 1)
        assert {reason for reason, _ in mesh.rejected} <= {"stranger", "tls"}
        assert not inbox.messages

    with_listener(play)


def test_bytes_that_are_no_tls() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(None).dial(mesh.port)
        await raw.say(b"GET / HTTP/1.1\r\n\r\n")
        await raw.gone()
        await until(lambda: mesh.rejected == {("tls", "127.0.0.1"): 1})

    with_listener(play)


def test_a_validator_that_says_it_is_another() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(V0).dial(mesh.port)
        await raw.greet(sender=1)
        await raw.gone()
        await until(lambda: mesh.rejected == {("false-sender", "127.0.0.1"): 1})

    with_listener(play)


@pytest.mark.parametrize(("service", "magic", "reason"), [(b"worker-0", MAGIC, "service"), (b"x", b"BkyS", "greeting")])
def test_greetings_that_do_not_fit(service: bytes, magic: bytes, reason: str) -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(V0).dial(mesh.port)
        await raw.greet(0, service, magic)
        await raw.gone()
        await until(lambda: mesh.rejected == {(reason, "127.0.0.1"): 1})

    with_listener(play)


def test_a_message_before_the_greeting() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(V0).dial(mesh.port)
        await raw.say(data_head(1, 9) + encode(GOOD))
        await raw.gone()
        await until(lambda: mesh.rejected == {("greeting", "127.0.0.1"): 1})
        assert not inbox.messages

    with_listener(play)


def test_who_dials_looks_whom_it_has_reached() -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(3)
        names = ["v0", "v1", "v2"]
        crossed = validator_mesh(
            context("v0", names), V0, names, Inbox(), service="primary", port=0, config=SOON,
            ports=[0, made[2].port, made[1].port],
        )  # fmt: skip
        async with running(crossed):
            crossed.broadcast(GOOD)
            await until(lambda: len(crossed.rejected) == 1 and crossed.rejected["other-member", "127.0.0.1"] >= 2)
            assert not crossed.connected()
        for mesh in made:
            mesh.close()
        assert not inboxes[1].messages
        assert not inboxes[2].messages

    uvloop.run(play())


def test_frames_of_nonsense_are_counted_and_the_connection_is_kept() -> None:
    vote = encode(Vote(bytes(32), 1, 0, 0, bytes(64)))
    frames = [
        (data_head(1, 40) + b"\xfe" + bytes(39), "type"),
        (data_head(101, 300) + vote[:1] + bytes(299), "oversized"),
        (data_head(201, len(vote) - 1) + vote[:-1], "undecodable"),
        (data_head(301, len(vote) + 1) + vote + b"\0", "undecodable"),
        ((5).to_bytes(4, "big") + b"\x77abcd", "kind"),
        ((1).to_bytes(4, "big") + bytes((DATA,)), "short"),
        ((9).to_bytes(4, "big") + bytes((DATA,)) + bytes(8), "short"),
        ((20).to_bytes(4, "big") + bytes((ACK,)) + bytes(19), "oversized"),
        ((1).to_bytes(4, "big") + bytes((HELLO,)), "kind"),
        (bytes(4), "short"),
    ]

    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(V0).dial(mesh.port)
        await raw.greet()
        expected: dict[tuple[str, str], int] = {}
        for number, (frame, reason) in enumerate(frames):
            await raw.say(frame + data_head(100 + 100 * number, len(vote)) + vote)
            expected[reason, "0"] = expected.get((reason, "0"), 0) + 1
            await inbox.until(number + 1)
            assert mesh.rejected == expected, frame
        assert mesh.connected() == {0}
        raw.close()

    with_listener(play)


def test_refused_messages_are_acknowledged_too() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(V0).dial(mesh.port)
        await raw.greet()
        assert [frame.kind for frame in await raw.hear()] == [HELLO]
        await raw.say(data_head(8, 3) + b"\xfe\0\0")
        assert [(frame.kind, frame.number) for frame in await raw.hear()] == [(ACK, 8)]
        raw.close()

    with_listener(play)


def test_a_flood_of_huge_frames_takes_no_memory() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        raw = await Raw(V0).dial(mesh.port)
        await raw.greet()
        held = []
        for number in range(1, 65):
            await raw.say(data_head(number, 1 << 20) + encode(GOOD)[:1] + bytes((1 << 20) - 1))  # of 1 MiB
            held += [connection.held_bytes for connection in mesh._whose]
        await raw.say(data_head(65, 9) + encode(GOOD))
        assert await inbox.until(1) == [(0, GOOD)]
        assert mesh.rejected == {("oversized", "0"): 64}
        assert max(held) < 100
        raw.close()

    with_listener(play)


def test_what_is_not_accepted_is_not_read() -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(2, accepts=[Vote])
        async with running(*made):
            made[0].send(1, GOOD)
            made[0].send(1, Vote(bytes(32), 1, 0, 0, bytes(64)))
            assert [type(message) for _, message in await inboxes[1].until(1)] == [Vote]
            assert made[1].rejected == {("type", "0"): 1}

    uvloop.run(play())


def test_a_crowd_of_silent_strangers_keeps_nobody_out() -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(2)
        async with running(made[1]):
            crowd = [await Raw(None).dial(made[1].port) for _ in range(MOST_STRANGERS + 50)]
            await until(lambda: made[1].counters()["rejected"] >= 50)
            assert len(made[1]._strangers) <= MOST_STRANGERS
            async with running(made[0]):
                made[0].send(1, GOOD)
                await inboxes[1].until(1)
            await until(
                lambda: made[1].rejected["dawdle", "127.0.0.1"] >= MOST_STRANGERS - 1
            )  # in the end they are out
            for raw in crowd:
                raw.close()

    uvloop.run(play())


def test_counts_by_peer_have_a_bound() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        for number in range(2 * MOST_ATTRIBUTED):
            mesh.reject("x", f"address {number}")
        assert len(mesh.rejected) == MOST_ATTRIBUTED + 1
        assert mesh.rejected["x", "others"] == MOST_ATTRIBUTED
        assert mesh.counters()["rejected"] == 2 * MOST_ATTRIBUTED

    with_listener(play)


def test_a_false_acknowledgement_loses_nothing_of_others() -> None:
    async def play(mesh: Mesh[Message], inbox: Inbox) -> None:
        mesh.send(0, GOOD)
        raw = await Raw(V0).dial(mesh.port)
        await raw.greet()
        await raw.say(ack_frame(1 << 63))
        frames = await raw.hear()
        while DATA not in [frame.kind for frame in frames]:
            frames += await raw.hear()
        assert mesh.send(0, GOOD)
        raw.close()

    with_listener(play)


def test_processes_of_one_node_talk_in_clear() -> None:
    async def play() -> None:
        at_server, at_worker, at_client = Inbox(), Inbox(), Inbox()
        here = context("v0", ["v0"])
        server = LocalServer(here, CODEC, at_server, service="primary", port=0, config=SOON)
        port = await server.open()
        worker = LocalLink(here, CODEC, at_worker, service="primary", label="worker-0", port=port, config=SOON)
        client = LocalLink(here, CODEC, at_client, service="primary", label="client-0", port=port, config=SOON)
        async with running(server, worker, client):
            worker.send("primary", GOOD)
            client.send("primary", Subscribe(7))
            assert set(await at_server.until(2)) == {("worker-0", GOOD), ("client-0", Subscribe(7))}
            server.send("worker-0", Cleanup(3))
            assert await at_worker.until(1) == [("primary", Cleanup(3))]
            assert not at_client.messages

    uvloop.run(play())


def test_nobody_from_another_node_gets_into_a_local_server() -> None:
    async def play() -> None:
        server = LocalServer(context("v0", ["v0"]), CODEC, Inbox(), service="primary", port=0, config=SOON)
        port = await server.open()
        async with running(server):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
            assert await reader.read() == b""
            await until(lambda: server.rejected == {("stranger", "127.0.0.2"): 1})
            writer.close()

    uvloop.run(play())
