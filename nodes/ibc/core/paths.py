"""ICS-24 paths: the key of each provable value in a chain's store `ibc`, of v1 (text) and of v2 (binary).

Source: ibc-go `modules/core/24-host/{*_keys.go,v2/packet_keys.go}`.
"""

from __future__ import annotations

STORE = b"ibc"  # the name of the store, and so the prefix of Merkle paths into it

NEXT_CLIENT = b"nextClientSequence"
NEXT_CONNECTION = b"nextConnectionSequence"
NEXT_CHANNEL = b"nextChannelSequence"


def client_state(client: str) -> bytes:
    return f"clients/{client}/clientState".encode()


def consensus_state(client: str, revision_number: int, revision_height: int) -> bytes:
    return f"clients/{client}/consensusStates/{revision_number}-{revision_height}".encode()


def client_connections(client: str) -> bytes:
    """Names of the connections that stand on a client."""
    return f"clients/{client}/connections".encode()


def client_counterparty(client: str) -> bytes:
    """The counterparty of a client for v2 packets."""
    return f"clients/{client}/counterparty".encode()


def client_creator(client: str) -> bytes:
    """The account that created a client, and alone may register its counterparty."""
    return f"clients/{client}/creator".encode()


def connection(name: str) -> bytes:
    return f"connections/{name}".encode()


def _end(port: str, channel: str) -> str:
    return f"ports/{port}/channels/{channel}"


def channel_end(port: str, channel: str) -> bytes:
    return f"channelEnds/{_end(port, channel)}".encode()


def next_sequence_send(port: str, channel: str) -> bytes:
    return f"nextSequenceSend/{_end(port, channel)}".encode()


def next_sequence_receive(port: str, channel: str) -> bytes:
    return f"nextSequenceRecv/{_end(port, channel)}".encode()


def next_sequence_acknowledge(port: str, channel: str) -> bytes:
    return f"nextSequenceAck/{_end(port, channel)}".encode()


def packet_commitments(port: str, channel: str) -> bytes:
    """The prefix of all packet commitments of a channel end."""
    return f"commitments/{_end(port, channel)}/sequences/".encode()


def packet_commitment(port: str, channel: str, sequence: int) -> bytes:
    return packet_commitments(port, channel) + str(sequence).encode()


def packet_receipt(port: str, channel: str, sequence: int) -> bytes:
    return f"receipts/{_end(port, channel)}/sequences/{sequence}".encode()


def packet_acknowledgements(port: str, channel: str) -> bytes:
    """The prefix of all acknowledgement commitments of a channel end."""
    return f"acks/{_end(port, channel)}/sequences/".encode()


def packet_acknowledgement(port: str, channel: str, sequence: int) -> bytes:
    return packet_acknowledgements(port, channel) + str(sequence).encode()


def packet_commitments_v2(client: str) -> bytes:
    """The prefix of all v2 packet commitments of a client."""
    return client.encode() + b"\x01"


def packet_commitment_v2(client: str, sequence: int) -> bytes:
    return packet_commitments_v2(client) + sequence.to_bytes(8)


def packet_receipt_v2(client: str, sequence: int) -> bytes:
    return client.encode() + b"\x02" + sequence.to_bytes(8)


def packet_acknowledgements_v2(client: str) -> bytes:
    """The prefix of all v2 acknowledgement commitments of a client."""
    return client.encode() + b"\x03"


def packet_acknowledgement_v2(client: str, sequence: int) -> bytes:
    return packet_acknowledgements_v2(client) + sequence.to_bytes(8)


def next_sequence_send_v2(client: str) -> bytes:
    return f"nextSequenceSend/{client}".encode()


def held_packet_v2(client: str, sequence: int) -> bytes:
    """A received v2 packet whose application answers later."""
    return client.encode() + b"async_packet" + sequence.to_bytes(8)


def merkle_path(prefix: list[bytes] | tuple[bytes, ...], key: bytes) -> tuple[bytes, ...]:
    """The path of a key through a chain's trees, root first: v2 appends the key to the prefix's last element."""
    return (*prefix[:-1], prefix[-1] + key)
