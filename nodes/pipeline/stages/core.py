"""A stage without sockets, clock and arithmetic: messages and results in, messages and jobs out.

Invariant: within an epoch a stage computes the chunks of the sequence in order, each once; whatever else comes is
counted in `rejected`, and has no effect. Keys and values of a token are the same in every epoch, as cuts, codecs and
chunks are: what a node holds stays of use. What is lost is not asked for here: the node that drives the request
notices that nothing moves, and begins an epoch.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from nodes.pipeline.stages.segment import Segment
from nodes.pipeline.stages.wire import Blocks, Chunk, Held, Keys, Message, Place, Probe, Ready, Refused, Taken, Token

MOST_REASON_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Begin:
    """Forget the request before, and have room for keys and values of a new one."""

    capacity: int  # tokens


@dataclass(frozen=True, slots=True)
class Prepare:
    """Have the weights of a segment and its codecs, and go on behind so many tokens."""

    before: Segment | None
    segment: Segment
    tokens: int


@dataclass(frozen=True, slots=True)
class Export:
    """Keys and values of a block, of so many tokens; the result is bytes."""

    block: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Import:
    """Take over keys and values of a block; the result says of how many tokens."""

    block: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Compute:
    """The segment on a chunk. The result is a payload by `codec`; where that is "", the likeliest token behind it."""

    chunk: Chunk
    codec: str
    received_s: float


Job = Begin | Prepare | Export | Import | Compute


class Failed(Exception):
    """A job that the engine could not do, such as bytes that do not decode, or too little memory."""


Result = bytes | int | None | Failed


@dataclass(frozen=True, slots=True)
class _Order:
    """A job, and what its result is for."""

    request: int
    epoch: int
    job: Job
    peer: str = ""
    number: int = 0  # of the segment that is computed


class StageCore:
    """One node: `me` by name. `source` is the node that drives requests, and nobody else does.

    `window` is the most chunks between two stages, waiting or on the way. `connected(node)` says whether there is a
    connection now.
    """

    def __init__(self, me: str, source: str, model: bytes, window: int, connected: Callable[[str], bool]) -> None:
        self.rejected: Counter[str] = Counter()
        self.request = self.epoch = 0
        self.queue: deque[tuple[Chunk, float]] = deque()  # and when it came
        self._me, self._source, self._model, self._window, self._connected = me, source, model, window, connected
        self._messages: list[tuple[str, Message]] = []
        self._orders: deque[_Order] = deque()
        self._busy: _Order | None = None  # at the engine
        self._segments: list[Segment] = []
        self._prompt_tokens = 0
        self._held: list[int] = []  # tokens with keys and values, by segment
        self._begun = self._was_cut = False
        self._leave()
        self._placed = True  # before the first request there is nothing to place

    def _leave(self) -> None:
        """The epoch is over."""
        self._number: int | None = None  # of the segment that this node runs
        self._before = self._after = ""
        self._holder = ""  # of the keys and values of its segment: another node, or this one
        self._kept = 0
        self._expected = 0  # offset of the next chunk
        self._placed = self._prepared = self._ready = False
        self._early: list[tuple[str, Keys]] = []  # and who sent them, before the placement
        self._imported: dict[int, int] = {}  # tokens by block; 0: on the way to the engine
        self._sent: deque[int] = deque()  # ends of chunks that the next stage has not begun
        self.queue.clear()
        self._orders.clear()

    # What a process calls

    def take(self) -> list[tuple[str, Message]]:
        """Messages to send now, and to whom; each is given out once."""
        messages, self._messages = self._messages, []
        return messages

    def next_job(self) -> Job | None:
        """What the engine is to do now, where it is idle and there is something; `done` tells the result."""
        if self._busy is not None:
            return None
        if not self._orders and self.queue and len(self._sent) < self._window and self._number is not None:
            chunk, received_s = self.queue.popleft()
            self._send(self._before, Taken(self.request, self.epoch, chunk.end))
            segment = self._segments[self._number]
            self._order(Compute(chunk, self._codec(segment, chunk.offset), received_s), self._after, self._number)
        if not self._orders:
            return None
        self._busy = self._orders.popleft()
        return self._busy.job

    def done(self, result: Result) -> None:
        """The engine has done the job."""
        order, self._busy = self._busy, None
        assert order is not None
        if order.request == self.request:
            self._apply(order, result, order.epoch == self.epoch)
            self._check_ready()

    def on_message(self, sender: str, message: Message, now_s: float) -> None:
        """A message has arrived."""
        term = (message.request, message.epoch)
        known = (self.request, self.epoch)
        if isinstance(message, Probe | Place) and sender != self._source:
            self.rejected["stranger"] += 1
        elif isinstance(message, Probe) and term > known:
            self._probe(message)
        elif term != known:
            self.rejected["stale"] += 1
        elif isinstance(message, Keys):
            self._keys(sender, message)
        elif isinstance(message, Chunk):
            self._chunk(sender, message, now_s)
        elif isinstance(message, Taken) and sender == self._after:
            while self._sent and self._sent[0] <= message.end:
                self._sent.popleft()
        elif isinstance(message, Place):
            self._place(message)
        elif isinstance(message, Probe) and not self._placed:
            self._send_held()
        else:
            self.rejected["stranger"] += 1

    # Epochs

    def _probe(self, probe: Probe) -> None:
        new = probe.request > self.request
        self._was_cut = bool(self._after) and self._after != self._me and not self._connected(self._after)
        self._leave()
        self.request, self.epoch = probe.request, probe.epoch
        if new:
            self._segments = [_segment(each) for each in probe.segments]
            self._prompt_tokens = probe.prompt_tokens
            self._held = [0] * len(self._segments)
            self._begun = False
        borders = [0, *(each.stop for each in self._segments)]
        if probe.model != self._model:
            self._refuse(f"a request for model {probe.model.hex()[:16]}; expected {self._model.hex()[:16]}, as here")
        elif not self._segments or [each.first for each in self._segments] != borders[:-1]:
            self._refuse("segments that do not follow on; expected blocks from 0 on")
        else:
            if not self._begun:
                self._order(Begin(probe.capacity))
            self._send_held()

    def _place(self, place: Place) -> None:
        if self._placed or len(place.seats) != len(self._segments):
            self.rejected["placement"] += 1
            return
        self._placed, self._kept, self._expected = True, place.kept, place.kept
        nodes = [seat.node.decode(errors="replace") for seat in place.seats]
        holders = [seat.holder.decode(errors="replace") for seat in place.seats]
        for number, (node, holder) in enumerate(zip(nodes, holders, strict=True)):
            if node == self._me:
                self._number = number
                self._before = nodes[number - 1] if number else self._source
                self._after = nodes[number + 1] if number + 1 < len(nodes) else self._source
                self._holder = holder
                before = self._segments[number - 1] if number else None
                self._order(Prepare(before, self._segments[number], place.kept))
            elif holder == self._me:
                segment = self._segments[number]
                for block in range(segment.first, segment.stop):
                    self._order(Export(block, place.kept), node)
        early, self._early = self._early, []
        for sender, keys in early:
            self._keys(sender, keys)

    def _keys(self, sender: str, keys: Keys) -> None:
        segment = self._segments[self._number] if self._number is not None else Segment(0, 0)
        if not self._placed and len(self._early) < self._segments[-1].stop:
            self._early.append((sender, keys))
        elif sender != self._holder or keys.block in self._imported or not segment.first <= keys.block < segment.stop:
            self.rejected["keys"] += 1
        else:
            self._imported[keys.block] = 0
            self._order(Import(keys.block, keys.data))

    def _send_held(self) -> None:
        """A chunk that the engine has now is not held yet, and will be."""
        self._send(self._source, Held(self.request, self.epoch, int(self._was_cut), tuple(self._held)))

    def _check_ready(self) -> None:
        if self._number is None or not self._prepared or self._ready:
            return
        segment = self._segments[self._number]
        if all(self._imported.get(block, 0) >= self._kept for block in range(segment.first, segment.stop)):
            self._held[self._number] = max(self._held[self._number], self._kept)
        if self._held[self._number] >= self._kept:
            self._ready = True
            self._send(self._source, Ready(self.request, self.epoch))

    # Chunks

    def _chunk(self, sender: str, chunk: Chunk, now_s: float) -> None:
        if not self._ready:
            self.rejected["early"] += 1
        elif sender != self._before:
            self.rejected["stranger"] += 1
        elif chunk.offset != self._expected:
            self.rejected["duplicate" if chunk.offset < self._expected else "gap"] += 1
        elif len(self.queue) >= self._window:
            self.rejected["crowd"] += 1
        elif chunk.codec.decode(errors="replace") != self._codec_before(chunk.offset):
            self.rejected["codec"] += 1
        else:
            self.queue.append((chunk, now_s))
            self._expected = chunk.end

    def _codec(self, segment: Segment, offset: int) -> str:
        return segment.codec if offset < self._prompt_tokens else segment.token_codec

    def _codec_before(self, offset: int) -> str:
        return self._codec(self._segments[self._number - 1], offset) if self._number else ""

    def _apply(self, order: _Order, result: Result, current: bool) -> None:
        job = order.job
        if isinstance(result, Failed):
            self.rejected["failed"] += 1
            if current:
                self._refuse(str(result))
        elif isinstance(job, Begin):
            self._begun = True
        elif isinstance(job, Compute):
            self._held[order.number] = max(self._held[order.number], job.chunk.end)
            if current:
                self._pass_on(order, job, result)
        elif current and isinstance(job, Prepare):
            self._prepared = True
        elif current and isinstance(job, Import) and isinstance(result, int):
            self._imported[job.block] = result
        elif current and isinstance(job, Export) and isinstance(result, bytes):
            self._send(order.peer, Keys(self.request, self.epoch, job.block, result))

    def _pass_on(self, order: _Order, job: Compute, result: Result) -> None:
        chunk = job.chunk
        if isinstance(result, bytes):
            self._sent.append(chunk.end)
            codec = job.codec.encode()
            self._send(order.peer, Chunk(self.request, self.epoch, chunk.offset, chunk.tokens, codec, result))
        elif isinstance(result, int):
            self._send(order.peer, Token(self.request, self.epoch, chunk.end, result))

    def _refuse(self, reason: str) -> None:
        """Take no part in this epoch."""
        self._leave()
        self._placed = True  # so that no placement is taken
        self._send(self._source, Refused(self.request, self.epoch, reason[:MOST_REASON_CHARACTERS].encode()))

    def _order(self, job: Job, peer: str = "", number: int = 0) -> None:
        self._orders.append(_Order(self.request, self.epoch, job, peer, number))

    def _send(self, node: str, message: Message) -> None:
        self._messages.append((node, message))


def _segment(blocks: Blocks) -> Segment:
    codec, token_codec = blocks.codec.decode(errors="replace"), blocks.token_codec.decode(errors="replace")
    return Segment(blocks.first, blocks.stop, codec, token_codec)
