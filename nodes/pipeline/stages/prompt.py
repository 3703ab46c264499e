"""The program of the node that asks: a stage as the others, and the controller of one request after another.

Each request has a plan of its own, so that plans can be compared in one run. Events: `request` when a request begins
(plan, request, prompt_tokens, chunks, stages), `epoch` for each placement (plan, epoch, why, nodes, kept, moved),
`token` for each of the answer (plan, number, token, text), then `answer` (plan, text, tokens, first_token_s and total_s
since the first chunk left, epochs, replayed_tokens, diverged), or `failed` (plan, text: why).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.model.errors import DataError, Unfit
from emulator.model.names import matches
from emulator.model.units import Duration, parse
from emulator.sdk.driver import Driver
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.model.tokenizer import Tokenizer
from nodes.pipeline.stages.account import Account
from nodes.pipeline.stages.controller import Controller, Patience, Request
from nodes.pipeline.stages.process import Common, Stage
from nodes.pipeline.stages.segment import Assignment, assignment_of
from nodes.pipeline.stages.wire import End, Held, Message, Ready, Refused, Taken, Token

CONNECT_S = 5.0  # to nodes of the first plan, before the first request
FLUSH_S = 2.0  # for the end to reach the other nodes
POLL_S = 0.05
MOST_CHUNK_TOKENS = 512
_MOVE = re.compile(r"(.+): *(\S+) -> (\S+)")


@dataclass(frozen=True, slots=True)
class Move:
    """A stage that goes to another node at a time of the scenario."""

    at_s: float
    node: str
    to: str


def move_of(text: str) -> Move:
    """What "5 s: NODE -> NODE" says."""
    match = _MOVE.fullmatch(text)
    if match is None:
        raise Unfit(f"move {text[:80]!r}", "'TIME: NODE -> NODE', such as '5 s: sat-1 -> sat-4'")
    return Move(parse(match[1], "duration"), match[2], match[3])


class Prompt(Stage):
    """Asks each plan in turn for the continuation of a text. This node is the first of every plan."""

    @dataclass(frozen=True, slots=True)
    class Config(Common):
        text: str = "The atmosphere of Mars"
        answer_tokens: int = 32
        chunk_tokens: int = 32  # of a chunk of the prompt
        plans: dict[str, list[str]] = field(default_factory=dict)  # by name: "NODE FIRST-STOP CODEC/TOKEN_CODEC", …
        sequential: list[str] = field(default_factory=list)  # names of plans whose chunks do not overlap
        spares: list[str] = field(default_factory=lambda: ["*"])  # names and globs, of `nodes`, that may take over
        moves: list[str] = field(default_factory=list)  # "5 s: NODE -> NODE", a stage that goes elsewhere then
        hands_over: bool = True  # keys and values go to the node that takes over; False: it computes them again
        begin_s: Duration = 0.0  # of the first request
        answer_s: Duration = 1.0  # how long nodes have to say what they hold, when an epoch begins
        place_s: Duration = 30.0  # … to get weights, keys and values
        progress_s: Duration = 5.0  # without a chunk that moved; then an epoch begins

        def __post_init__(self) -> None:
            Common.__post_init__(self)
            if not self.plans:
                raise Unfit("no `plans`", "one at least, a list of stages by its name")
            for name, stages in self.plans.items():
                try:
                    assignment_of(stages)
                except Unfit as error:
                    raise Unfit(f"`plans.{name}`: {error.found}", error.expected) from None
            if unknown := [name for name in self.sequential if name not in self.plans]:
                raise Unfit(f"`sequential` with {unknown[0]!r}", f"some of {', '.join(self.plans)}")
            if not 1 <= self.chunk_tokens <= MOST_CHUNK_TOKENS:
                raise Unfit(f"`chunk_tokens` of {self.chunk_tokens}", f"1 to {MOST_CHUNK_TOKENS}")
            if self.answer_tokens < 1:
                raise Unfit(f"`answer_tokens` of {self.answer_tokens}", "1 or more")
            if min(self.answer_s, self.place_s, self.progress_s) <= 0:
                raise Unfit("`answer`, `place` or `progress` of 0 s", "more")
            for text in self.moves:
                move_of(text)

    config: Config

    @property
    def source(self) -> str:
        return self.context.name

    async def setup(self) -> None:
        await super().setup()
        self._tokenizer = Tokenizer(self.gguf.metadata)
        self.config = self.planned()
        context, config = self.context, self.config
        shape = Shape.of(self.gguf)
        self._prompt = tuple(self._tokenizer.encode(config.text))
        self._plans = {name: assignment_of(stages) for name, stages in config.plans.items()}
        if not self._prompt or len(self._prompt) + config.answer_tokens > shape.context:
            raise DataError(
                f"a prompt of {len(self._prompt):,} tokens and {config.answer_tokens:,} of answer; expected one at "
                f"least, and together at most {shape.context:,}, the model's context"
            )
        self._moves = sorted((move_of(text) for text in config.moves), key=lambda move: move.at_s)
        self._others = [name for name in self.links.peers if matches(config.spares, name)]
        self._others += [move.to for move in self._moves]
        self._needed = {node for plan in self._plans.values() for node in plan.nodes} - {context.name}
        for name, plan in self._plans.items():
            if plan.blocks != shape.blocks:
                raise DataError(f"plan {name} of {plan.blocks} blocks; expected {shape.blocks}, those of the model")
        for node in (*self._needed, *self._others):
            if node not in (context.name, *self.links.peers):
                raise DataError(f"node {node!r} in a plan; expected one that `nodes` match: {', '.join(config.nodes)}")
        self._controller: Controller | None = None
        self._driver: Driver | None = None

    def planned(self) -> Config:
        """The config with the plans to ask, once there are model and tokenizer: those that it has."""
        return self.config

    async def run(self) -> None:
        await self.context.until_stopped(self.links.run(), self.compute(), self.ask_all(), self.move_all())
        self.report()

    async def ask_all(self) -> None:
        """One request after another; then no node is needed any more."""
        context = self.context
        await self._within(CONNECT_S, lambda: self.links.connected() >= self._needed)
        await context.sleep_until(self.config.begin_s)
        begun_ms = round(context.now() * 1e3)  # numbers of requests rise, also where this program was started again
        for number, (name, plan) in enumerate(self._plans.items(), begun_ms + 1):
            await self.ask(number, name, plan)
        for node in self.links.peers:
            self.links.send(node, End(begun_ms + len(self._plans), 0))
        await self._within(FLUSH_S, lambda: not self.links.connected())  # they close when they end

    async def ask(self, number: int, name: str, plan: Assignment) -> None:
        """One request, with its records."""
        context, config = self.context, self.config
        request = Request(
            number, self._prompt, config.answer_tokens, config.chunk_tokens, len(self._tokenizer),
            self._tokenizer.end,
            overlaps=name not in config.sequential,
        )  # fmt: skip
        patience = Patience(config.answer_s, config.place_s, config.progress_s)
        self._controller = controller = Controller(
            request, plan, self._others, bytes.fromhex(self.sha256), config.window, patience, config.hands_over,
            lambda node: node == context.name or node in self.links.connected(),
        )  # fmt: skip
        self._account = Account(name, controller, self._tokenizer, context.emit)
        self._answered = asyncio.get_running_loop().create_future()
        self._driver = driver = Driver(controller, context.now, self.turn)
        driver.changed()
        await asyncio.wait([driver.failed, self._answered], return_when=asyncio.FIRST_COMPLETED)
        if driver.failed.done():
            driver.failed.result()
        driver.close()
        self._controller = self._driver = None

    async def move_all(self) -> None:
        """Have stages go elsewhere at their times."""
        for move in self._moves:
            await self.context.sleep_until(move.at_s)
            if self._controller is not None:
                self._controller.move(move.node, move.to, self.context.now())
                self.turn()
        await self.context.stopping.wait()

    def accept(self, sender: str, message: Message) -> None:
        controller = self._controller
        if not isinstance(message, Held | Ready | Refused | Taken | Token):
            super().accept(sender, message)
        elif controller is not None and (sender == controller.first or not isinstance(message, Taken)):
            controller.on_message(sender, message, self.context.now())
        elif isinstance(message, Taken):
            super().accept(sender, message)

    def messages(self) -> list[tuple[str, Message]]:
        return [*super().messages(), *(self._controller.take() if self._controller is not None else ())]

    def turn(self) -> None:
        super().turn()
        if self._controller is not None and not self._answered.done() and self._account.tell(self.context.now()):
            self._answered.set_result(None)

    def arrived(self, sender: str, message: Message) -> None:
        super().arrived(sender, message)
        if self._driver is not None:
            self._driver.changed()  # its next deadline may be another one

    async def _within(self, most_s: float, holds: Callable[[], bool]) -> None:
        """Wait until something holds, or for so long."""
        until_s = self.context.now() + most_s
        while not holds() and self.context.now() < until_s:
            await self.context.sleep(POLL_S)
