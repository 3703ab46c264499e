"""Advertisements: what a relayer says of a client on a chain, and of a chain, signed with the relayer's key.

Invariant: an `Advertisement` is well formed and has one encoding; its origin signed it once `is_signed` has said so.
Most of it is a claim; what is proved beside it is for `facts` to find.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from hashlib import sha256

from emulator.model.errors import Unfit
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.identifiers import check_client
from nodes.ibc.proto.comet import Validator
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.wire import (
    Message,
    enum,
    message,
    nested,
    octets,
    optional,
    repeated,
    string,
    uint32,
    uint64,
)
from nodes.xroute.encodings import decoded
from nodes.xroute.identity import IDENTITY_BYTES
from nodes.xroute.keys import PUBLIC_BYTES, SIGNATURE_BYTES, Key, is_signed

__all__ = [
    "Advertisement",
    "AdvertisementError",
    "ChainAd",
    "ChainClaims",
    "ClientStatus",
    "EdgeAd",
    "EdgeClaims",
    "EdgeProof",
    "issued",
    "key_of",
    "read",
    "steady",
]

MOST_AD_BYTES = 32_768
MOST_AGE_S = 3600
CHAIN_AGE_S = 600  # of an advertisement of a chain, which does not say how old it may become
_TAG = b"xroute-ad-1"


class AdvertisementError(Unfit):
    """Bytes that are no advertisement that a relayer may send."""


class ClientStatus(IntEnum):
    """Whether a client serves, as its relayer sees it."""

    UNKNOWN = 0
    ACTIVE = 1
    EXPIRED = 2
    FROZEN = 3


@message("skyloom.xroute.v1.EdgeProof")
class EdgeProof(Message):
    """The client's state and its newest consensus state, proved by the chain that has the client."""

    height: Height = nested(1, Height)  # of that chain's header that the proofs verify against
    client_state: bytes = octets(2)
    client_proof: bytes = octets(3)
    consensus_state: bytes = octets(4)
    consensus_proof: bytes = octets(5)


@message("skyloom.xroute.v1.EdgeClaims")
class EdgeClaims(Message):
    """What a relayer measured of the edge, or asks for using it."""

    rtt_ms: int = uint32(1)
    block_ms_p50: int = uint32(2)
    queue_len: int = uint32(3)
    gas_price: int = uint64(4)  # these four in millionths of the fee's denomination
    recv_fee: int = uint64(5)
    ack_fee: int = uint64(6)
    update_cost: int = uint64(7)
    success_ppm: int = uint32(8)
    window_s: int = uint32(9)  # in which that was measured


@message("skyloom.xroute.v1.EdgeAd")
class EdgeAd(Message):
    """A client of one chain on another one."""

    verifier: bytes = octets(1)  # identity of the chain that has the client
    tracked: bytes = octets(2)
    client_id: str = string(3)
    counterparty_client_id: str = string(4)
    client_type: str = string(5)
    status: ClientStatus = enum(6, ClientStatus)
    latest_height: Height = nested(7, Height)
    latest_time_ns: int = uint64(8)
    trusting_s: int = uint64(9)
    trust_numerator: int = uint64(10)
    trust_denominator: int = uint64(11)
    delay_s: int = uint64(12)
    proof: EdgeProof | None = optional(13, EdgeProof)
    claims: EdgeClaims | None = optional(14, EdgeClaims)
    origin: bytes = octets(15)  # the relayer's public key
    seq: int = uint64(16)
    issued_at_ms: int = uint64(17)  # since 1970
    max_age_s: int = uint32(18)
    signature: bytes = octets(19)


@message("skyloom.xroute.v1.ChainClaims")
class ChainClaims(Message):
    """What a relayer measured of a chain."""

    congestion_ppm: int = uint32(1)  # gas used of the limit, over the last 20 blocks
    base_fee: int = uint64(2)
    bonded_value: int = uint64(3)


@message("skyloom.xroute.v1.ChainAd")
class ChainAd(Message):
    """A chain at a height."""

    identity: bytes = octets(1)
    height: Height = nested(2, Height)
    time_ns: int = uint64(3)
    app_hash: bytes = octets(4)
    next_validators_hash: bytes = octets(5)
    validators: tuple[Validator, ...] = repeated(6, Validator)  # of the next block; none where they are known
    claims: ChainClaims | None = optional(7, ChainClaims)
    transit_policy: bytes = octets(8)  # as the chain has published it; empty: nothing
    origin: bytes = octets(9)
    seq: int = uint64(10)
    issued_at_ms: int = uint64(11)
    signature: bytes = octets(12)


Ad = EdgeAd | ChainAd
_KINDS: tuple[type[Ad], ...] = (EdgeAd, ChainAd)


@dataclass(frozen=True, slots=True)
class Advertisement:
    """One advertisement, and what is asked of it again and again."""

    ad: Ad
    data: bytes = field(repr=False)
    key: bytes  # of origin and subject: of each key the newest counts
    digest: bytes  # of all of it
    expires_ms: int

    def is_signed(self) -> bool:
        return is_signed(self.ad.origin, _sign_bytes(self.ad), self.ad.signature)


def read(kind: type[Ad], data: bytes) -> Advertisement:
    """An advertisement of its encoding, whose signature is still to be checked. AdvertisementError for other bytes."""
    return _advertisement(decoded(kind, data, MOST_AD_BYTES, AdvertisementError), data)


def issued(ad: Ad, key: Key, seq: int, now_ms: int) -> Advertisement:
    """Sign what a relayer has to say: origin, seq, time and signature are filled in."""
    unsigned = replace(ad, origin=key.public, seq=seq, issued_at_ms=now_ms, signature=b"")
    signed = replace(unsigned, signature=key.sign(_sign_bytes(unsigned)))
    return _advertisement(signed, signed.encode())


def key_of(ad: Ad, origin: bytes) -> bytes:
    """The key of what a relayer says of the subject of an advertisement."""
    if isinstance(ad, EdgeAd):
        subject = b"\x00" + ad.verifier + ad.tracked + ad.client_id.encode()
    else:
        subject = b"\x01" + ad.identity
    return sha256(origin + subject).digest()


def steady(ad: Ad) -> Ad:
    """What of an advertisement routes depend on, and what changes seldom: who sees a change of it says so at once."""
    blank = replace(ad, claims=None, origin=b"", seq=0, issued_at_ms=0, signature=b"")
    if isinstance(blank, EdgeAd):
        return replace(blank, latest_height=Height(), latest_time_ns=0, proof=None)
    return replace(blank, height=Height(), time_ns=0, app_hash=b"")


def _sign_bytes(ad: Ad) -> bytes:
    kind = _KINDS.index(type(ad))
    return _TAG + bytes((kind,)) + replace(ad, signature=b"").encode()


def _advertisement(ad: Ad, data: bytes) -> Advertisement:
    wrong = _wrong(ad) or (_wrong_edge(ad) if isinstance(ad, EdgeAd) else _wrong_chain(ad))
    if wrong is not None:
        raise AdvertisementError(*wrong)
    max_age_s = ad.max_age_s if isinstance(ad, EdgeAd) else CHAIN_AGE_S
    return Advertisement(ad, data, key_of(ad, ad.origin), sha256(data).digest(), ad.issued_at_ms + 1000 * max_age_s)


_Wrong = tuple[str, str] | None


def _wrong(ad: Ad) -> _Wrong:
    if len(ad.origin) != PUBLIC_BYTES or len(ad.signature) != SIGNATURE_BYTES:
        return "origin or signature of another length", f"{PUBLIC_BYTES} and {SIGNATURE_BYTES} bytes"
    if not ad.seq:
        return "seq 0", "1 or more"
    return None


def _wrong_edge(ad: EdgeAd) -> _Wrong:
    if len(ad.verifier) != IDENTITY_BYTES or len(ad.tracked) != IDENTITY_BYTES or ad.verifier == ad.tracked:
        return "an edge between something else than two chains", f"two identities of {IDENTITY_BYTES} bytes"
    if not 0 < ad.max_age_s <= MOST_AGE_S:
        return f"an age of at most {ad.max_age_s} s", f"1 to {MOST_AGE_S}"
    try:
        check_client(ad.client_id)
    except AbciError as error:
        return error.message, "the name of a client"
    return None


def _wrong_chain(ad: ChainAd) -> _Wrong:
    if len(ad.identity) != IDENTITY_BYTES:
        return f"an identity of {len(ad.identity)} bytes", f"{IDENTITY_BYTES}"
    return None
