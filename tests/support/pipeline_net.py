"""Nodes of a pipeline without processes: cores, a controller, and a network and an engine that a test has in its hands.

Activations are numbers that depend on all tokens before them and on every codec that they crossed: whatever is lost,
doubled, taken from elsewhere, cut into other chunks or out of order makes another answer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from zlib import crc32

from nodes.pipeline.stages.controller import Controller, Patience, Request, Step
from nodes.pipeline.stages.core import Begin, Compute, Export, Import, Job, Prepare, Result, StageCore
from nodes.pipeline.stages.segment import Assignment, assignment_of
from nodes.pipeline.stages.wire import CODEC, Chunk, Held, Message, Ready, Refused, Taken, Token

MODEL = bytes(range(32))
VOCABULARY = 1000
BLOCKS = 6
SOURCE = "n0"
MOST_TURNS = 4000  # of a request where all goes well
PLAN = assignment_of(["n0 0-2 a/b", "n1 2-3 c", "n2 3-6"])


class Worker(Protocol):
    """What does the jobs of a core."""

    def do(self, job: Job) -> Result: ...


class NumberEngine:
    """Does the jobs of a core on one number a token."""

    def __init__(self, blocks: int = BLOCKS) -> None:
        self.blocks = blocks
        self.kept: dict[int, list[int]] = {}  # inputs of each block, its keys and values
        self.length = 0
        self.segment = range(0)

    def do(self, job: Job) -> Result:
        match job:
            case Begin():
                self.kept = {block: [] for block in range(self.blocks)}
            case Prepare(_, segment, tokens):
                self.segment, self.length = range(segment.first, segment.stop), tokens
            case Export(block, tokens):
                return _packed(self.kept[block][:tokens])
            case Import(block, data):
                held = _unpacked(data)
                self.kept[block][: len(held)] = held
                return len(held)
            case Compute(chunk, codec, _):
                rows = _unpacked(chunk.payload)
                for block in self.segment:
                    held = self.kept[block]
                    assert len(held) >= self.length, "keys and values that are not there"
                    held[self.length : self.length + len(rows)] = rows
                    seen = range(self.length + 1, self.length + len(rows) + 1)
                    rows = [crc32(_packed([block, *held[:end]])) for end in seen]
                self.length += len(rows)
                if not codec:
                    return rows[-1] % VOCABULARY
                return _packed([crc32(codec.encode() + _packed([len(rows), row])) for row in rows])
        return None


def _packed(numbers: Sequence[int]) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def _unpacked(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 4}I", data))


class World:
    """A request on nodes n0, n1, …, the first of which drives it. Time stands still but for `wait`."""

    def __init__(
        self,
        request: Request,
        plan: Assignment = PLAN,
        nodes: int = 5,
        *,
        window: int = 2,
        hands_over: bool = True,
        make_engine: Callable[[], Worker] = NumberEngine,
    ) -> None:
        self.names = [f"n{number}" for number in range(nodes)]
        self.window, self._make_engine = window, make_engine
        self.now_s = 0.0
        self.flying: list[tuple[str, str, bytes]] = []  # sender, receiver, message
        self.working: dict[str, Job] = {}  # jobs that engines have not done
        self.cut: set[frozenset[str]] = set()
        self.cores: dict[str, StageCore] = {}
        self.engines: dict[str, Worker] = {}
        for name in self.names:
            self.restart(name)
        self._plan, self._hands_over = plan, hands_over
        self.ask(request)

    def ask(self, request: Request) -> None:
        """Begin a request."""
        self.controller = Controller(
            request, self._plan, self.names, MODEL, self.window, Patience(), self._hands_over,
            lambda node: frozenset((SOURCE, node)) not in self.cut,
        )  # fmt: skip
        self.controller.tick(self.now_s)
        self.settle()

    def restart(self, name: str) -> None:
        """A node loses all that it knows."""
        self.cores[name] = StageCore(name, SOURCE, MODEL, self.window, lambda to: frozenset((name, to)) not in self.cut)
        self.engines[name] = self._make_engine()
        self.working.pop(name, None)

    @property
    def over(self) -> bool:
        return self.controller.step in (Step.DONE, Step.FAILED)

    def settle(self) -> None:
        """Put messages on the way and jobs at engines."""
        for name, core in self.cores.items():
            if (job := core.next_job()) is not None:
                self.working[name] = job
            self._send(name, core.take())
        self._send(SOURCE, self.controller.take())

    def _send(self, sender: str, messages: Sequence[tuple[str, Message]]) -> None:
        for to, message in messages:
            if frozenset((sender, to)) not in self.cut:
                self.flying.append((sender, to, CODEC.encode(message)))

    def deliver(self, number: int = 0, *, keep: bool = False) -> None:
        """A message on the way arrives; `keep`: it will arrive again."""
        sender, to, data = self.flying[number]
        if not keep:
            del self.flying[number]
        message = CODEC.decode(data)
        if to == SOURCE and (
            isinstance(message, Held | Ready | Refused | Token)
            or (isinstance(message, Taken) and sender == self.controller.first)
        ):
            self.controller.on_message(sender, message, self.now_s)
        else:
            self.cores[to].on_message(sender, message, self.now_s)
        self.settle()

    def work(self, name: str) -> None:
        """An engine does its job."""
        self.cores[name].done(self.engines[name].do(self.working.pop(name)))
        self.settle()

    def wait(self) -> None:
        """Time passes until something is too late."""
        self.now_s = max(self.now_s, self.controller.next_deadline_s())
        self.controller.tick(self.now_s)
        self.settle()

    def run(self) -> Iterator[None]:
        """All goes well from now on, one thing after another, to the end of the request."""
        for _ in range(MOST_TURNS):
            if self.over:
                return
            if self.flying:
                self.deliver()
            elif self.working:
                self.work(next(iter(self.working)))
            else:
                self.wait()
            yield
        raise AssertionError("nothing moves any more")


def answer_of(request: Request, plan: Assignment = PLAN) -> list[int]:
    """What the engines of a plan answer when one does a job after the other, without cores and network."""
    engines = [NumberEngine() for _ in plan.segments]
    for engine, segment in zip(engines, plan.segments, strict=True):
        engine.do(Begin(request.capacity))
        engine.do(Prepare(None, segment, 0))
    known = list(request.prompt)
    at = 0
    while at < len(known):
        end = request.end_of(at)
        payload = _packed(known[at:end])
        prompt, at = at < len(request.prompt), end
        for engine, segment in zip(engines, plan.segments, strict=True):
            codec = segment.codec if prompt else segment.token_codec
            result = engine.do(Compute(Chunk(1, 1, 0, 1, b"", payload), codec, 0.0))
            if isinstance(result, bytes):
                payload = result
        if at == len(known) and isinstance(result, int):
            known.append(result)
            if len(known) == request.capacity:
                break
    return known[len(request.prompt) :]
