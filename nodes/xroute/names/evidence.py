"""What a registry's chain proves of a name, as a light client of that chain judges it.

Invariant: what `proven` returns, a record or its absence, was in the registry's state at a height that the client has
verified, no longer ago than asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from emulator.model.errors import Unfit
from nodes.ibc.client.states import written
from nodes.ibc.core.errors import (
    CLIENT_NOT_ACTIVE,
    CLIENT_NOT_FOUND,
    CONSENSUS_STATE_NOT_FOUND,
    INVALID_CLIENT_HEIGHT,
    AbciError,
)
from nodes.ibc.core.keepers import NO_DELAY, Delay, Path
from nodes.ibc.core.state import Context
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.wire import Message, message, nested, octets, string
from nodes.xroute.names.labels import STORE, NotAName, key_of
from nodes.xroute.names.record import Record, RecordError, read

__all__ = ["NameProof", "Proven", "Reason", "Refused", "Witness", "proven"]

_NS = 10**9


class Witness(Protocol):
    """What judges proofs: the light clients of a chain or of a relayer (`nodes.ibc.core.keepers.ClientKeeper`)."""

    def timestamp_ns(self, context: Context, client: str, height: Height) -> int: ...

    def verify_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path, value: bytes
    ) -> None: ...

    def verify_non_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path
    ) -> None: ...


class Reason(Enum):
    """Why an answer is refused, or a name cannot be resolved."""

    OTHER_NAME = "the answer is about another name"
    CLIENT_INACTIVE = "the registry's client is not active"
    UNKNOWN_HEIGHT = "the registry's client does not know the height"
    FORGED = "the proof does not hold"
    STALE = "the proof is too old"
    MALFORMED = "the record is malformed"
    ROLLED_BACK = "a later version is known"
    CONTRADICTION = "the registry shows two records of one version"
    NO_REGISTRY = "no registry is known for the zone"
    UNANSWERED = "the registry did not answer"
    LOOP = "the resolution leads back to itself"
    TOO_MANY_STEPS = "the resolution takes too many steps"
    BAD_DELEGATION = "the delegate of the zone is no chain with a registry"
    DISAGREEMENT = "registries do not agree"


class Refused(Unfit):
    """An answer that must not be believed, or a resolution that ends without one."""

    def __init__(self, reason: Reason, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason.value}: {super().__str__()}"


@message("skyloom.xname.v1.NameProof")
class NameProof(Message):
    """A registry's record of a name, or that it has none, with the proof."""

    name: str = string(1)
    height: Height = nested(2, Height)  # of the registry's header that the proof verifies against
    record: bytes = octets(3)  # empty: there is none
    proof: bytes = octets(4)  # a MerkleProof


@dataclass(frozen=True, slots=True)
class Proven:
    """What was proved, and when it was so."""

    record: Record | None
    proof: NameProof
    time_ns: int  # of the registry's block
    usable_ns: int  # for how long after that: the TTL of the record, or of the one above the name that is absent

    def is_fresh(self, now_ns: int, most_age_ns: int) -> bool:
        return now_ns - self.time_ns <= min(self.usable_ns, most_age_ns)


_REASONS = {
    (kind.codespace, kind.code): reason
    for kind, reason in (
        (CLIENT_NOT_ACTIVE, Reason.CLIENT_INACTIVE),
        (CLIENT_NOT_FOUND, Reason.CLIENT_INACTIVE),
        (CONSENSUS_STATE_NOT_FOUND, Reason.UNKNOWN_HEIGHT),
        (INVALID_CLIENT_HEIGHT, Reason.UNKNOWN_HEIGHT),
    )
}


def proven(
    context: Context,
    clients: Witness,
    client: str,
    name: str,
    answer: NameProof,
    most_age_ns: int,
    absent_ttl_ns: int,
) -> Proven:
    """What an answer about a name proves, now, by a client of the registry's chain. Refused where it proves nothing.

    `most_age_ns` is how old the registry's block may be; the record's own TTL, or `absent_ttl_ns` where there is no
    record, may ask for a younger one.
    """
    if answer.name != name:
        raise Refused(Reason.OTHER_NAME, f"{answer.name[:64]!r}", repr(name))
    path = STORE.encode(), key_of(name)
    try:
        if answer.record:
            clients.verify_membership(context, client, answer.height, NO_DELAY, answer.proof, path, answer.record)
        else:
            clients.verify_non_membership(context, client, answer.height, NO_DELAY, answer.proof, path)
        time_ns = clients.timestamp_ns(context, client, answer.height)
    except AbciError as error:
        reason = _REASONS.get((error.codespace, error.code), Reason.FORGED)
        raise Refused(reason, error.message, f"a proof of {name} at height {written(answer.height)}") from None
    record = _read(name, answer.record) if answer.record else None
    found = Proven(record, answer, time_ns, absent_ttl_ns if record is None else record.ttl_s * _NS)
    if not found.is_fresh(context.time_ns, most_age_ns):
        age_s, most_s = (context.time_ns - time_ns) // _NS, min(most_age_ns, found.usable_ns) // _NS
        raise Refused(Reason.STALE, f"state of {name} of {age_s} s ago", f"at most {most_s} s")
    return found


def _read(name: str, data: bytes) -> Record:
    """A record that the registry holds under the key of a name: its chain checks both, but it may be another chain."""
    try:
        record = read(data)
    except (RecordError, NotAName) as error:
        raise Refused(Reason.MALFORMED, error.found, error.expected) from None
    if record.name != name:
        raise Refused(Reason.OTHER_NAME, f"a record of {record.name}", name)
    return record
