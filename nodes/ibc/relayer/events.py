"""A block's events as a relayer reads them.

Invariant: an event that lacks what it should say is left out, and counted; events of transactions that failed, and of
callbacks that were undone, are never taken for what they name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nodes.ibc.core.events import Event
from nodes.ibc.proto import channel, channel_v2
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.relayer.calls import Block, TxResult
from nodes.ibc.relayer.packets import Happened

_PACKETS = {
    "send_packet": Happened.SEND, "recv_packet": Happened.RECEIVE, "write_acknowledgement": Happened.ANSWER,
    "acknowledge_packet": Happened.SETTLE, "timeout_packet": Happened.SETTLE,
}  # fmt: skip
_NS = 10**9
_LATEST_S = (2**64 - 1) // _NS  # timeouts are kept in nanoseconds


@dataclass(frozen=True, slots=True)
class PacketSeen:
    """A packet event. Ends are without their chains; `encoded` is empty where an event does not hold the packet."""

    happened: Happened
    source: str
    destination: str
    sequence: int
    encoded: bytes = b""
    acknowledgement: bytes = b""
    timeout_ns: int = 0
    timeout_height: int = 0
    ordered: bool = False
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class ClientSeen:
    """A client was updated to a height, or, with 0, was shown misbehaviour."""

    client: str
    height: int


@dataclass(frozen=True, slots=True)
class ClientReplaced:
    """A client has the state of another one, or follows its chain through an upgrade."""

    client: str


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """A channel end is closed."""

    end: str


@dataclass(frozen=True, slots=True)
class Spent:
    """A transaction of an account used a sequence: what became of it."""

    address: str
    sequence: int
    result: TxResult


Seen = PacketSeen | ClientSeen | ClientReplaced | ChannelClosed | Spent


def read(block: Block) -> Iterator[Seen | None]:
    """What a block's events say, in order; None for an event that is out of form."""
    for result in block.results:
        for event in result.events:
            try:
                seen = _spent(event, result) if result.code else _seen(event, result)
            except (StopIteration, ValueError, WireError):
                yield None
                continue
            if seen is not None:
                yield seen


def _spent(event: Event, result: TxResult) -> Seen | None:
    if event.type != "tx" or event.attributes[:1] == () or event.attributes[0][0] != "acc_seq":
        return None
    address, _, sequence = event["acc_seq"].rpartition("/")
    return Spent(address, int(sequence), result)


def _seen(event: Event, result: TxResult) -> Seen | None:
    if event.type in _PACKETS and any(key == "packet_sequence" for key, _ in event.attributes):
        return _packet(event, _PACKETS[event.type])
    if event.type == "update_client":
        return ClientSeen(event["client_id"], int(event["consensus_heights"].split(",")[-1].partition("-")[2]))
    if event.type == "client_misbehaviour":
        return ClientSeen(event["client_id"], 0)
    if event.type == "recover_client":
        return ClientReplaced(event["subject_client_id"])
    if event.type == "upgrade_client":
        return ClientReplaced(event["client_id"])
    if event.type in ("channel_close_init", "channel_close_confirm", "channel_close"):
        return ChannelClosed(f"{event['port_id']}/{event['channel_id']}")
    return _spent(event, result)


def _packet(event: Event, happened: Happened) -> PacketSeen:
    names = {key for key, _ in event.attributes}
    timed_out = event.type == "timeout_packet"
    if "packet_source_client" in names:
        packet = channel_v2.Packet.decode(bytes.fromhex(event["encoded_packet_hex"]), strict=False)
        if packet.timeout_timestamp > _LATEST_S:
            raise ValueError(f"timeout {packet.timeout_timestamp} s; expected at most {_LATEST_S}")
        answer = b""
        if happened is Happened.ANSWER:
            answer = bytes.fromhex(event["encoded_acknowledgement_hex"])
            channel_v2.Acknowledgement.decode(answer)  # as it is to be relayed
        return PacketSeen(happened, packet.source_client, packet.destination_client, packet.sequence, packet.encode(),
                          answer, packet.timeout_timestamp * _NS, timed_out=timed_out)  # fmt: skip
    source = event["packet_src_port"], event["packet_src_channel"]
    destination = event["packet_dst_port"], event["packet_dst_channel"]
    sequence, timeout_ns = int(event["packet_sequence"]), int(event["packet_timeout_timestamp"])
    revision, _, number = event["packet_timeout_height"].partition("-")
    encoded = b""
    if "packet_data_hex" in names:
        data = bytes.fromhex(event["packet_data_hex"])
        height = Height(int(revision), int(number))
        encoded = channel.Packet(sequence, *source, *destination, data, height, timeout_ns).encode()
    answer = bytes.fromhex(event["packet_ack_hex"]) if happened is Happened.ANSWER else b""
    return PacketSeen(happened, "/".join(source), "/".join(destination), sequence, encoded, answer, timeout_ns,
                      int(number), event["packet_channel_ordering"] == "ORDER_ORDERED", timed_out)  # fmt: skip
