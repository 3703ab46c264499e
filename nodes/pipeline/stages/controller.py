"""What drives a request: it places segments on nodes, sends chunk after chunk, and begins an epoch when nothing moves.

No sockets, no clock. An epoch has three steps: PROBING, until all nodes have said what they hold or the time for it is
over; PLACING, until all stages are ready; RUNNING. Invariant: tokens of the answer are appended once and in order, and
none is taken back; an epoch goes on behind the tokens whose keys and values are still somewhere, for every segment.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from math import inf

from nodes.pipeline.stages.segment import Assignment
from nodes.pipeline.stages.wire import Blocks, Chunk, Held, Message, Place, Probe, Ready, Refused, Seat, Taken, Token


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for. A chunk of the prompt has `chunk_tokens`; tokens of the answer go one by one."""

    number: int  # higher than that of the request before
    prompt: tuple[int, ...]
    answer_tokens: int
    chunk_tokens: int
    vocabulary: int  # tokens that there are
    end_token: int = -1  # ends an answer early
    overlaps: bool = True  # False: a chunk starts when the one before is through

    @property
    def capacity(self) -> int:
        return len(self.prompt) + self.answer_tokens

    def end_of(self, offset: int) -> int:
        """Where the chunk ends that begins there; the same in every epoch."""
        return min(offset + self.chunk_tokens, len(self.prompt)) if offset < len(self.prompt) else offset + 1

    def begin_of_last(self, tokens: int) -> int:
        """Where the last chunk of so many tokens begins."""
        if tokens > len(self.prompt):
            return tokens - 1
        return (tokens - 1) // self.chunk_tokens * self.chunk_tokens


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, before an epoch is given up."""

    answer_s: float = 1.0  # for nodes to say what they hold
    place_s: float = 30.0  # for stages to get weights, keys and values
    progress_s: float = 5.0  # without a chunk that moved
    most_epochs: int = 100


class Step(Enum):
    PROBING = "probing"
    PLACING = "placing"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Epoch:
    """A placement, and why it was made."""

    number: int
    why: str
    nodes: tuple[str, ...]  # by segment
    kept: int  # tokens
    moved: int  # segments whose keys and values come from another node


class Controller:
    """One request by `plan`. Other nodes of `nodes` may take the place of those that are lost.

    `model` is the hash of its file. `hands_over`: keys and values go to the node that takes over; otherwise it computes
    them again. `connected(node)` says whether there is a connection now.
    """

    def __init__(
        self, request: Request, plan: Assignment, nodes: Sequence[str], model: bytes, window: int, patience: Patience,
        hands_over: bool = True,
        connected: Callable[[str], bool] = lambda node: True,
    ) -> None:  # fmt: skip
        self.request = request
        self.step = Step.PROBING
        self.answer: list[int] = []
        self.reason = ""  # why it failed
        self.epochs: list[Epoch] = []
        self.replayed_tokens = 0  # that were sent before, in another epoch
        self.diverged = 0  # tokens of the answer that were others when they came again
        self._plan, self._model, self._window = plan, model, window
        self._patience, self._hands_over, self._connected = patience, hands_over, connected
        self._nodes = tuple(dict.fromkeys((*plan.nodes, *nodes)))
        self._seats = plan.nodes  # by segment
        self._messages: list[tuple[str, Message]] = []
        self._epoch = 0
        self._why = ""
        self._deadline_s = -inf  # begin with the first tick
        self._place_until_s = -inf
        self._held: dict[str, Held] = {}
        self._refused: dict[str, str] = {}  # why, by node, for the whole request
        self._ready: set[str] = set()
        self._fed = self._most_fed = self._through = 0  # tokens: sent, ever sent, through the last stage
        self._sent: deque[int] = deque()  # ends of chunks that the first stage has not begun
        self._draining = False

    # What a process calls

    @property
    def first(self) -> str:
        """The node of the first stage."""
        return self._seats[0]

    def take(self) -> list[tuple[str, Message]]:
        """Messages to send now, and to whom; each is given out once."""
        messages, self._messages = self._messages, []
        return messages

    def next_deadline_s(self) -> float:
        return self._deadline_s

    def tick(self, now_s: float) -> None:
        """Give up what took too long."""
        if now_s < self._deadline_s:
            return
        if self._epoch and self.step is Step.PROBING:
            self._place(now_s)
        elif self.step is Step.PLACING and now_s < self._place_until_s and all(map(self._connected, self._seats)):
            self._deadline_s = self._next_look_s(now_s)
        else:
            self._begin("begin" if not self._epoch else f"{self.step.value}: too long", now_s)

    def move(self, node: str, to: str, now_s: float) -> None:
        """Have the segment of a node on another one, as soon as what is on the way is through."""
        if node in self._seats and to in self._nodes and to not in self._seats:
            self._seats = tuple(to if each == node else each for each in self._seats)
            if self.step is Step.RUNNING:
                self._draining = True
                self._go_on(now_s)

    def on_message(self, sender: str, message: Message, now_s: float) -> None:
        """A message has arrived. Those of other epochs, and from nodes that have no say, have no effect."""
        if (message.request, message.epoch) != (self.request.number, self._epoch) or sender not in self._nodes:
            return
        if isinstance(message, Refused):
            self._refuse(sender, message.reason.decode(errors="replace"), now_s)
        elif self.step is Step.PROBING and isinstance(message, Held):
            if len(message.tokens) == len(self._plan.segments):
                self._held[sender] = message
            self._place_if_all_told(now_s)
        elif self.step is Step.PLACING and isinstance(message, Ready):
            self._ready.add(sender)
            if self._ready >= {*self._seats}:
                self._run(now_s)
        elif self.step is Step.RUNNING and isinstance(message, Taken) and sender == self._seats[0]:
            while self._sent and self._sent[0] <= message.end:
                self._sent.popleft()
            self._go_on(now_s)
        elif self.step is Step.RUNNING and isinstance(message, Token) and sender == self._seats[-1]:
            self._token(message, now_s)

    # Epochs

    def _begin(self, why: str, now_s: float) -> None:
        if self._epoch >= self._patience.most_epochs:
            self._fail(f"no progress in {self._epoch} epochs; the last one ended as {why}")
            return
        self._epoch += 1
        self.step, self._why = Step.PROBING, why
        self._deadline_s = now_s + self._patience.answer_s
        self._held, self._ready, self._draining = {}, set(), False
        self._sent.clear()
        segments = tuple(
            Blocks(each.first, each.stop, each.codec.encode(), each.token_codec.encode())
            for each in self._plan.segments
        )
        request = self.request
        for node in self._nodes:
            self._send(
                node,
                Probe(request.number, self._epoch, self._model, request.capacity, len(request.prompt), segments),
            )

    def _refuse(self, node: str, reason: str, now_s: float) -> None:
        self._refused[node] = reason
        if self.step is Step.PROBING:
            self._place_if_all_told(now_s)
        elif node in self._seats and self.step in (Step.PLACING, Step.RUNNING):
            self._begin(f"{node} refused: {reason}", now_s)

    def _place_if_all_told(self, now_s: float) -> None:
        if {*self._held, *self._refused} >= {*self._nodes}:
            self._place(now_s)

    def _place(self, now_s: float) -> None:
        seats = self._chosen()
        if seats is None:
            if self._refused:
                told = "; ".join(f"{node}: {reason}" for node, reason in sorted(self._refused.items()))
                self._fail(f"too few nodes are left: {told}")
            else:
                self._begin("too few nodes answered", now_s)
            return
        self._seats = seats
        tokens = [[held.tokens[number] for held in self._held.values()] for number in range(len(seats))]
        own = [self._held[node].tokens[number] for number, node in enumerate(seats)]
        most = [max(each) for each in tokens] if self._hands_over else own
        known = len(self.request.prompt) + len(self.answer)
        kept = min(*most, self.request.begin_of_last(known))  # the last chunk goes again: the token behind it is asked
        holders = [node if own[number] >= kept else self._holder(number, kept) for number, node in enumerate(seats)]
        self.step, self._fed = Step.PLACING, kept
        self._place_until_s = now_s + self._patience.place_s
        self._deadline_s = self._next_look_s(now_s)
        moved = sum(node != holder for node, holder in zip(seats, holders, strict=True))
        self.epochs.append(Epoch(self._epoch, self._why, seats, kept, moved))
        placed = tuple(Seat(node.encode(), holder.encode()) for node, holder in zip(seats, holders, strict=True))
        for node in self._held:
            self._send(node, Place(self.request.number, self._epoch, kept, placed))

    def _next_look_s(self, now_s: float) -> float:
        """When to look whether stages that are not ready are still there."""
        return min(self._place_until_s, now_s + self._patience.answer_s)

    def _chosen(self) -> tuple[str, ...] | None:
        """The wanted nodes, others in place of those that did not answer or could not be reached; None: too few."""
        there = [node for node in self._nodes if node in self._held and node not in self._refused]
        before = self.epochs[-1].nodes if self.epochs else ()
        cut_off = {after for node, after in pairwise(before) if node in self._held and self._held[node].cut}
        spares = [node for node in there if node not in self._seats and node not in cut_off]
        seats = []
        for number, node in enumerate(self._seats):
            if node not in there or (node in cut_off and spares):
                if not spares:
                    return None
                node = max(spares, key=lambda spare: self._held[spare].tokens[number])  # the first of equal ones
                spares.remove(node)
            seats.append(node)
        return tuple(seats)

    def _holder(self, number: int, kept: int) -> str:
        return next(node for node, held in self._held.items() if held.tokens[number] >= kept)

    # Chunks

    def _run(self, now_s: float) -> None:
        self.step = Step.RUNNING
        self._through = self._fed
        self._go_on(now_s)

    def _go_on(self, now_s: float) -> None:
        """Something has moved: send what there is room for."""
        self._deadline_s = now_s + self._patience.progress_s
        if self._draining and self._through == self._fed:
            self._begin("move", now_s)
            return
        known = (*self.request.prompt, *self.answer)
        while (
            self._fed < len(known)
            and not self._draining
            and len(self._sent) < self._window
            and (self.request.overlaps or self._through == self._fed)
        ):
            end = self.request.end_of(self._fed)
            tokens = known[self._fed : end]
            payload = struct.pack(f">{len(tokens)}I", *tokens)
            chunk = Chunk(self.request.number, self._epoch, self._fed, len(tokens), b"", payload)
            self._send(self._seats[0], chunk)
            self.replayed_tokens += max(0, min(self._most_fed, end) - self._fed)
            self._fed = end
            self._most_fed = max(self._most_fed, end)
            self._sent.append(end)

    def _token(self, message: Token, now_s: float) -> None:
        request = self.request
        if not self._through < message.end <= self._fed:
            return
        if message.token >= request.vocabulary:
            self._begin(f"{self._seats[-1]} told of token {message.token}", now_s)
            return
        self._through = message.end
        at = message.end - len(request.prompt)  # of the token in the answer
        if at == len(self.answer):
            self.answer.append(message.token)
        elif at >= 0:
            self.diverged += self.answer[at] != message.token
        if len(self.answer) == request.answer_tokens or self.answer[-1:] == [request.end_token]:
            self.step, self._deadline_s = Step.DONE, inf
        else:
            self._go_on(now_s)

    def _fail(self, reason: str) -> None:
        self.step, self.reason, self._deadline_s = Step.FAILED, reason, inf

    def _send(self, node: str, message: Message) -> None:
        self._messages.append((node, message))
