"""The arithmetic of a stage, in a thread of its own, at the share of a processor that its node has.

Invariant: a job takes its processor time over the share, as the clock of the run has it, and never less: the thread
sleeps for the rest. Keys and values of all blocks of a request lie in one cache, of which the system gives memory only
for what is used; they stay when the node runs another segment.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from emulator.model.errors import Absent, Unfit
from nodes.pipeline.codecs.calibration import Statistics, codec_of
from nodes.pipeline.codecs.codec import Codec, HalfCodec
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Cache, Part, Shape
from nodes.pipeline.planner.policies import PLAIN
from nodes.pipeline.profile import memory_of
from nodes.pipeline.stages.core import Begin, Compute, Export, Failed, Import, Job, Prepare, Result
from nodes.pipeline.stages.segment import Segment


@dataclass(slots=True)
class Times:
    """Of one chunk, in seconds of the run's clock."""

    begun_s: float = 0.0
    decoded_s: float = 0.0
    computed_s: float = 0.0
    encoded_s: float = 0.0


@dataclass(slots=True)
class Used:
    """Processor time, and the time that it took with the node's share."""

    cpu_s: float = 0.0
    busy_s: float = 0.0


class Engine:
    """`share` is of one core. `now` is the run's clock. `statistics` are by cut, and needed for codecs but fp16."""

    def __init__(
        self, gguf: Gguf, statistics: Mapping[int, Statistics], *, share: float = 1.0, memory_bytes: float = inf,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.times = Times()  # of the last chunk
        self.used = Used()  # by chunks
        self._gguf, self._statistics = gguf, statistics
        self._shape = Shape.of(gguf)
        self._share, self._memory_bytes, self._now = share, memory_bytes, now
        self._part: Part | None = None
        self._all: Cache | None = None  # of all blocks of the model
        self._cache: Cache | None = None  # the same memory, of the blocks of the segment
        self._codecs: dict[tuple[int, str], Codec] = {}

    def do(self, job: Job) -> Result:
        """The result of a job. What does not fit is Failed."""
        try:
            match job:
                case Begin(capacity):
                    self._all, self._cache = Cache(self._shape, self._shape.blocks, capacity), None
                case Prepare(before, segment, tokens):
                    self._prepare(before, segment, tokens)
                case Export(block, tokens):
                    return self._whole().part(block, block + 1, tokens).hand_over(0)
                case Import(block, data):
                    cache = self._whole().part(block, block + 1, 0)
                    cache.take_over(0, data)
                    return cache.length
                case Compute(chunk, codec, _):
                    return self._compute(chunk.codec.decode(), chunk.payload, chunk.tokens, codec)
        except (Unfit, Absent) as error:
            return Failed(str(error))
        return None

    def _whole(self) -> Cache:
        if self._all is None:
            raise Unfit("no request", "one that has begun")
        return self._all

    def _prepare(self, before: Segment | None, segment: Segment, tokens: int) -> None:
        whole = self._whole()
        first, stop = segment.first, segment.stop
        self._require_memory(first, stop, whole.capacity)
        if self._part is None or (self._part.first, self._part.last) != (first, stop):
            self._part = None  # so that no two are in memory
            self._part = Part(self._gguf, first, stop)
        self._cache = whole.part(first, stop, tokens)
        edges = {(each.stop, name) for each in (before, segment) if each for name in (each.codec, each.token_codec)}
        self._codecs = {(cut, name): self._codec(cut, name) for cut, name in edges if name}

    def _require_memory(self, first: int, stop: int, capacity: int) -> None:
        each = memory_of(self._gguf, self._shape)
        needed = (stop - first) * (each.block_weights + each.block_token * capacity)
        needed += (first == 0) * each.embedding + (stop == self._shape.blocks) * each.head
        if needed > self._memory_bytes:
            raise Unfit(
                f"blocks {first} to {stop} take {needed / 1e6:.1f} MB with {capacity:,} tokens",
                f"{self._memory_bytes / 1e6:.1f} MB, the memory of the node",
            )

    def _codec(self, cut: int, name: str) -> Codec:
        if name == PLAIN:
            return HalfCodec(self._shape.hidden)
        if cut not in self._statistics:
            raise Unfit(f"codec {name} behind block {cut - 1}", "a cut with statistics: `skyloom llm calibrate`")
        return codec_of(name, self._statistics[cut])

    def _compute(self, codec_before: str, payload: bytes, tokens: int, codec: str) -> bytes | int:
        part, cache = self._part, self._cache
        if part is None or cache is None:
            raise Unfit("no segment", "one that was prepared")
        self.times = Times(begun_s=self._now())
        with self._paced():
            if codec_before:
                rows = self._codecs[part.first, codec_before].decode(payload)
            else:
                rows = part.embed(_tokens(payload))
            if len(rows) != tokens:
                raise Unfit(f"{len(rows)} rows", f"{tokens}")
        self.times.decoded_s = self._now()
        result: bytes | int
        with self._paced():
            rows = part.forward(rows, cache)
            if not codec:
                result = int(part.logits(rows[-1:]).argmax())
        self.times.computed_s = self._now()
        if codec:
            with self._paced():
                result = self._codecs[part.last, codec].encode(rows)
        self.times.encoded_s = self._now()
        self.used.busy_s += self.times.encoded_s - self.times.begun_s
        return result

    @contextmanager
    def _paced(self) -> Iterator[None]:
        """What is done within takes its processor time over the share."""
        begun_s, begun_cpu_s = time.monotonic(), time.thread_time()
        yield
        spent_s = time.thread_time() - begun_cpu_s
        self.used.cpu_s += spent_s
        time.sleep(max(0.0, begun_s + spent_s / self._share - time.monotonic()))


def _tokens(payload: bytes) -> tuple[int, ...]:
    count, rest = divmod(len(payload), 4)
    if rest:
        raise Unfit(f"{len(payload)} bytes of tokens", "four for each")
    return struct.unpack(f">{count}I", payload)
