"""Events of the module `xroute` in a block, as a relayer reads them.

Invariant: an event that lacks what it should say is left out, and counted; events of transactions that failed are never
taken for what they name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nodes.ibc.core.events import Event
from nodes.ibc.proto.channel_v2 import Packet
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.relayer.calls import Block
from nodes.xroute.module.messages import Answer, Fee
from nodes.xroute.module.policies import policy_of
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.proofs.messages import HopRecord, RouteProof
from nodes.xroute.proofs.parcel import Parcel
from nodes.xroute.proofs.rejection import RouteRejected

__all__ = ["Announced", "Answered", "Contradicted", "Forwarded", "Seen", "Sent", "Settled", "read"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message was committed to at its source."""

    parcel: Parcel
    policy: Policy
    fee: Fee


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A transit of mode HOP has taken a message, and committed anew."""

    parcel: Parcel
    records: tuple[HopRecord, ...]


@dataclass(frozen=True, slots=True)
class Announced:
    """Relayers with a stake stand for a message (mode QUORUM): until `due_ns` anybody may contradict."""

    parcel: Parcel
    policy: Policy
    seen_ns: int  # the time of the source's block in which they say to have seen it
    due_ns: int


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A message that was announced is dropped, as its source holds something else."""

    message_id: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A chain has committed to a message's answer: the destination, or a transit of mode HOP that passes it back."""

    parcel: Parcel
    answer: Answer


@dataclass(frozen=True, slots=True)
class Settled:
    """The source has heard how a message ended."""

    message_id: bytes
    timed_out: bool


Seen = Sent | Forwarded | Announced | Contradicted | Answered | Settled


def read(block: Block) -> Iterator[Seen | None]:
    """What a block says of messages, in order; None for an event that is out of form."""
    for result in block.results:
        for event in result.events if not result.code else ():
            try:
                seen = _seen(event)
            except (StopIteration, ValueError, WireError, PolicyError, RouteRejected):
                yield None
                continue
            if seen is not None:
                yield seen


def _seen(event: Event) -> Seen | None:
    match event.type:
        case "xroute_send":
            policy = policy_of(bytes.fromhex(event["policy"]))
            return Sent(_parcel(event), policy, Fee.decode(bytes.fromhex(event["fee"])))
        case "xroute_forward":
            forwarded = RouteProof.decode(bytes.fromhex(event["forwarded"]))
            return Forwarded(_parcel(event), forwarded.records)
        case "xroute_announce":
            policy = policy_of(bytes.fromhex(event["policy"]))
            return Announced(_parcel(event), policy, int(event["seen_ns"]), int(event["due_ns"]))
        case "xroute_contradict":
            return Contradicted(bytes.fromhex(event["message"]))
        case "xroute_answer":
            return Answered(_parcel(event), Answer.decode(bytes.fromhex(event["answer"])))
        case "xroute_acknowledge" | "xroute_timeout":
            return Settled(bytes.fromhex(event["message"]), event.type == "xroute_timeout")
    return None


def _parcel(event: Event) -> Parcel:
    return Parcel.of(Packet.decode(bytes.fromhex(event["packet"])))
