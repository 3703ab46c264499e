"""What a plan is made for: a model of so many blocks, satellites, links between them, codecs, and a budget of error.

Invariant: times of `Work` and `CodecCost` are those of one whole core; on a satellite they take 1 / `speed` as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf

from emulator.model.errors import Unfit

MOST_SATELLITES = 63  # the set of those in use is one machine word


@dataclass(frozen=True, slots=True)
class Work:
    """Processor time of some tokens that a stage takes at once: a chunk of the prompt, or one token of the answer."""

    tokens: int
    block_s: float  # one block
    head_s: float  # the output head, which the last stage has


@dataclass(frozen=True, slots=True)
class CodecCost:
    """What a codec costs, for a chunk of the prompt and for one token of the answer, and what it does to the answer."""

    name: str
    encode_s: float  # a chunk
    decode_s: float
    size_bytes: float
    token_encode_s: float
    token_decode_s: float
    token_bytes: float
    loss_nats: tuple[float, ...]
    """By cut, the first of them after block 1: how much the mean negative log-likelihood of a token rises."""


@dataclass(frozen=True, slots=True)
class Satellite:
    """`first` and `stop` bound the blocks whose weights it holds; others it cannot run."""

    name: str
    speed: float  # cores: 0.25 is a quarter of one
    memory_bytes: float = inf
    first: int = 0
    stop: int | None = None  # None: to the last


@dataclass(frozen=True, slots=True)
class Span:
    """A link until an instant. Rate 0: it is down, and what is being sent waits."""

    until_s: float
    delay_s: float
    rate_bps: float


@dataclass(frozen=True, slots=True)
class Link:
    """The way from one satellite to another, over any number of hops: spans one after another, the last without end."""

    spans: tuple[Span, ...]

    @staticmethod
    def steady(delay_s: float, rate_bps: float) -> Link:
        return Link((Span(inf, delay_s, rate_bps),))

    @property
    def moves(self) -> bool:
        return len(self.spans) > 1

    @property
    def least_delay_s(self) -> float:
        return min((span.delay_s for span in self.spans if span.rate_bps), default=inf)

    @property
    def most_rate_bps(self) -> float:
        return max(span.rate_bps for span in self.spans)

    def crossing_s(self, start_s: float, size_bytes: float) -> tuple[float, float]:
        """How long it sends what begins at an instant, and the delay behind that; infinite where it never ends."""
        bits, at_s = 8 * size_bytes, start_s
        for span in self.spans:
            if span.until_s <= at_s:
                continue
            room = span.rate_bps * (span.until_s - at_s) if span.rate_bps else 0.0
            if bits <= room:
                return at_s + bits / span.rate_bps - start_s, span.delay_s
            bits, at_s = bits - room, span.until_s
        return inf, inf

    def at(self, instant_s: float) -> Link:
        """As it is at an instant, for good."""
        span = next(span for span in self.spans if instant_s < span.until_s)
        return Link.steady(span.delay_s, span.rate_bps)

    def worst(self, start_s: float, stop_s: float) -> Link:
        """A steady link that is nowhere better than this one between two instants."""
        spans, begin_s = [], 0.0
        for span in self.spans:
            if span.until_s > start_s and begin_s < stop_s:
                spans.append(span)
            begin_s = span.until_s
        return Link.steady(max(span.delay_s for span in spans), min(span.rate_bps for span in spans))


@dataclass(frozen=True)
class Problem:
    """The first stage runs on `satellites[source]`, and tokens of the answer come back to it."""

    blocks: int
    satellites: tuple[Satellite, ...]
    links: Mapping[tuple[int, int], Link]  # by index of satellites; absent: no way
    codecs: tuple[CodecCost, ...]
    chunk: Work
    token: Work
    chunks: int = 1  # of the prompt, one after another through all stages
    answer_tokens: int = 1
    budget_nats: float = inf  # that all cuts together may cost
    kappa: float = 1.2  # errors of several cuts add up to at most so many times their sum (measured: 0.98 to 1.18)
    source: int = 0
    unit: int = 1  # cuts lie at multiples of so many blocks
    stages: int | None = None  # None: as many as are best
    block_bytes: float = 0.0  # weights, and keys and values of the longest sequence
    embedding_bytes: float = 0.0  # in the first stage
    head_bytes: float = 0.0  # in the last one
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.satellites) <= MOST_SATELLITES:
            raise Unfit(f"{len(self.satellites)} satellites", f"1 to {MOST_SATELLITES}")
        if not self.codecs:
            raise Unfit("no codecs", "one or more")
        if not 0 <= self.source < len(self.satellites):
            raise Unfit(f"source {self.source}", f"0 to {len(self.satellites) - 1}, a satellite")
        if min(self.chunks, self.answer_tokens, self.unit, self.blocks) < 1:
            raise Unfit("no blocks, chunks, tokens or blocks a unit", "1 or more of each")
        for codec in self.codecs:
            if len(codec.loss_nats) < self.blocks - 1:
                raise Unfit(f"codec {codec.name}: {len(codec.loss_nats)} cuts", f"{self.blocks - 1}, all of the model")
        if any(satellite.speed <= 0 for satellite in self.satellites):
            raise Unfit("a satellite of speed 0", "more than 0 cores")

    @cached_property
    def moves(self) -> bool:
        return any(link.moves for link in self.links.values())

    @cached_property
    def cuts(self) -> tuple[int, ...]:
        """Blocks before each possible start of a stage, and after the last stage: 0, unit, 2 units …, blocks."""
        return (*range(0, self.blocks, self.unit), self.blocks)

    def loss_nats(self, codec: CodecCost, cut: int) -> float:
        """Counted against the budget. A codec that happens to help on one text earns nothing by it."""
        return self.kappa * max(0.0, codec.loss_nats[cut - 1])

    def holds(self, satellite: Satellite, first: int, stop: int) -> bool:
        """Whether it has the weights of these blocks, and the memory to run them."""
        ends = self.embedding_bytes * (first == 0) + self.head_bytes * (stop == self.blocks)
        held = self.blocks if satellite.stop is None else satellite.stop
        return (
            satellite.first <= first
            and stop <= held
            and (stop - first) * self.block_bytes + ends <= satellite.memory_bytes
        )

    def returning_s(self, last: int) -> float:
        """How long a token takes back to the source; infinite where it cannot."""
        if last == self.source:
            return 0.0
        link = self.links.get((last, self.source))
        return link.least_delay_s if link else inf
