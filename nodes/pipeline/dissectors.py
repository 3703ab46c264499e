"""Wireshark dissector of a model's stages: frames and messages over TCP."""

from __future__ import annotations

from emulator.sdk.transport.dissector import framed
from emulator.sdk.wire import Dissector, Unsigned, message
from nodes.pipeline.stages.wire import (
    CODEC,
    PORT,
    Chunk,
    End,
    Held,
    Keys,
    Place,
    Probe,
    Ready,
    Refused,
    Taken,
    Token,
)

_SUMMARIES = {
    Probe: "Probe of epoch {epoch}, request {request}",
    Held: "Held before epoch {epoch}, request {request}",
    Place: "Places of epoch {epoch}: {kept} tokens stay",
    Keys: "Keys and values of block {block}",
    Ready: "Ready for epoch {epoch}",
    Refused: "Refused in epoch {epoch}: {reason}",
    Chunk: "Chunk of {tokens} tokens from {offset} on, {codec}",
    Taken: "Taken up to token {end}",
    Token: "Token {token} behind {end}",
    End: "No more requests",
}


def dissectors() -> list[Dissector]:
    """One for all links, at the port that stages have unless told otherwise: frames are those of DAG-BFT, too."""
    messages = [
        message(owner, {"code": Unsigned(1, equals=code)}, summary=_SUMMARIES[owner], most_bytes=CODEC.most_bytes[code])
        for code, owner in CODEC.classes.items()
    ]
    return [
        Dissector("pipeline", "Language model in parts", "tcp", framed(messages), ports=(PORT,), anywhere=False)
    ]  # fmt: skip
