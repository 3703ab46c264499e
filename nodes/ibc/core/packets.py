"""ICS-4 packets over channels: send, receive, acknowledge, time out.

Invariants: an application sees a packet at most once, and its acknowledgement or its timeout exactly once; an ordered
channel delivers in order, and closes when a packet times out. Source: ibc-go `modules/core/04-channel/keeper`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodes.ibc.core import events, paths
from nodes.ibc.core.channels import Channels, mirror, order_name
from nodes.ibc.core.commitments import RECEIPT, acknowledgement_commitment, packet_commitment
from nodes.ibc.core.errors import (
    INVALID_ACKNOWLEDGEMENT,
    INVALID_CHANNEL_STATE,
    INVALID_PACKET,
    PACKET_OUT_OF_ORDER,
    PACKET_RECEIVED,
    TIMEOUT_ELAPSED,
    TIMEOUT_NOT_REACHED,
)
from nodes.ibc.core.identifiers import check_channel, check_port
from nodes.ibc.core.keepers import require_active
from nodes.ibc.core.state import Context, read_number, write_number
from nodes.ibc.core.tables import CHANNEL, RECEIVED, SENT, End, Handshake, Received, ReceivedEvent, Sent, SentEvent
from nodes.ibc.proto.channel import (
    Channel,
    MsgAcknowledgement,
    MsgRecvPacket,
    MsgTimeout,
    MsgTimeoutOnClose,
    Order,
    Packet,
    ResponseResultType,
    State,
)
from nodes.ibc.proto.connection import ConnectionEnd
from nodes.ibc.proto.ibc import Height

MOST_DATA_BYTES = 256 << 10
NO_HEIGHT = Height(0, 0)


@dataclass(frozen=True)
class Packets:
    """Handlers of packet messages, and what applications send and answer with."""

    channels: Channels

    def send(
        self, context: Context, port: str, channel: str, data: bytes, timeout_height: Height, timeout_ns: int
    ) -> int:
        """The sequence of the new packet. A timeout of zero is none; at least one must be set."""
        end = self.channels.get(context, port, channel)
        if end.state is not State.OPEN:
            raise INVALID_CHANNEL_STATE.error(f"channel is not OPEN (got {end.state.name})")
        sequence = read_number(context.ibc, paths.next_sequence_send(port, channel), 1)
        packet = Packet(
            sequence,
            port,
            channel,
            end.counterparty.port_id,
            end.counterparty.channel_id,
            data,
            timeout_height,
            timeout_ns,
        )
        _check(packet)
        connection = self.channels.connections.get(context, end.connection_hops[0])
        clients = self.channels.connections.clients
        require_active(clients, context, connection.client_id)
        latest = clients.latest_height(context, connection.client_id)
        seen_ns = clients.timestamp_ns(context, connection.client_id, latest)
        if _elapsed(packet, latest, seen_ns):
            raise TIMEOUT_ELAPSED.error(f"other chain at height {_text(latest)} and {seen_ns} ns; {_timeouts(packet)}")
        SENT.step(_name(packet), self._sent(context, packet), SentEvent.SEND)
        write_number(context.ibc, paths.next_sequence_send(port, channel), sequence + 1)
        context.ibc.set(paths.packet_commitment(port, channel, sequence), packet_commitment(packet))
        self._emit(context, "send_packet", packet, end)
        return sequence

    def receive(self, context: Context, message: MsgRecvPacket) -> ResponseResultType:
        packet = message.packet
        _check(packet)
        port, channel = packet.destination_port, packet.destination_channel
        end = self.channels.get(context, port, channel)
        if end.state is not State.OPEN:
            raise INVALID_CHANNEL_STATE.error(f"expected channel state OPEN, but got {end.state.name}")
        _match(end, packet.source_port, packet.source_channel)
        connection = self.channels.connections.get_open(context, end.connection_hops[0])
        if _elapsed(packet, context.height, context.time_ns):
            raise TIMEOUT_ELAPSED.error(f"height {_text(context.height)} at {context.time_ns} ns; {_timeouts(packet)}")
        self.channels.connections.verify(
            context,
            connection,
            message.proof_height,
            message.proof_commitment,
            paths.packet_commitment(packet.source_port, packet.source_channel, packet.sequence),
            packet_commitment(packet),
        )
        before = self._received(context, packet, end)
        if RECEIVED.step(_name(packet), before, ReceivedEvent.RECEIVE) is before:
            return ResponseResultType.NOOP
        if end.ordering is Order.ORDERED:
            write_number(context.ibc, paths.next_sequence_receive(port, channel), packet.sequence + 1)
        else:
            context.ibc.set(paths.packet_receipt(port, channel, packet.sequence), RECEIPT)
        self._emit(context, "recv_packet", packet, end)
        branch = context.branch()
        answer = self.channels.application(port).receive(branch, packet, message.signer)
        if answer is None or answer.success:
            branch.commit()
        else:
            context.emit(*(each.reverted() for each in branch.events))
        if answer is not None:
            self.write_acknowledgement(context, packet, answer.data)
        return ResponseResultType.SUCCESS

    def write_acknowledgement(self, context: Context, packet: Packet, acknowledgement: bytes) -> None:
        """Store an application's answer: at once, or later when it answered None."""
        port, channel = packet.destination_port, packet.destination_channel
        end = self.channels.get(context, port, channel)
        if end.state is not State.OPEN:
            raise INVALID_CHANNEL_STATE.error(f"channel is not OPEN (got {end.state.name})")
        RECEIVED.step(_name(packet), self._received(context, packet, end), ReceivedEvent.WRITE_ACKNOWLEDGEMENT)
        if not acknowledgement:
            raise INVALID_ACKNOWLEDGEMENT.error("acknowledgement cannot be empty")
        key = paths.packet_acknowledgement(port, channel, packet.sequence)
        context.ibc.set(key, acknowledgement_commitment(acknowledgement))
        self._emit(context, "write_acknowledgement", packet, end, acknowledgement)

    def acknowledge(self, context: Context, message: MsgAcknowledgement) -> ResponseResultType:
        packet = message.packet
        _check(packet)
        if not message.acknowledgement:
            raise INVALID_ACKNOWLEDGEMENT.error("acknowledgement cannot be empty")
        port, channel = packet.source_port, packet.source_channel
        end = self.channels.get(context, port, channel)
        if end.state is not State.OPEN:
            raise INVALID_CHANNEL_STATE.error(f"packets cannot be acknowledged on channel with state {end.state.name}")
        _match(end, packet.destination_port, packet.destination_channel)
        connection = self.channels.connections.get_open(context, end.connection_hops[0])
        if self._settled(context, packet, SentEvent.ACKNOWLEDGE):
            return ResponseResultType.NOOP
        self.channels.connections.verify(
            context,
            connection,
            message.proof_height,
            message.proof_acked,
            paths.packet_acknowledgement(packet.destination_port, packet.destination_channel, packet.sequence),
            acknowledgement_commitment(message.acknowledgement),
        )
        if end.ordering is Order.ORDERED:
            key = paths.next_sequence_acknowledge(port, channel)
            expected = read_number(context.ibc, key, 1)
            if packet.sequence != expected:
                raise PACKET_OUT_OF_ORDER.error(f"packet {packet.sequence}, next acknowledgement of {expected}")
            write_number(context.ibc, key, expected + 1)
        context.ibc.delete(paths.packet_commitment(port, channel, packet.sequence))
        self._emit(context, "acknowledge_packet", packet, end)
        self.channels.application(port).acknowledge(context, packet, message.acknowledgement, message.signer)
        return ResponseResultType.SUCCESS

    def timeout(self, context: Context, message: MsgTimeout) -> ResponseResultType:
        packet = message.packet
        _check(packet)
        end, connection = self._source(context, packet)
        clients = self.channels.connections.clients
        seen_ns = clients.timestamp_ns(context, connection.client_id, message.proof_height)
        if not _elapsed(packet, message.proof_height, seen_ns):
            raise TIMEOUT_NOT_REACHED.error(
                f"proof of height {_text(message.proof_height)} at {seen_ns} ns; {_timeouts(packet)}"
            )
        if self._settled(context, packet, SentEvent.TIMEOUT):
            return ResponseResultType.NOOP
        self._verify_unreceived(context, packet, end, connection, message)
        self._time_out(context, packet, end, message.signer)
        return ResponseResultType.SUCCESS

    def timeout_on_close(self, context: Context, message: MsgTimeoutOnClose) -> ResponseResultType:
        """As a timeout, where instead of the clock the other end is proven closed."""
        packet = message.packet
        _check(packet)
        end, connection = self._source(context, packet)
        if self._settled(context, packet, SentEvent.TIMEOUT_ON_CLOSE):
            return ResponseResultType.NOOP
        self.channels.connections.verify(
            context,
            connection,
            message.proof_height,
            message.proof_close,
            paths.channel_end(packet.destination_port, packet.destination_channel),
            mirror(packet.source_port, packet.source_channel, end, connection, State.CLOSED).encode(),
        )
        self._verify_unreceived(context, packet, end, connection, message)
        self._time_out(context, packet, end, message.signer)
        return ResponseResultType.SUCCESS

    def _source(self, context: Context, packet: Packet) -> tuple[Channel, ConnectionEnd]:
        end = self.channels.get(context, packet.source_port, packet.source_channel)
        _match(end, packet.destination_port, packet.destination_channel)
        return end, self.channels.connections.get(context, end.connection_hops[0])

    def _verify_unreceived(
        self, context: Context, packet: Packet, end: Channel, connection: ConnectionEnd,
        message: MsgTimeout | MsgTimeoutOnClose,
    ) -> None:  # fmt: skip
        """Ordered: the other end expects this packet or an earlier one. Unordered: it has no receipt."""
        connections = self.channels.connections
        port, channel, sequence = packet.destination_port, packet.destination_channel, packet.sequence
        if end.ordering is Order.ORDERED:
            if message.next_sequence_recv > sequence:
                raise PACKET_RECEIVED.error(f"next sequence receive {message.next_sequence_recv}, packet {sequence}")
            key, value = paths.next_sequence_receive(port, channel), message.next_sequence_recv.to_bytes(8)
            connections.verify(context, connection, message.proof_height, message.proof_unreceived, key, value)
        else:
            key = paths.packet_receipt(port, channel, sequence)
            connections.verify_absence(context, connection, message.proof_height, message.proof_unreceived, key)

    def _time_out(self, context: Context, packet: Packet, end: Channel, relayer: str) -> None:
        port, channel = packet.source_port, packet.source_channel
        self.channels.application(port).timeout(context, packet, relayer)
        context.ibc.delete(paths.packet_commitment(port, channel, packet.sequence))
        if end.ordering is Order.ORDERED:
            state = CHANNEL.step(channel, End(end.state), Handshake.ORDERED_TIMEOUT)
            end = replace(end, state=State(state.value))
            self.channels.set(context, port, channel, end)
            context.emit(*events.channel_closed(packet, end, order_name(end.ordering)))
        self._emit(context, "timeout_packet", packet, end)

    def _settled(self, context: Context, packet: Packet, event: SentEvent) -> bool:
        """Whether the packet is settled already. Raises where the commitment is of another packet."""
        before = self._sent(context, packet)
        if SENT.step(_name(packet), before, event) is before:
            return True
        key = paths.packet_commitment(packet.source_port, packet.source_channel, packet.sequence)
        if context.ibc.get(key) != packet_commitment(packet):
            raise INVALID_PACKET.error(f"packet {_name(packet)} differs from what was committed")
        return False

    def _sent(self, context: Context, packet: Packet) -> Sent:
        port, channel = packet.source_port, packet.source_channel
        if context.ibc.get(paths.packet_commitment(port, channel, packet.sequence)) is not None:
            return Sent.COMMITTED
        next_send = read_number(context.ibc, paths.next_sequence_send(port, channel), 1)
        return Sent.SETTLED if packet.sequence < next_send else Sent.UNSENT

    def _received(self, context: Context, packet: Packet, end: Channel) -> Received:
        port, channel, sequence = packet.destination_port, packet.destination_channel, packet.sequence
        if context.ibc.get(paths.packet_acknowledgement(port, channel, sequence)) is not None:
            return Received.ANSWERED
        if end.ordering is not Order.ORDERED:
            receipt = context.ibc.get(paths.packet_receipt(port, channel, sequence))
            return Received.UNRECEIVED if receipt is None else Received.RECEIVED
        expected = read_number(context.ibc, paths.next_sequence_receive(port, channel), 1)
        if sequence == expected:
            return Received.UNRECEIVED
        return Received.RECEIVED if sequence < expected else Received.EARLY

    def _emit(
        self, context: Context, kind: str, packet: Packet, end: Channel, acknowledgement: bytes | None = None
    ) -> None:
        ordering, connection = order_name(end.ordering), end.connection_hops[0]
        context.emit(*events.packet_event(kind, packet, ordering, connection, acknowledgement))


def _check(packet: Packet) -> None:
    check_port(packet.source_port)
    check_channel(packet.source_channel)
    check_port(packet.destination_port)
    check_channel(packet.destination_channel)
    if packet.sequence == 0:
        raise INVALID_PACKET.error("packet sequence cannot be 0")
    if packet.timeout_height == NO_HEIGHT and packet.timeout_timestamp == 0:
        raise INVALID_PACKET.error("packet timeout height and packet timeout timestamp cannot both be 0")
    if not packet.data:
        raise INVALID_PACKET.error("packet data bytes cannot be empty")
    if len(packet.data) > MOST_DATA_BYTES:
        raise INVALID_PACKET.error(f"packet data of {len(packet.data)} bytes; expected at most {MOST_DATA_BYTES}")


def _match(end: Channel, port: str, channel: str) -> None:
    if (end.counterparty.port_id, end.counterparty.channel_id) != (port, channel):
        raise INVALID_PACKET.error(
            f"packet names {port}/{channel}; expected {end.counterparty.port_id}/{end.counterparty.channel_id}"
        )


def _elapsed(packet: Packet, height: Height, time_ns: int) -> bool:
    """Whether a chain at that height and time has reached a timeout: from then on it refuses the packet."""
    by_height = packet.timeout_height != NO_HEIGHT and _order(height) >= _order(packet.timeout_height)
    by_time = packet.timeout_timestamp != 0 and time_ns >= packet.timeout_timestamp
    return by_height or by_time


def _order(height: Height) -> tuple[int, int]:
    return height.revision_number, height.revision_height


def _text(height: Height) -> str:
    return f"{height.revision_number}-{height.revision_height}"


def _timeouts(packet: Packet) -> str:
    return f"timeout height {_text(packet.timeout_height)}, timeout {packet.timeout_timestamp} ns"


def _name(packet: Packet) -> str:
    return f"{packet.source_port}/{packet.source_channel}/{packet.sequence}"
