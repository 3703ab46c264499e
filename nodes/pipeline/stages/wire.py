"""What the nodes of a pipeline say to each other, over the SDK's links.

Invariant: every list, text and payload has a bound, and `CODEC.decode` refuses what is no message; the link counts it.
All numbers are big-endian. A message belongs to an epoch of a request, and later ones put it out of force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from emulator.sdk.wire import U16, U32, Many, ManyFixed, MessageCodec, Nested, Octets, Text, Unsigned
from nodes.pipeline.stages.segment import MOST_SEGMENTS

PORT = 5800
MOST_NAME_BYTES = 64
MOST_CODEC_BYTES = 16
MOST_REASON_BYTES = 400
MOST_CHUNK_BYTES = 1 << 20
MOST_KEYS_BYTES = 1 << 24
_MOST_HEAD_BYTES = 64

CODEC: MessageCodec[Message] = MessageCodec()


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks `first` up to `stop`, and the codecs of what leaves them; empty behind the last block."""

    first: U16
    stop: U16
    codec: Annotated[bytes, Text(MOST_CODEC_BYTES, length_bytes=1, shown="text"), "of chunks of the prompt"]
    token_codec: Annotated[bytes, Text(MOST_CODEC_BYTES, length_bytes=1, shown="text"), "of tokens of the answer"]


@CODEC.message(1, most_bytes=_MOST_HEAD_BYTES + MOST_SEGMENTS * (6 + 2 * MOST_CODEC_BYTES))
@dataclass(frozen=True, slots=True)
class Probe:
    """A new epoch begins: stop, and say what you hold."""

    request: U32
    epoch: Annotated[int, Unsigned(4, least=1)]
    model: Annotated[bytes, Octets(32), "SHA-256 of the model's file"]
    capacity: Annotated[int, Unsigned(4, least=1), "tokens of prompt and answer, at most"]
    prompt_tokens: U32
    segments: Annotated[tuple[Blocks, ...], Many(Nested(Blocks), MOST_SEGMENTS), "the same in all epochs of a request"]


@CODEC.message(2, most_bytes=_MOST_HEAD_BYTES + 4 * MOST_SEGMENTS)
@dataclass(frozen=True, slots=True)
class Held:
    """What a node holds, and whether it could reach the next stage of the epoch before."""

    request: U32
    epoch: U32
    cut: Annotated[int, Unsigned(1, most=1), "1: it had a next stage, and no connection to it"]
    tokens: Annotated[tuple[int, ...], ManyFixed(Unsigned(4), MOST_SEGMENTS), "with keys and values, by segment"]


@dataclass(frozen=True, slots=True)
class Seat:
    """Who runs a segment."""

    node: Annotated[bytes, Text(MOST_NAME_BYTES, length_bytes=1, shown="text")]
    holder: Annotated[bytes, Text(MOST_NAME_BYTES, length_bytes=1, shown="text"), "that hands over what is kept"]


@CODEC.message(3, most_bytes=_MOST_HEAD_BYTES + MOST_SEGMENTS * 2 * (1 + MOST_NAME_BYTES))
@dataclass(frozen=True, slots=True)
class Place:
    """Who runs which segment from now on, and where in the sequence all begin."""

    request: U32
    epoch: U32
    kept: Annotated[int, Unsigned(4), "tokens whose keys and values stay; those beyond come again"]
    seats: Annotated[tuple[Seat, ...], Many(Nested(Seat), MOST_SEGMENTS), "by segment"]


@CODEC.message(4, most_bytes=_MOST_HEAD_BYTES + MOST_KEYS_BYTES)
@dataclass(frozen=True, slots=True)
class Keys:
    """Keys and values of one block, of the tokens that are kept."""

    request: U32
    epoch: U32
    block: U16
    data: Annotated[bytes, Text(MOST_KEYS_BYTES)]


@CODEC.message(5, most_bytes=_MOST_HEAD_BYTES)
@dataclass(frozen=True, slots=True)
class Ready:
    """The sender has its weights, and what is kept of its segment."""

    request: U32
    epoch: U32


@CODEC.message(6, most_bytes=_MOST_HEAD_BYTES + MOST_REASON_BYTES)
@dataclass(frozen=True, slots=True)
class Refused:
    """The sender cannot take part."""

    request: U32
    epoch: U32
    reason: Annotated[bytes, Text(MOST_REASON_BYTES, shown="text")]


@CODEC.message(7, most_bytes=_MOST_HEAD_BYTES + MOST_CHUNK_BYTES)
@dataclass(frozen=True, slots=True)
class Chunk:
    """Activations of some tokens on their way to the next stage; to the first one the tokens themselves."""

    request: U32
    epoch: U32
    offset: Annotated[int, Unsigned(4), "of the first token in the sequence"]
    tokens: Annotated[int, Unsigned(2, least=1)]
    codec: Annotated[bytes, Text(MOST_CODEC_BYTES, length_bytes=1, shown="text"), "empty: four bytes a token"]
    payload: Annotated[bytes, Text(MOST_CHUNK_BYTES)]

    @property
    def end(self) -> int:
        return self.offset + self.tokens


@CODEC.message(8, most_bytes=_MOST_HEAD_BYTES)
@dataclass(frozen=True, slots=True)
class Taken:
    """The sender has begun to compute a chunk, so there is room for another."""

    request: U32
    epoch: U32
    end: Annotated[int, Unsigned(4), "of the chunk in the sequence"]


@CODEC.message(9, most_bytes=_MOST_HEAD_BYTES)
@dataclass(frozen=True, slots=True)
class Token:
    """The likeliest token behind a chunk, from the last stage to the node that asked."""

    request: U32
    epoch: U32
    end: Annotated[int, Unsigned(4), "of the chunk in the sequence"]
    token: U32


@CODEC.message(10, most_bytes=_MOST_HEAD_BYTES)
@dataclass(frozen=True, slots=True)
class End:
    """There are no more requests: the receiver may end."""

    request: U32
    epoch: U32


Message = Probe | Held | Place | Keys | Ready | Refused | Chunk | Taken | Token | End
