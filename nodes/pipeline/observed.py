"""What a pipeline told in a run, by plan: requests, answers, and the chunks of each request at each stage.

Invariant: events go in, plain values come out. What a run that was cut short did not tell is absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Data = Mapping[str, Any]
CHUNK = ("epoch", "offset", "tokens", "bytes", "received_s", "begun_s", "encoded_s")
KINDS = ("plan", "no-plan", "codecs", "request", "answer", "failed", "chunk", "processor", "rejected")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk at a stage, in scenario time."""

    node: str
    epoch: int
    offset: int  # tokens before it
    tokens: int
    bytes: int  # that leave the stage for the next one
    received_s: float
    begun_s: float
    encoded_s: float  # when the stage is done with it


@dataclass
class Request:
    """One request by one plan."""

    plan: Data = field(default_factory=dict)  # the event `plan`: what was predicted; empty where nothing was
    begun_s: float = 0.0
    prompt_tokens: int = 0
    nodes: tuple[str, ...] = ()  # by stage, in the first epoch
    answer: Data = field(default_factory=dict)  # the event `answer`; empty where there was none
    failed: str = ""
    chunks: list[Chunk] = field(default_factory=list)

    @property
    def sent(self) -> Iterator[Chunk]:
        """Those whose activations crossed a link."""
        return (chunk for chunk in self.chunks if chunk.bytes)

    @property
    def sent_bytes(self) -> int:
        return sum(chunk.bytes for chunk in self.sent)

    @property
    def first(self) -> Iterator[Chunk]:
        """Those of the first epoch."""
        epoch = min((chunk.epoch for chunk in self.chunks), default=0)
        return (chunk for chunk in self.chunks if chunk.epoch == epoch)

    def crossings(self) -> Iterator[tuple[int, float, float]]:
        """On links: the stage before, when a chunk of the prompt was ready to leave, and when it had arrived."""
        at = {(chunk.node, chunk.offset): chunk for chunk in self.first if chunk.offset < self.prompt_tokens}
        for number, (before, after) in enumerate(pairwise(self.nodes)):
            for node, offset in at:
                if node == before and (after, offset) in at:
                    yield number, at[before, offset].encoded_s, at[after, offset].received_s


@dataclass
class Observed:
    requests: dict[str, Request] = field(default_factory=dict)  # by plan, in the order in which they were asked
    refused: dict[str, str] = field(default_factory=dict)  # policies without a plan, and why
    codecs: Data = field(default_factory=dict)  # bytes of a chunk and nats that are lost, by codec, as calibrated
    shares: dict[str, Data] = field(default_factory=dict)  # events `processor`, by node
    rejected: int = 0  # messages that stages did not take


def observe(events: Iterable[tuple[float, str, str, str]]) -> Observed:
    """Everything that the programs told: time, node, kind (one of KINDS) and data of events."""
    seen = Observed()
    by_number: dict[int, Request] = {}
    for t_s, node, kind, text in events:
        data = json.loads(text)
        if kind == "no-plan":
            seen.refused[data["plan"]] = data["text"]
        elif kind == "codecs":
            seen.codecs = data
        elif kind == "processor":
            seen.shares[node] = data
        elif kind == "rejected":
            seen.rejected += sum(data.values())
        elif kind == "chunk":
            if data["request"] in by_number:
                by_number[data["request"]].chunks.append(Chunk(node, **{key: data[key] for key in CHUNK}))
        else:
            _tell(seen.requests.setdefault(data["plan"], Request()), t_s, kind, data)
            if kind == "request":
                by_number[data["request"]] = seen.requests[data["plan"]]
    return seen


def _tell(request: Request, t_s: float, kind: str, data: Data) -> None:
    if kind == "plan":
        request.plan = data
    elif kind == "request":
        request.begun_s, request.prompt_tokens, request.nodes = t_s, data["prompt_tokens"], tuple(data["stages"])
        request.chunks, request.answer = [], {}  # a source that was started again asks anew
    elif kind == "answer":
        request.answer = data
    else:
        request.failed = data["text"]
