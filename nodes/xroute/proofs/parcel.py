"""A packet that is a message of xRoute, opened: who sent it, to whom, and where its traces lie.

Invariant: of a `Parcel` the packet and its envelope agree; whatever else a packet says is refused before any proof.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.core.commitments import packet_commitment_v2
from nodes.ibc.core.keepers import Route
from nodes.ibc.proto.channel_v2 import Packet, Payload
from nodes.ibc.proto.scalars import WireError
from nodes.xroute.identity import (
    IDENTITY_BYTES,
    SOURCE_CLIENT,
    ChainIdentity,
    application_client,
    checked,
    destination_client,
)
from nodes.xroute.proofs import paths
from nodes.xroute.proofs.messages import (
    ENCODING,
    MOST_HOPS,
    PORT,
    VERSION,
    Envelope,
    HopRecord,
    Mode,
    forward_commitment,
    message_id,
)
from nodes.xroute.proofs.rejection import Check, RouteRejected

__all__ = ["Parcel", "packed"]


def packed(sequence: int, envelope: Envelope, timeout_s: int) -> Packet:
    """The packet of an envelope."""
    client = destination_client(checked(envelope.destination))
    payload = Payload(PORT, PORT, VERSION, ENCODING, envelope.encode())
    return Packet(sequence, SOURCE_CLIENT, client, timeout_s, (payload,))


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message."""

    packet: Packet
    envelope: Envelope

    @classmethod
    def of(cls, packet: Packet) -> Parcel:
        """RouteRejected for a packet that is no message of xRoute."""
        value = packet.payloads[0].value if packet.payloads else b""
        try:
            envelope = Envelope.decode(value)
        except WireError as error:
            raise RouteRejected(Check.SIZE, error.found, error.expected) from None
        identities = (envelope.source, envelope.destination, *envelope.transits)
        if any(len(each) != IDENTITY_BYTES for each in identities) or envelope.source == envelope.destination:
            raise RouteRejected(Check.SIZE, "an envelope with no two chains", f"identities of {IDENTITY_BYTES} bytes")
        if packet != packed(packet.sequence, envelope, packet.timeout_timestamp) or not packet.sequence:
            raise RouteRejected(Check.SIZE, f"packet {packet.sequence} that is no message", f"one of version {VERSION}")
        is_way = envelope.mode is Mode.HOP and len(envelope.transits) < MOST_HOPS
        if envelope.mode is Mode.UNSPECIFIED or (envelope.transits and not is_way):
            raise RouteRejected(Check.SIZE, f"{len(envelope.transits)} transits in mode {envelope.mode.word}", "none")
        return cls(packet, envelope)

    @property
    def source(self) -> ChainIdentity:
        return checked(self.envelope.source)

    @property
    def destination(self) -> ChainIdentity:
        return checked(self.envelope.destination)

    @property
    def id(self) -> bytes:
        return message_id(self.source, self.packet)

    @property
    def route(self) -> Route:
        """As the application at either end sees it: the pair of names that the two chains have for each other.

        What an application keeps by client, as transfers keep their escrow, is so kept by chain.
        """
        return Route(application_client(self.destination), application_client(self.source), self.packet.sequence)

    @property
    def receipt_key(self) -> bytes:
        return paths.receipt(self.source, self.packet.source_client, self.packet.sequence)

    @property
    def acknowledgement_key(self) -> bytes:
        return paths.acknowledgement(self.source, self.packet.source_client, self.packet.sequence)

    @property
    def forward_key(self) -> bytes:
        return paths.forwarded(self.source, self.packet.source_client, self.packet.sequence)

    @property
    def commitment_key(self) -> bytes:
        return ibc_paths.packet_commitment_v2(self.packet.source_client, self.packet.sequence)

    @property
    def way(self) -> tuple[ChainIdentity, ...]:
        """All chains of a message of mode HOP, from the source on; of others its two ends."""
        return (self.source, *map(checked, self.envelope.transits), self.destination)

    def committed(self, records: tuple[HopRecord, ...]) -> tuple[bytes, bytes]:
        """Key and value of what the chain before holds: the source's commitment, or that of a transit."""
        if not records:
            return self.commitment_key, packet_commitment_v2(self.packet)
        return self.forward_key, forward_commitment(self.packet, records)
