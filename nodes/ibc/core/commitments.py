"""What a chain stores of a packet and of an acknowledgement: hashes that bind every field.

Source: ICS-4; ibc-go `04-channel/types/packet.go` (v1) and `04-channel/v2/types/commitment.go` (v2).
"""

from __future__ import annotations

from hashlib import sha256

from nodes.ibc.proto import channel_v2
from nodes.ibc.proto.channel import Packet

RECEIPT = b"\x01"
RECEIPT_V2 = b"\x02"  # as ibc-go stores it; only absence is ever proven
_VERSION_2 = b"\x02"
UNIVERSAL_ERROR = sha256(b"UNIVERSAL_ERROR_ACKNOWLEDGEMENT").digest()  # the v2 acknowledgement of any failure


def _hash(data: bytes) -> bytes:
    return sha256(data).digest()


def packet_commitment(packet: Packet) -> bytes:
    """Timestamp in ns, then height, each number as eight bytes; then the hash of the data."""
    height = packet.timeout_height
    numbers = (packet.timeout_timestamp, height.revision_number, height.revision_height)
    return _hash(b"".join(number.to_bytes(8) for number in numbers) + _hash(packet.data))


def acknowledgement_commitment(acknowledgement: bytes) -> bytes:
    return _hash(acknowledgement)


def packet_commitment_v2(packet: channel_v2.Packet) -> bytes:
    """Timestamp in s. Every part is hashed on its own first, so that no two packets share a preimage."""
    payloads = b"".join(map(_payload_hash, packet.payloads))
    return _hash(
        _VERSION_2
        + _hash(packet.destination_client.encode())
        + _hash(packet.timeout_timestamp.to_bytes(8))
        + _hash(payloads)
    )


def _payload_hash(payload: channel_v2.Payload) -> bytes:
    names = (payload.source_port, payload.destination_port, payload.version, payload.encoding)
    return _hash(b"".join(_hash(name.encode()) for name in names) + _hash(payload.value))


def acknowledgement_commitment_v2(acknowledgement: channel_v2.Acknowledgement) -> bytes:
    return _hash(_VERSION_2 + b"".join(map(_hash, acknowledgement.app_acknowledgements)))
