"""A model in parts on nodes in a real run: links are cut and a satellite dies at a chosen chunk, and the text stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from pipeline_model import small
from skyloom_command import skyloom_in_time

from emulator.record.load import load_run
from nodes.pipeline.codecs.calibration import transfer
from nodes.pipeline.codecs.codec import HalfCodec
from nodes.pipeline.model.chain import Chain, split
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.model.tokenizer import Tokenizer

pytestmark = [pytest.mark.netns, needs_sandbox]

TEXT = "The atmosphere of Mars is thin, and dust storms can cover all of the planet for weeks."
CHUNK_TOKENS, ANSWER_TOKENS = 8, 6
CUT_S = 0.7
PROGRAM = '''
"""A prompt that does something to the network behind a chunk of each request but the first."""
import asyncio

from nodes.pipeline.stages.prompt import Prompt
from nodes.pipeline.stages.wire import Token

FAULTS = {
    "cut-in-prompt": (False, "link-down", {"links": ["n1:n2"]}),
    "cut-in-answer": (True, "link-down", {"links": ["n1:n2"]}),
    "dead": (True, "crash", {"nodes": ["n3"]}),
    "cut-for-good": (False, "link-down", {"links": ["n1:n2"]}),
}
MOVED = "dead"  # from n1 to n3, before n3 dies
HEALED, CUT_S = ("cut-in-prompt", "cut-in-answer"), {cut_s}


class Hindered(Prompt):
    async def setup(self):
        await super().setup()
        chunks = -(-len(self._prompt) // self.config.chunk_tokens)
        self.due = {plan: chunks + 2 if answering else 3 for plan, (answering, _, _) in FAULTS.items()}
        self.tasks = set()

    async def ask(self, number, name, plan):
        self.asked = name
        await super().ask(number, name, plan)

    def accept(self, sender, message):
        super().accept(sender, message)
        if isinstance(message, Token) and self.asked in self.due:
            self.due[self.asked] -= 1
            if self.due[self.asked] == 0:
                self.tasks.add(asyncio.ensure_future(self.hinder(self.asked)))
            if self.asked == MOVED and message.end == 3 * self.config.chunk_tokens:
                self._controller.move("n1", "n3", self.context.now())

    async def hinder(self, plan):
        _, do, given = FAULTS[plan]
        self.context.emit("fault", plan=plan, answered=len(self._controller.answer))
        await self.context.act(do, **given)
        if plan in HEALED:
            await self.context.sleep(CUT_S)
            await self.context.act("link-up", **given)
'''
SCENARIO = f"""
name = "hindered"
topology = "topologies.graph"
duration = "60 s"
ends = "programs"

[graph]
spec = "complete:5"
delay = "5 ms"
rate = "20 Mbit/s"

[fidelity]
lateness_p99 = "500 ms"

[[program]]
name = "stage"
nodes = ["n1", "n2", "n3", "n4"]
run = "nodes.pipeline.stages.process:Stage"
config = {{ model = "synthetic", nodes = ["n*"], source = "n0", cpu = "2 %" }}
expect = "any"

[[program]]
name = "prompt"
nodes = ["n0"]
run = "hindered:Hindered"
[program.config]
model = "synthetic"
nodes = ["n*"]
cpu = "2 %"
text = "{TEXT}"
answer_tokens = {ANSWER_TOKENS}
chunk_tokens = {CHUNK_TOKENS}
spares = ["n*"]
progress = "1.2 s"
answer = "500 ms"
[program.config.plans]
quiet = ["n0 0-1 fp16", "n1 1-2 fp16", "n2 2-4"]
cut-in-prompt = ["n0 0-1 fp16", "n1 1-2 fp16", "n2 2-4"]
cut-in-answer = ["n0 0-1 fp16", "n1 1-2 fp16", "n2 2-4"]
dead = ["n0 0-1 fp16", "n1 1-2 fp16", "n2 2-4"]
cut-for-good = ["n0 0-1 fp16", "n1 1-2 fp16", "n2 2-4"]
"""


class Records:
    """The events of a run."""

    def __init__(self, folder: Path) -> None:
        rows = load_run(folder).events.iter_rows(named=True)
        self._events = [
            (row["kind"], json.loads(row["data"]) | {"node": row["node"], "t_s": row["t_s"]})
            for row in rows
            if row["program"] != "skyloom"
        ]

    def events(self, kind: str, **given: Any) -> list[dict[str, Any]]:
        return [data for each, data in self._events if each == kind and given.items() <= data.items()]

    def tokens(self, plan: str) -> list[int]:
        return [data["token"] for data in self.events("token", plan=plan)]

    def answer(self, plan: str) -> dict[str, Any]:
        (data,) = self.events("answer", plan=plan)
        return data

    def epochs(self, plan: str) -> list[dict[str, Any]]:
        return self.events("epoch", plan=plan)

    def fault(self, plan: str) -> dict[str, Any]:
        (data,) = self.events("fault", plan=plan)
        return data

    def chunks(self, plan: str, **given: Any) -> list[dict[str, Any]]:
        (request,) = self.events("request", plan=plan)
        return self.events("chunk", request=request["request"], **given)


def expected_tokens() -> list[int]:
    """Of the same parts and codecs in this process."""
    transfers = [transfer(HalfCodec(Shape.of(small()).hidden))] * 2
    prompt = Tokenizer(small().metadata).encode(TEXT)
    return list(Chain(split(small(), [1, 2]), transfers).greedy(prompt, ANSWER_TOKENS, CHUNK_TOKENS))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """One request without a fault, and one with each."""
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "hindered.py").write_text(PROGRAM.replace("{cut_s}", str(CUT_S)))
    (folder / "hindered.toml").write_text(SCENARIO)
    done = skyloom_in_time("run", folder / "hindered.toml", "--no-tui", "--json", "--runs", folder / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    return Records(folder / "runs" / "hindered" / "latest")


def test_without_a_fault_the_answer_is_that_of_one_process(run: Records) -> None:
    assert run.tokens("quiet") == expected_tokens()
    assert run.answer("quiet")["epochs"] == 1


def test_chunks_tell_when_they_were_where(run: Records) -> None:
    chunks = run.chunks("quiet")
    assert len({(data["offset"], data["bytes"]) for data in chunks}) > 10
    for data in chunks:
        times = [data[f"{at}_s"] for at in ("received", "begun", "decoded", "computed", "encoded")]
        assert times == sorted(times)


@pytest.mark.parametrize(("plan", "answered"), [("cut-in-prompt", 0), ("cut-in-answer", 3)])
def test_a_link_that_is_cut_for_a_while_holds_chunks_up_and_changes_nothing(
    run: Records, plan: str, answered: int
) -> None:
    assert run.fault(plan)["answered"] == answered
    assert run.tokens(plan) == expected_tokens()
    down_s = run.fault(plan)["t_s"] + 0.1  # until it is down, and what was on the link has come
    came_s = [each["received_s"] for each in run.chunks(plan, node="n2")]
    assert not [each for each in came_s if down_s < each < down_s + CUT_S - 0.2]
    assert run.answer(plan)["diverged"] == 0


def test_a_satellite_that_dies_is_replaced_from_the_last_hand_over_on(run: Records) -> None:
    assert run.fault("dead")["answered"] == 3
    assert run.tokens("dead") == expected_tokens()
    begin, move, last = run.epochs("dead")
    assert [each["nodes"][1] for each in (begin, move, last)] == ["n1", "n3", "n1"]
    assert move["moved"] == 1
    assert last["kept"] == move["kept"] >= 3 * CHUNK_TOKENS
    assert run.answer("dead")["replayed_tokens"] > 0


def test_a_link_that_stays_cut_is_gone_around(run: Records) -> None:
    assert run.fault("cut-for-good")["answered"] == 0
    assert run.tokens("cut-for-good") == expected_tokens()
    assert run.epochs("cut-for-good")[-1]["nodes"] == ["n0", "n1", "n4"]
    assert run.epochs("cut-for-good")[-1]["kept"] > 0
    assert run.epochs("cut-for-good")[-1]["moved"] == 1
