"""What a model costs on a processor, as `calibrate` measured it, and the planner's problems that follow from it.

Invariant: times are processor time of one whole core. Only cuts that were measured can be in a plan: at any other the
loss is infinite. The file has no field that is not here, and none beyond its bounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import parse_json, read_text
from nodes.pipeline import cache
from nodes.pipeline.documents import Fields
from nodes.pipeline.model.gguf import Gguf
from nodes.pipeline.model.llama import Shape
from nodes.pipeline.planner.problem import CodecCost, Link, Problem, Satellite, Work

PACKET_BYTES = 1500  # that a hop takes in before it passes them on
MOST_BYTES = 1_000_000  # of a file
LEAST_WORK = 0.55
"""Of a block's time for a chunk, what a shorter one takes however short it is: matrix products of few rows are hardly
faster (measured, of a chunk of 32 tokens: 0.79 of its time for 5 tokens, 0.62 for 8, 0.73 for 16, 0.83 for 24)."""
MOST_BLOCKS = 1024
MOST_CODECS = 32
_MOST_S, _MOST_SIZE, _MOST_NATS = 1e6, 1e15, 1e3
_TIMES = ("encode_s", "decode_s", "token_encode_s", "token_decode_s")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a stage that holds weights as float32."""

    block_weights: float
    block_token: float  # keys and values of a block for one token
    embedding: float
    head: float


@dataclass(frozen=True, slots=True)
class Profile:
    model_sha256: str
    blocks: int
    context_tokens: int
    unit: int  # cuts that were measured are its multiples
    windows: int  # of text, over which losses are means
    chunk: Work
    token: Work
    codecs: tuple[CodecCost, ...]
    memory: Memory


def memory_of(gguf: Gguf, shape: Shape) -> Memory:
    """By the sizes of a model's matrices."""
    small = shape.kv_heads * shape.head
    values = shape.hidden * (2 * shape.hidden + 2 * small + 3 * shape.feed_forward)  # of a block's matrices
    float_bytes = np.dtype(np.float32).itemsize
    return Memory(
        block_weights=float(values * float_bytes),
        block_token=float(2 * small * float_bytes),
        embedding=float(gguf.tensors["token_embd.weight"].data.nbytes),
        head=float(shape.vocabulary * shape.hidden * float_bytes),
    )


def ring(satellites: Sequence[Satellite], delay_s: float, rate_bps: float) -> dict[tuple[int, int], Link]:
    """Ways between satellites of a ring with equal links.

    Between two that are not neighbours the shorter way counts: each further hop adds its delay and the time of one
    packet, and the rate is that of one link. Nothing else is on the links.

    Where satellites are equal there are ways to the next one and back to the first only, which leave the best plan:
    a tour of k of n satellites and back takes min(n, 2 (k - 1)) hops or more, and the first k in their order take that.
    """
    count = len(satellites)
    equal = len({replace(each, name="") for each in satellites}) == 1
    packet_s = 8 * PACKET_BYTES / rate_bps
    hops = {
        (a, b): min((a - b) % count, (b - a) % count)
        for a in range(count)
        for b in range(count)
        if a != b and (b in (0, a + 1) or not equal)
    }
    return {pair: Link.steady(far * delay_s + (far - 1) * packet_s, rate_bps) for pair, far in hops.items()}


def problem_of(
    profile: Profile,
    satellites: Sequence[Satellite],
    links: Mapping[tuple[int, int], Link],
    *,
    prompt_tokens: int,
    answer_tokens: int = 1,
    budget_nats: float = inf,
    stages: int | None = None,
) -> Problem:
    """The planner's problem for one request, in equal chunks. Unfit for more than the model's context."""
    tokens = prompt_tokens + answer_tokens
    if tokens > profile.context_tokens:
        raise Unfit(
            f"a prompt of {prompt_tokens:,} tokens and {answer_tokens:,} of answer",
            f"{profile.context_tokens:,} together, the model's context",
        )
    chunks = -(-prompt_tokens // profile.chunk.tokens)
    tokens_each = prompt_tokens / chunks
    return Problem(
        blocks=profile.blocks,
        satellites=tuple(satellites),
        links=links,
        codecs=tuple(_codec_of(profile, each, tokens_each) for each in profile.codecs),
        chunk=_work_of(profile, tokens_each),
        token=profile.token,
        chunks=chunks,
        answer_tokens=answer_tokens,
        budget_nats=budget_nats,
        unit=profile.unit,
        stages=stages,
        block_bytes=profile.memory.block_weights + profile.memory.block_token * tokens,
        embedding_bytes=profile.memory.embedding,
        head_bytes=profile.memory.head,
    )


def _work_of(profile: Profile, tokens: float) -> Work:
    """A chunk of so many tokens, at most those of the chunk that was measured."""
    chunk = profile.chunk
    if tokens <= 1:
        return replace(profile.token, head_s=chunk.head_s)
    block_s = chunk.block_s * (LEAST_WORK + (1 - LEAST_WORK) * tokens / chunk.tokens)
    return replace(chunk, tokens=round(tokens), block_s=block_s)


def _codec_of(profile: Profile, codec: CodecCost, tokens: float) -> CodecCost:
    """What it costs for a chunk of so many tokens: on the line between those of one token and of a whole chunk."""
    share = (tokens - 1) / (profile.chunk.tokens - 1) if profile.chunk.tokens > 1 else 1.0
    return replace(
        codec,
        encode_s=codec.token_encode_s * (1 - share) + codec.encode_s * share,
        decode_s=codec.token_decode_s * (1 - share) + codec.decode_s * share,
        size_bytes=codec.token_bytes * (1 - share) + codec.size_bytes * share,
    )


def cuts_of(blocks: int, unit: int) -> tuple[int, ...]:
    """Cuts at multiples of a unit."""
    return tuple(range(unit, blocks, unit))


def losses_by_cut(blocks: int, unit: int, measured: Sequence[float]) -> tuple[float, ...]:
    """Losses at all cuts of a model, of those at multiples of a unit."""
    known = dict(zip(cuts_of(blocks, unit), measured, strict=True))
    return tuple(known.get(cut, inf) for cut in range(1, blocks))


def cached_path(sha256: str) -> Path:
    """Where the profile of a model is, once it was measured."""
    return cache.cache_folder() / f"{sha256[:16]}.profile.json"


def save(path: Path, profile: Profile) -> None:
    """Write a profile. PlatformError where the disk does not take it."""
    document = asdict(profile)
    for codec in document["codecs"]:
        codec["loss_nats"] = [codec["loss_nats"][cut - 1] for cut in cuts_of(profile.blocks, profile.unit)]
    cache.write(path, f"{json.dumps(document, indent=1)}\n".encode())


def load(path: Path, model_sha256: str) -> Profile:
    """The profile of a model. DataError, with the path, where the file cannot be used, or is of another model."""
    try:
        profile = _profile(Fields(parse_json(read_text(path, MOST_BYTES))))
        if profile.model_sha256 != model_sha256:
            raise Unfit(f"a profile of the model with SHA-256 {profile.model_sha256[:80]}", model_sha256)
        return profile
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a profile: `skyloom llm calibrate` makes it") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}. Delete it, and calibrate again") from None


def _profile(fields: Fields) -> Profile:
    blocks = fields.whole("blocks", 1, MOST_BLOCKS)
    unit = fields.whole("unit", 1, blocks)
    profile = Profile(
        model_sha256=fields.text("model_sha256"),
        blocks=blocks,
        context_tokens=fields.whole("context_tokens", 1, 1_048_576),
        unit=unit,
        windows=fields.whole("windows", 1, 10_000),
        chunk=_work(fields.object("chunk")),
        token=_work(fields.object("token")),
        codecs=tuple(_codec(each, blocks, unit) for each in fields.objects("codecs", MOST_CODECS)),
        memory=_memory(fields.object("memory")),
    )
    fields.end()
    if len({codec.name for codec in profile.codecs}) < max(1, len(profile.codecs)):
        raise Unfit("codecs that are none, or of one name", "one or more, each of another name")
    return profile


def _work(fields: Fields) -> Work:
    work = Work(fields.whole("tokens", 1, 8192), fields.number("block_s", _MOST_S), fields.number("head_s", _MOST_S))
    fields.end()
    return work


def _codec(fields: Fields, blocks: int, unit: int) -> CodecCost:
    measured = fields.numbers("loss_nats", len(cuts_of(blocks, unit)), _MOST_NATS)
    values: dict[str, Any] = {key: fields.number(key, _MOST_S) for key in _TIMES}
    values |= {key: fields.number(key, _MOST_SIZE) for key in ("size_bytes", "token_bytes")}
    codec = CodecCost(name=fields.text("name"), loss_nats=losses_by_cut(blocks, unit, measured), **values)
    fields.end()
    return codec


def _memory(fields: Fields) -> Memory:
    sizes = (fields.number(key, _MOST_SIZE) for key in ("block_weights", "block_token", "embedding", "head"))
    memory = Memory(*sizes)
    fields.end()
    return memory
