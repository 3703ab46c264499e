"""Events of a transaction, by the names and in the order that ibc-go 10 emits them: relayers and wallets read these.

Source: ibc-go `modules/**/keeper/events.go`, `modules/apps/transfer/internal/events`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nodes.ibc.proto import channel_v2
    from nodes.ibc.proto.channel import Channel, Packet
    from nodes.ibc.proto.connection import ConnectionEnd

ERROR_PREFIX = "ibccallbackerror-"


@dataclass(frozen=True, slots=True)
class Event:
    """A type, and attributes in order; a key may occur twice."""

    type: str
    attributes: tuple[tuple[str, str], ...]

    def __getitem__(self, key: str) -> str:
        """The value of the first attribute of that name."""
        return next(value for name, value in self.attributes if name == key)

    def reverted(self) -> Event:
        """The event of a callback whose changes were undone: told, but not to be mistaken for one that holds."""
        return Event(self.type, tuple((f"{ERROR_PREFIX}{key}", value) for key, value in self.attributes))


def event(kind: str, **attributes: object) -> Event:
    return Event(kind, tuple([(key, str(value)) for key, value in attributes.items()]))


def module(name: str) -> Event:
    """The event `message` that follows each event of a module."""
    return event("message", module=name)


def connection_opened(step: str, name: str, end: ConnectionEnd) -> tuple[Event, ...]:
    """`step` is init, try, ack or confirm."""
    attributes = {
        "connection_id": name,
        "client_id": end.client_id,
        "counterparty_client_id": end.counterparty.client_id,
    }
    if step != "init":
        attributes["counterparty_connection_id"] = end.counterparty.connection_id
    return event(f"connection_open_{step}", **attributes), module("ibc_connection")


def channel_step(step: str, port: str, channel: str, end: Channel) -> tuple[Event, ...]:
    """`step` is open_init, open_try, open_ack, open_confirm, close_init or close_confirm."""
    attributes = {"port_id": port, "channel_id": channel, "counterparty_port_id": end.counterparty.port_id}
    if step != "open_init":
        attributes["counterparty_channel_id"] = end.counterparty.channel_id
    attributes["connection_id"] = end.connection_hops[0]
    if step in ("open_init", "open_try"):
        attributes["version"] = end.version
    return event(f"channel_{step}", **attributes), module("ibc_channel")


def channel_closed(packet: Packet, end: Channel, ordering: str) -> tuple[Event, ...]:
    """An ordered channel closes because of a packet that timed out."""
    closed = event(
        "channel_close",
        port_id=packet.source_port,
        channel_id=packet.source_channel,
        counterparty_port_id=end.counterparty.port_id,
        counterparty_channel_id=end.counterparty.channel_id,
        connection_id=end.connection_hops[0],
        packet_channel_ordering=ordering,
    )
    return closed, module("ibc_channel")


def packet_event(
    kind: str, packet: Packet, ordering: str, connection: str, acknowledgement: bytes | None = None
) -> tuple[Event, ...]:
    """send_packet, recv_packet, write_acknowledgement, acknowledge_packet or timeout_packet of a v1 packet."""
    attributes: dict[str, object] = {}
    if kind in ("send_packet", "recv_packet", "write_acknowledgement"):
        attributes["packet_data_hex"] = packet.data.hex()
    height = packet.timeout_height
    attributes |= {
        "packet_timeout_height": f"{height.revision_number}-{height.revision_height}",
        "packet_timeout_timestamp": packet.timeout_timestamp,
        "packet_sequence": packet.sequence,
        "packet_src_port": packet.source_port,
        "packet_src_channel": packet.source_channel,
        "packet_dst_port": packet.destination_port,
        "packet_dst_channel": packet.destination_channel,
    }
    if acknowledgement is not None:
        attributes["packet_ack_hex"] = acknowledgement.hex()
    if kind == "timeout_packet":
        attributes |= {"connection_id": connection, "packet_channel_ordering": ordering}
    else:
        attributes |= {
            "packet_channel_ordering": ordering,
            "packet_connection": connection,
            "connection_id": connection,
        }
    return event(kind, **attributes), module("ibc_channel")


def packet_event_v2(kind: str, packet: channel_v2.Packet, acknowledgement: bytes | None = None) -> tuple[Event, ...]:
    """The same kinds for a v2 packet; packet and acknowledgement are in it as they are on the wire."""
    attributes: dict[str, object] = {
        "packet_source_client": packet.source_client,
        "packet_dest_client": packet.destination_client,
        "packet_sequence": packet.sequence,
        "packet_timeout_timestamp": packet.timeout_timestamp,
        "encoded_packet_hex": packet.encode().hex(),
    }
    if acknowledgement is not None:
        attributes["encoded_acknowledgement_hex"] = acknowledgement.hex()
    return event(kind, **attributes), module("ibc_channelv2")
