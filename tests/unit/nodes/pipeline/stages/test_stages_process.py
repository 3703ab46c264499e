"""The program of a stage on loopback, with a source that the test plays."""

from __future__ import annotations

import asyncio

import pytest
from sdk_net import Records, context, until

from emulator.sdk.transport.links import Links
from nodes.pipeline.model.named import SYNTHETIC, sha256_of
from nodes.pipeline.stages import process
from nodes.pipeline.stages.wire import CODEC, Blocks, Message, Probe

PROBE = Probe(1, 1, bytes.fromhex(sha256_of(SYNTHETIC)), 8, 4, (Blocks(0, 4, b"", b""),))


def test_a_stage_ends_when_its_source_is_gone_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SOURCE_LOST_S", 0.2)
    monkeypatch.setattr(process, "LOOK_S", 0.02)
    records = Records()

    async def play() -> None:
        heard: list[Message] = []
        source = Links(context("b"), CODEC, lambda _, message: heard.append(message), peers=["a"],
                       service=process.SERVICE, port=0)  # fmt: skip
        port = await source.open()
        node = context("a", records)
        async with node.exit_stack:
            stage = process.Stage(process.Stage.Config(nodes=["b"], model=SYNTHETIC, port=port), node)
            await stage.setup()
            asking, running = asyncio.ensure_future(source.run()), asyncio.ensure_future(stage.run())
            await until(lambda: "a" in source.connected())
            source.send("a", PROBE)
            await until(lambda: bool(heard))
            begun_s = node.now()
            await until(lambda: node.now() > begun_s + 2 * process.SOURCE_LOST_S)
            assert not running.done()
            asking.cancel()
            source.close()
            await until(running.done)
            await running

    asyncio.run(play())
    assert records.events[0] == ("source-lost", {"source": "b"})
