"""A plan and its delay, in the terms of a pipeline of single servers with buffers.

N chunks of one size through stages and links one after another: the first is through after the fill F, each further
one after the busiest of all stages and links has served it, so the last after F + (N - 1) tau. Propagation delays, but
keeps nothing busy.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.pipeline.planner.problem import CodecCost, Problem


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks `first` up to `stop` on one satellite."""

    satellite: int
    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """Between two stages: the codec of chunks of the prompt, and that of tokens of the answer."""

    codec: CodecCost
    token_codec: CodecCost


@dataclass(frozen=True, slots=True)
class Plan:
    stages: tuple[Stage, ...]
    crossings: tuple[Crossing, ...]  # one fewer


@dataclass(frozen=True, slots=True)
class Terms:
    """The delay of a plan, in parts."""

    stage_s: tuple[float, ...]  # a chunk keeps a stage busy for: decoding, blocks, head, encoding
    link_s: tuple[float, ...]  # … and a link
    delay_s: tuple[float, ...]  # of the links
    returning_s: float
    chunks: int
    token_s: float  # one token of the answer
    answer_tokens: int
    loss_nats: float
    sent_bytes: float  # of all chunks and tokens, over all links

    @property
    def fill_s(self) -> float:
        return sum(self.stage_s) + sum(self.link_s) + sum(self.delay_s)

    @property
    def busiest_s(self) -> float:
        return max(*self.stage_s, *self.link_s, 0.0)

    @property
    def first_token_s(self) -> float:
        return self.fill_s + (self.chunks - 1) * self.busiest_s + self.returning_s

    @property
    def sequential_s(self) -> float:
        """The first token, where a chunk starts when the one before is through."""
        return self.chunks * self.fill_s + self.returning_s


def terms(problem: Problem, plan: Plan) -> Terms:
    """What a plan takes, whatever its constraints."""
    stage_s, link_s, delay_s, token_s = [], [], [], 0.0
    size_bytes = loss_nats = 0.0
    at_s = problem.start_s
    decode_s = token_decode_s = 0.0
    for number, stage in enumerate(plan.stages):
        speed = problem.satellites[stage.satellite].speed
        blocks, last = stage.stop - stage.first, number == len(plan.crossings)
        busy_s = decode_s + blocks * problem.chunk.block_s
        token_busy_s = token_decode_s + blocks * problem.token.block_s
        if last:
            stage_s.append((busy_s + problem.chunk.head_s) / speed)
            token_s += (token_busy_s + problem.token.head_s) / speed
            break
        codec, token_codec = plan.crossings[number].codec, plan.crossings[number].token_codec
        stage_s.append((busy_s + codec.encode_s) / speed)
        at_s += stage_s[-1]
        link = problem.links[stage.satellite, plan.stages[number + 1].satellite]
        sending_s, behind_s = link.crossing_s(at_s, codec.size_bytes)
        link_s.append(sending_s)
        delay_s.append(behind_s)
        at_s += sending_s + behind_s
        token_sending_s, token_behind_s = link.crossing_s(at_s, token_codec.token_bytes)
        token_s += (token_busy_s + token_codec.token_encode_s) / speed + token_sending_s + token_behind_s
        decode_s, token_decode_s = codec.decode_s, token_codec.token_decode_s
        size_bytes += problem.chunks * codec.size_bytes + (problem.answer_tokens - 1) * token_codec.token_bytes
        loss_nats += crossing_loss_nats(problem, plan.crossings[number], stage.stop)
    returning_s = problem.returning_s(plan.stages[-1].satellite)
    return Terms(
        tuple(stage_s), tuple(link_s), tuple(delay_s), returning_s, problem.chunks, token_s + returning_s,
        problem.answer_tokens, loss_nats, size_bytes,
    )  # fmt: skip


def crossing_loss_nats(problem: Problem, crossing: Crossing, cut: int) -> float:
    """Of the two codecs, that of the worse one: each token of the answer has seen both."""
    if problem.answer_tokens == 1:
        return problem.loss_nats(crossing.codec, cut)
    return max(problem.loss_nats(crossing.codec, cut), problem.loss_nats(crossing.token_codec, cut))
