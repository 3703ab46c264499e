"""What a relayer asks of a chain, and what it is answered.

Invariant: a call names its chain, and its answer has one type, so that a test's chains and sockets are alike. A call
that is not answered raises Unanswered where it was made; nothing is then known of what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from nodes.ibc.core.events import Event
from nodes.ibc.proto import well_known
from nodes.ibc.proto.comet import SignedHeader
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.wire import Message

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Unanswered(Exception):
    """A chain could not be reached, or answered with an error; the text says which."""


class Blocked(Exception):
    """Nothing can be relayed on a way for now; the text says why."""


@dataclass(frozen=True, slots=True)
class StatusOf:
    """How far a chain is: its answer is `ChainStatus`."""

    chain: str


@dataclass(frozen=True, slots=True)
class ChainStatus:
    """Blocks from `first` to `height` can be asked for."""

    chain_id: str
    first: int
    height: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of the SDK's gRPC services about the latest state: its answer is a message of type `answer`."""

    chain: str
    path: str
    request: Message
    answer: type[Message]


@dataclass(frozen=True, slots=True)
class Stored:
    """A key of a store after block `height`, with proof: its answer is `Proven`."""

    chain: str
    key: bytes
    height: int
    store: str = "ibc"


@dataclass(frozen=True, slots=True)
class Proven:
    """A value (empty: there is none) with the encoded MerkleProof; `form` is the inner tree's kind of proof."""

    value: bytes
    proof: bytes
    form: str


@dataclass(frozen=True, slots=True)
class _AtHeight:
    chain: str
    height: int


@dataclass(frozen=True, slots=True)
class BlockAt(_AtHeight):
    """What became of a block: its answer is `Block`."""


@dataclass(frozen=True, slots=True)
class TxResult:
    """What became of a transaction."""

    code: int
    codespace: str
    log: str
    gas_used: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A block's time and results, in order."""

    height: int
    time_ns: int
    results: tuple[TxResult, ...]


@dataclass(frozen=True, slots=True)
class SignedHeaderAt(_AtHeight):
    """A header and its commit: its answer is a SignedHeader."""


@dataclass(frozen=True, slots=True)
class ValidatorsAt(_AtHeight):
    """The validators of a height: its answer is a tuple of Validator."""


@dataclass(frozen=True, slots=True)
class TransactionsAt(_AtHeight):
    """The transactions in a block: its answer is a tuple of their bytes."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A transaction for the mempool: its answer is `Admission`."""

    chain: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether the mempool took it: with code 0, and only then, it did."""

    code: int
    codespace: str
    log: str


Call = StatusOf | Ask | Stored | BlockAt | SignedHeaderAt | ValidatorsAt | TransactionsAt | Broadcast


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on when `ready`, or at `until_ns`; the answer is whether it was ready."""

    ready: Callable[[], bool]
    until_ns: float = inf


Flow = Generator[tuple[Call, ...] | Wait, Any, T]
"""A procedure: it yields calls and is sent their answers in the same order, or yields a Wait."""


def header_of(signed: SignedHeader) -> Any:
    """The header in it. Unanswered where a chain left it out."""
    if signed.header is None or signed.commit is None:
        raise Unanswered("a signed header without header or commit")
    return signed.header


def opened(wrapped: well_known.Any | None, kind: type[M]) -> M:
    """The message of a kind in an answer. Unanswered where a chain left it out, or put another in its place."""
    if wrapped is None:
        raise Unanswered(f"an answer without {kind.NAME}")
    try:
        return wrapped.opened_as(kind, strict=False)
    except WireError as error:
        raise Unanswered(f"an answer with something else than {kind.NAME}: {error}") from None
