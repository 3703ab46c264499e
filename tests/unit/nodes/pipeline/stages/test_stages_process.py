"""Programs of a pipeline: configs that cannot be, and a stage on loopback with a source that the test plays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from sdk_net import Records, context, until

from emulator.model.clock import MonotonicClock
from emulator.model.errors import DataError, Unfit
from emulator.sdk.transport.links import Links
from nodes.pipeline.model.named import SYNTHETIC, sha256_of
from nodes.pipeline.stages import process
from nodes.pipeline.stages.prompt import Move, Prompt, move_of
from nodes.pipeline.stages.wire import CODEC, Blocks, End, Message, Probe

STAGE = process.Stage.Config(nodes=["b"], source="b", model=SYNTHETIC)
PROBE = Probe(1, 1, bytes.fromhex(sha256_of(SYNTHETIC)), 8, 4, (Blocks(0, 4, b"", b""),))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"cpu": 0.0}, "`cpu` of 0 %"), ({"cpu": 1.1}, "at most 100 %"), ({"window": 0}, "1 to 64 chunks"),
        ({"port": 0}, "1 to 65535"), ({"port": 65536}, "1 to 65535"),
    ],
)  # fmt: skip
def test_a_stage_that_cannot_be_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(Unfit, match=said):
        process.Stage.Config(source="n0", **config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"plans": {}}, "no `plans`"), ({"plans": {"a": ["n0 1-4"]}}, "`plans.a`: stage 'n0 1-4'"),
        ({"sequential": ["b"]}, "`sequential` with 'b'; expected some of a"), ({"chunk_tokens": 513}, "1 to 512"),
        ({"answer_tokens": 0}, "1 or more"), ({"progress_s": 0.0}, "expected more"), ({"moves": ["n0 -> n1"]}, "move"),
    ],
)  # fmt: skip
def test_a_prompt_that_cannot_be_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(Unfit, match=said):
        Prompt.Config(**{"plans": {"a": ["n0 0-4"]}} | config)


def test_a_move_is_a_time_and_two_nodes() -> None:
    assert move_of("1.5 min: sat-1 -> sat-4") == Move(90.0, "sat-1", "sat-4")


def test_a_stage_ends_when_its_source_is_gone_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SOURCE_LOST_S", 0.2)
    monkeypatch.setattr(process, "LOOK_S", 0.02)
    records = Records()

    async def scene() -> None:
        heard: list[Message] = []
        source = Links(context("b"), CODEC, lambda _, message: heard.append(message), peers=["a"],
                       service=process.SERVICE, port=0)  # fmt: skip
        port = await source.open()
        node = context("a", records)
        async with node.exit_stack:
            stage = process.Stage(replace(STAGE, port=port), node)
            await stage.setup()
            asking, running = asyncio.ensure_future(source.run()), asyncio.ensure_future(stage.run())
            await until(lambda: "a" in source.connected())
            source.send("a", PROBE)
            await until(lambda: bool(heard))
            stage.accept("c", End(1, 0))
            begun_s = node.now()
            await until(lambda: node.now() > begun_s + 2 * process.SOURCE_LOST_S)
            assert not running.done()
            asking.cancel()
            source.close()
            await until(running.done)
            await running

    asyncio.run(scene())
    assert records.events[0] == ("source-lost", {"source": "b"})
    assert records.events[-1] == ("rejected", {"stranger": 1})


def test_a_stage_ends_where_its_source_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SOURCE_LOST_S", 0.1)
    monkeypatch.setattr(process, "LOOK_S", 0.02)
    records = Records()
    asyncio.run(play(process.Stage(STAGE, context("a", records))))
    assert records.events[0] == ("source-lost", {"source": "b"})


def test_a_source_that_is_no_node_of_the_pipeline_is_refused() -> None:
    with pytest.raises(DataError, match="`source` 'c'; expected a node that `nodes` match: b"):
        asyncio.run(play(process.Stage(replace(STAGE, source="c"), context("a"))))


def test_requests_of_a_source_that_was_started_again_have_higher_numbers() -> None:
    records = Records()
    config = Prompt.Config(nodes=["b"], model=SYNTHETIC, plans={"x": ["a 0-4"], "y": ["a 0-4"]}, answer_tokens=1,
                           answer_s=0.05)  # fmt: skip
    clock = MonotonicClock(time.monotonic_ns())
    for _ in range(2):
        node = context("a", records)
        node.clock = clock
        asyncio.run(play(Prompt(config, node)))
    numbers = [fields["request"] for kind, fields in records.events if kind == "request"]
    assert len({*numbers}) == 4
    assert numbers == sorted(numbers)


async def play(node: process.Stage) -> None:
    """From its start to its end."""
    async with node.context.exit_stack:
        await node.setup()
        await node.run()
