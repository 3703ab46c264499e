"""Messages of transactions of the module `xroute`, their responses, and what it stores of a message's answer.

Invariant: every message names its signer in `signer`.
"""

from __future__ import annotations

from hashlib import sha256

from nodes.ibc.proto.channel import ResponseResultType
from nodes.ibc.proto.channel_v2 import Acknowledgement, Packet, Payload
from nodes.ibc.proto.wire import Message, enum, message, nested, octets, optional, repeated, string, uint64
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.proofs.transit import TransitPolicy


@message("skyloom.xroute.v1.Fee")
class Fee(Message):
    """What relayers earn, in one denomination. Either `deliver` and `acknowledge` are paid, or `timeout`."""

    denom: str = string(1)
    deliver: int = uint64(2)
    acknowledge: int = uint64(3)
    timeout: int = uint64(4)
    update: int = uint64(5)  # for each client that had to be updated …
    updates: int = uint64(6)  # … and for so many of them


@message("skyloom.xroute.v1.Answer")
class Answer(Message):
    """What the destination says of a message: it commits to this."""

    acknowledgement: Acknowledgement = nested(1, Acknowledgement)
    payee: bytes = octets(2)  # account that delivered
    delivered_ns: int = uint64(3)  # by the destination's clock
    updaters: tuple[bytes, ...] = repeated(4, bytes)  # accounts that brought the heights which the route needed

    @property
    def commitment(self) -> bytes:
        return sha256(b"xroute-answer-1" + self.encode()).digest()


@message("skyloom.xroute.v1.MsgSend")
class MsgSend(Message):
    """Send a message. `timeout_timestamp` is in seconds."""

    destination: bytes = octets(1)  # chain identity
    destination_name: str = string(2)
    policy: bytes = octets(3)  # canonical
    mode: Mode = enum(4, Mode)
    timeout_timestamp: int = uint64(5)
    payload: Payload = nested(6, Payload)
    transits: tuple[bytes, ...] = repeated(7, bytes)
    threshold: int = uint64(8)
    fee: Fee | None = optional(9, Fee)
    signer: str = string(10)


@message("skyloom.xroute.v1.MsgSendResponse")
class MsgSendResponse(Message):
    """The sequence that the message got."""

    sequence: int = uint64(1)


@message("skyloom.xroute.v1.MsgDeliver")
class MsgDeliver(Message):
    """Deliver a message by a route, or pass it on where this chain is a transit of mode HOP."""

    proof: bytes = octets(1)  # a RouteProof
    signer: str = string(2)


@message("skyloom.xroute.v1.MsgAcknowledge")
class MsgAcknowledge(Message):
    """Bring the answer to a message by a route in reverse."""

    proof: bytes = octets(1)
    answer: Answer = nested(2, Answer)
    signer: str = string(3)


@message("skyloom.xroute.v1.MsgTimeout")
class MsgTimeout(Message):
    """Undo a message that can no longer arrive, as a route in reverse proves."""

    proof: bytes = octets(1)
    signer: str = string(2)


@message("skyloom.xroute.v1.MsgRelayResponse")
class MsgRelayResponse(Message):
    """Whether anything was done. With a policy of disjoint routes, `routes` is how many have delivered."""

    result: ResponseResultType = enum(1, ResponseResultType)
    routes: int = uint64(2)


@message("skyloom.xroute.v1.Statement")
class Statement(Message):
    """What a relayer signs in mode QUORUM: it saw the commitment at that height or before, by a compliant route."""

    message_id: bytes = octets(1)
    route_id: bytes = octets(2)
    source_time_ns: int = uint64(3)  # of the source's block in which the commitment was seen


@message("skyloom.xroute.v1.Vote")
class Vote(Message):
    """A staked relayer's signature of a statement."""

    relayer: bytes = octets(1)  # public key, Ed25519
    signature: bytes = octets(2)


@message("skyloom.xroute.v1.Certificate")
class Certificate(Message):
    """A statement and those who signed it."""

    statement: Statement = nested(1, Statement)
    votes: tuple[Vote, ...] = repeated(2, Vote)


@message("skyloom.xroute.v1.MsgDeliverByQuorum")
class MsgDeliverByQuorum(Message):
    """Announce a message by a certificate; it is delivered when nobody has contradicted it in time."""

    packet: Packet = nested(1, Packet)
    policy: bytes = octets(2)
    certificate: Certificate = nested(3, Certificate)
    payee: bytes = octets(4)
    signer: str = string(5)
    proof: bytes = octets(6)
    """Of a route to the source, whatever it holds; empty where one was brought lately."""


@message("skyloom.xroute.v1.MsgRelease")
class MsgRelease(Message):
    """Deliver what was announced, after the time for contradiction."""

    message_id: bytes = octets(1)
    signer: str = string(2)


@message("skyloom.xroute.v1.MsgContradict")
class MsgContradict(Message):
    """Show by a route that the source does not hold what was announced: it is dropped, and its voters are slashed."""

    message_id: bytes = octets(1)
    proof: bytes = octets(2)
    signer: str = string(3)


@message("skyloom.xroute.v1.MsgDeliverByModel")
class MsgDeliverByModel(Message):
    """Deliver by an object that stands for a succinct proof: a model, and no proof of anything."""

    packet: Packet = nested(1, Packet)
    policy: bytes = octets(2)
    model: bytes = octets(3)
    payee: bytes = octets(4)
    signer: str = string(5)


@message("skyloom.xroute.v1.MsgStake")
class MsgStake(Message):
    """Bond coins to a relayer's key. More can be added, with the same key."""

    key: bytes = octets(1)  # public key, Ed25519, with which the relayer signs
    amount: int = uint64(2)  # in the chain's denomination of stakes
    signer: str = string(3)


@message("skyloom.xroute.v1.MsgUnstake")
class MsgUnstake(Message):
    """Leave with the whole stake: the first time it begins to wait, the second time it is paid out."""

    signer: str = string(1)


@message("skyloom.xroute.v1.MsgSlash")
class MsgSlash(Message):
    """Show that a relayer contradicted itself: two versions of one advertisement, both signed."""

    evidence: bytes = octets(1)  # an Equivocation
    signer: str = string(2)


@message("skyloom.xroute.v1.MsgPublishTransit")
class MsgPublishTransit(Message):
    """Publish which messages the chain lets pass. Its authority alone may."""

    policy: TransitPolicy = nested(1, TransitPolicy)
    signer: str = string(2)


@message("skyloom.xroute.v1.MsgEmptyResponse")
class MsgEmptyResponse(Message):
    """Nothing."""
