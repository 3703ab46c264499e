"""Meshes and local links over loopback sockets: order, replay, identity, floods."""

from __future__ import annotations

import asyncio

import pytest

from nodes.dagbft.messages import BatchAck, Cleanup
from tests.unit.dagbft_net import meshes, running, until


def ack(number: int) -> BatchAck:
    return BatchAck(number.to_bytes(32, "big"))


def test_everybody_hears_everybody_in_order() -> None:
    async def play() -> None:
        made, inboxes, _ = await meshes(4)
        async with running(*made):
            for number in range(50):
                for mesh in made:
                    assert mesh.broadcast(ack(number)) == 3
            for me, inbox in enumerate(inboxes):
                came = await inbox.until(150)
                assert {key for key, _ in came} == set(range(4)) - {me}
                for peer in made[me].others:
                    assert [message for key, message in came if key == peer] == [ack(number) for number in range(50)]
            assert all(mesh.counters()["rejected"] == 0 for mesh in made)

    asyncio.run(play())
