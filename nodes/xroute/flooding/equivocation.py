"""Evidence against a relayer: two advertisements of one subject and one seq that say different things.

Invariant: who signs no seq twice cannot be accused, and of two copies there is one evidence, whoever writes it.
"""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.wire import Message, enum, message, octets
from nodes.xroute.encodings import decoded
from nodes.xroute.flooding.ads import MOST_AD_BYTES, Advertisement, AdvertisementError, ChainAd, EdgeAd, read

__all__ = ["AdKind", "Equivocation", "origin_of_evidence", "verify_equivocation"]


class AdKind(IntEnum):
    """What an advertisement is about."""

    UNKNOWN = 0
    EDGE = 1
    CHAIN = 2


KINDS: dict[AdKind, type[EdgeAd] | type[ChainAd]] = {AdKind.EDGE: EdgeAd, AdKind.CHAIN: ChainAd}


@message("skyloom.xroute.v1.Equivocation")
class Equivocation(Message):
    """Both copies."""

    kind: AdKind = enum(1, AdKind)
    one: bytes = octets(2)  # the lower one
    other: bytes = octets(3)

    @classmethod
    def of(cls, first: Advertisement, second: Advertisement) -> Equivocation:
        kind = AdKind.EDGE if isinstance(first.ad, EdgeAd) else AdKind.CHAIN
        return cls(kind, *sorted((first.data, second.data)))


def verify_equivocation(evidence: Equivocation) -> bytes:
    """The public key of the relayer that signed both copies. AdvertisementError where this is no evidence."""
    kind = KINDS.get(evidence.kind)
    if kind is None:
        raise AdvertisementError(f"evidence of kind {evidence.kind.name}", "EDGE or CHAIN")
    if evidence.one >= evidence.other:
        raise AdvertisementError("copies that are equal, or in another order", "the lower one first")
    one, other = read(kind, evidence.one), read(kind, evidence.other)
    if one.key != other.key or one.ad.seq != other.ad.seq:
        raise AdvertisementError("copies of another subject, origin or seq", "the same in both")
    if not one.is_signed() or not other.is_signed():
        raise AdvertisementError("a copy that its origin has not signed", "two signed copies")
    return one.ad.origin


def origin_of_evidence(data: bytes) -> bytes:
    """The public key of the relayer against which these bytes are evidence. AdvertisementError for other bytes."""
    return verify_equivocation(decoded(Equivocation, data, 3 * MOST_AD_BYTES, AdvertisementError))
