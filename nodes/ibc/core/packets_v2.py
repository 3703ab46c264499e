"""IBC v2: packets from client to client, with no handshake. One packet may carry payloads for several applications.

Invariants: an application sees a packet at most once, and its acknowledgement or its timeout exactly once; all payloads
of a packet take effect, or none. Source: ICS-4 v2, ibc-go `modules/core/04-channel/v2/keeper`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nodes.ibc.core import events, paths
from nodes.ibc.core.commitments import (
    RECEIPT_V2,
    UNIVERSAL_ERROR,
    acknowledgement_commitment_v2,
    packet_commitment_v2,
)
from nodes.ibc.core.errors import (
    ACKNOWLEDGEMENT_EXISTS_V2,
    CLIENT_COUNTERPARTY_NOT_FOUND,
    INVALID_ACKNOWLEDGEMENT_V2,
    INVALID_CLIENT_COUNTERPARTY,
    INVALID_PACKET_V2,
    INVALID_PAYLOAD_V2,
    INVALID_TIMEOUT_V2,
    NO_ROUTE,
    TIMEOUT_ELAPSED_V2,
    TIMEOUT_NOT_REACHED_V2,
    UNAUTHORIZED,
)
from nodes.ibc.core.identifiers import check_client, check_port
from nodes.ibc.core.keepers import NO_DELAY, ClientKeeper, PayloadApplication, Route, require_active
from nodes.ibc.core.state import Context, read_number, write_number
from nodes.ibc.core.tables import RECEIVED, SENT, Received, ReceivedEvent, Sent, SentEvent
from nodes.ibc.proto.channel import ResponseResultType
from nodes.ibc.proto.channel_v2 import (
    Acknowledgement,
    MsgAcknowledgement,
    MsgRecvPacket,
    MsgSendPacket,
    MsgTimeout,
    Packet,
    PacketStatus,
)
from nodes.ibc.proto.ibc import CounterpartyInfo, MsgRegisterCounterparty

LONGEST_TIMEOUT_S = 24 * 3600
MOST_PAYLOAD_BYTES = 256 << 10


@dataclass(frozen=True)
class PacketsV2:
    """Handlers of v2 messages. `applications` are by port."""

    clients: ClientKeeper
    applications: Mapping[str, PayloadApplication]

    def register_counterparty(self, context: Context, message: MsgRegisterCounterparty) -> None:
        """Bind a client to the other chain's client of this chain. Only the client's creator may, and once."""
        check_client(message.client_id)
        check_client(message.counterparty_client_id)
        if not message.counterparty_merkle_prefix:
            raise INVALID_CLIENT_COUNTERPARTY.error("empty Merkle prefix; expected at least one key")
        creator = context.ibc.get(paths.client_creator(message.client_id))
        if creator is None:
            raise UNAUTHORIZED.error(f"client {message.client_id} has no creator who may still register")
        if creator != message.signer.encode():
            raise UNAUTHORIZED.error(
                f"expected same signer as creator, expected {creator.decode()}, got {message.signer}"
            )
        counterparty = CounterpartyInfo(message.counterparty_merkle_prefix, message.counterparty_client_id)
        context.ibc.set(paths.client_counterparty(message.client_id), counterparty.encode())
        context.ibc.delete(paths.client_creator(message.client_id))
        if context.ibc.get(paths.next_sequence_send_v2(message.client_id)) is None:
            write_number(context.ibc, paths.next_sequence_send_v2(message.client_id), 1)

    def send(self, context: Context, message: MsgSendPacket) -> int:
        """The sequence of the new packet."""
        check_client(message.source_client)
        counterparty = self._counterparty(context, message.source_client)
        sequence = read_number(context.ibc, paths.next_sequence_send_v2(message.source_client), 1)
        packet = Packet(
            sequence, message.source_client, counterparty.client_id, message.timeout_timestamp, message.payloads
        )
        _check(packet)
        if packet.timeout_timestamp <= context.time_s:
            raise TIMEOUT_ELAPSED_V2.error(f"current time {context.time_s} s, timeout {packet.timeout_timestamp} s")
        if packet.timeout_timestamp > context.time_s + LONGEST_TIMEOUT_S:
            raise INVALID_TIMEOUT_V2.error(f"timeout {packet.timeout_timestamp} s; expected at most 24 h ahead")
        require_active(self.clients, context, packet.source_client)
        seen_ns = self.clients.timestamp_ns(
            context, packet.source_client, self.clients.latest_height(context, packet.source_client)
        )
        if seen_ns // 1_000_000_000 >= packet.timeout_timestamp:
            raise TIMEOUT_ELAPSED_V2.error(f"other chain at {seen_ns} ns, timeout {packet.timeout_timestamp} s")
        SENT.step(_name(packet), self._sent(context, packet), SentEvent.SEND)
        write_number(context.ibc, paths.next_sequence_send_v2(packet.source_client), sequence + 1)
        context.ibc.set(paths.packet_commitment_v2(packet.source_client, sequence), packet_commitment_v2(packet))
        context.emit(*events.packet_event_v2("send_packet", packet))
        for payload in packet.payloads:
            application = self._application(payload.source_port)
            application.send_payload(context, _route(packet), payload, message.signer)
        return sequence

    def receive(self, context: Context, message: MsgRecvPacket) -> ResponseResultType:
        packet = message.packet
        _check(packet)
        counterparty = self._counterparty(context, packet.destination_client)
        _match(counterparty.client_id, packet.source_client)
        if context.time_s >= packet.timeout_timestamp:
            raise TIMEOUT_ELAPSED_V2.error(f"current time {context.time_s} s, timeout {packet.timeout_timestamp} s")
        before = self._received(context, packet)
        after = RECEIVED.step(_name(packet), before, ReceivedEvent.RECEIVE)
        if after is before:
            return ResponseResultType.NOOP
        self.clients.verify_membership(
            context,
            packet.destination_client,
            message.proof_height,
            NO_DELAY,
            message.proof_commitment,
            paths.merkle_path(
                counterparty.merkle_prefix, paths.packet_commitment_v2(packet.source_client, packet.sequence)
            ),
            packet_commitment_v2(packet),
        )
        context.ibc.set(paths.packet_receipt_v2(packet.destination_client, packet.sequence), RECEIPT_V2)
        context.emit(*events.packet_event_v2("recv_packet", packet))
        self._apply(context, packet, message.signer)
        return ResponseResultType.SUCCESS

    def _apply(self, context: Context, packet: Packet, relayer: str) -> None:
        """Hand the payloads over. The first failure undoes all, and one error stands for it."""
        branch = context.branch()
        acknowledgements: list[bytes] = []
        for payload in packet.payloads:
            application = self._application(payload.destination_port)
            result = application.receive_payload(branch, _route(packet), payload, relayer)
            if result.status is PacketStatus.FAILURE:
                context.emit(*(each.reverted() for each in branch.events))
                self._write(context, packet, Acknowledgement((UNIVERSAL_ERROR,)))
                return
            if result.status is PacketStatus.ASYNC:
                if len(packet.payloads) > 1:
                    raise INVALID_PACKET_V2.error("several payloads, and one application answers later")
                key = paths.held_packet_v2(packet.destination_client, packet.sequence)
                branch.ibc.set(key, packet.encode())
                branch.commit()
                return
            if result.acknowledgement == UNIVERSAL_ERROR or not result.acknowledgement:
                raise INVALID_ACKNOWLEDGEMENT_V2.error(
                    f"{payload.destination_port} answers success with no bytes of it"
                )
            acknowledgements.append(result.acknowledgement)
        branch.commit()
        self._write(context, packet, Acknowledgement(tuple(acknowledgements)))

    def write_acknowledgement(
        self, context: Context, client: str, sequence: int, acknowledgement: Acknowledgement
    ) -> None:
        """The late answer of an application that received with PacketStatus.ASYNC."""
        key = paths.held_packet_v2(client, sequence)
        held = context.ibc.get(key)
        if held is None:
            raise INVALID_ACKNOWLEDGEMENT_V2.error(f"no packet {sequence} of {client} awaits an acknowledgement")
        self._write(context, Packet.decode(held), acknowledgement)
        context.ibc.delete(key)

    def _write(self, context: Context, packet: Packet, acknowledgement: Acknowledgement) -> None:
        state = self._received(context, packet)
        if state is Received.ANSWERED:
            raise ACKNOWLEDGEMENT_EXISTS_V2.error(_name(packet))
        RECEIVED.step(_name(packet), state, ReceivedEvent.WRITE_ACKNOWLEDGEMENT)
        context.ibc.set(
            paths.packet_acknowledgement_v2(packet.destination_client, packet.sequence),
            acknowledgement_commitment_v2(acknowledgement),
        )
        context.emit(*events.packet_event_v2("write_acknowledgement", packet, acknowledgement.encode()))

    def acknowledge(self, context: Context, message: MsgAcknowledgement) -> ResponseResultType:
        packet, acknowledgement = message.packet, message.acknowledgement
        _check(packet)
        answers = acknowledgement.app_acknowledgements
        failed = answers == (UNIVERSAL_ERROR,)
        if not answers or not all(answers) or (not failed and UNIVERSAL_ERROR in answers):
            raise INVALID_ACKNOWLEDGEMENT_V2.error("expected one error, or a success of each payload")
        if not failed and len(answers) != len(packet.payloads):
            raise INVALID_ACKNOWLEDGEMENT_V2.error(f"{len(answers)} answers to {len(packet.payloads)} payloads")
        counterparty = self._counterparty(context, packet.source_client)
        _match(counterparty.client_id, packet.destination_client)
        if self._settle(context, packet, SentEvent.ACKNOWLEDGE):
            return ResponseResultType.NOOP
        self.clients.verify_membership(
            context,
            packet.source_client,
            message.proof_height,
            NO_DELAY,
            message.proof_acked,
            paths.merkle_path(
                counterparty.merkle_prefix,
                paths.packet_acknowledgement_v2(packet.destination_client, packet.sequence),
            ),
            acknowledgement_commitment_v2(acknowledgement),
        )
        context.ibc.delete(paths.packet_commitment_v2(packet.source_client, packet.sequence))
        context.emit(*events.packet_event_v2("acknowledge_packet", packet))
        for place, payload in enumerate(packet.payloads):
            self._application(payload.source_port).acknowledge_payload(
                context, _route(packet), payload, UNIVERSAL_ERROR if failed else answers[place], message.signer
            )
        return ResponseResultType.SUCCESS

    def timeout(self, context: Context, message: MsgTimeout) -> ResponseResultType:
        packet = message.packet
        _check(packet)
        counterparty = self._counterparty(context, packet.source_client)
        _match(counterparty.client_id, packet.destination_client)
        seen_ns = self.clients.timestamp_ns(context, packet.source_client, message.proof_height)
        if seen_ns // 1_000_000_000 < packet.timeout_timestamp:
            raise TIMEOUT_NOT_REACHED_V2.error(f"proof at {seen_ns} ns, timeout {packet.timeout_timestamp} s")
        if self._settle(context, packet, SentEvent.TIMEOUT):
            return ResponseResultType.NOOP
        self.clients.verify_non_membership(
            context,
            packet.source_client,
            message.proof_height,
            NO_DELAY,
            message.proof_unreceived,
            paths.merkle_path(
                counterparty.merkle_prefix, paths.packet_receipt_v2(packet.destination_client, packet.sequence)
            ),
        )
        context.ibc.delete(paths.packet_commitment_v2(packet.source_client, packet.sequence))
        context.emit(*events.packet_event_v2("timeout_packet", packet))
        for payload in packet.payloads:
            self._application(payload.source_port).timeout_payload(context, _route(packet), payload, message.signer)
        return ResponseResultType.SUCCESS

    def _settle(self, context: Context, packet: Packet, event: SentEvent) -> bool:
        """Whether the packet is settled already. Raises where the commitment is of another packet."""
        before = self._sent(context, packet)
        if SENT.step(_name(packet), before, event) is before:
            return True
        commitment = context.ibc.get(paths.packet_commitment_v2(packet.source_client, packet.sequence))
        if commitment != packet_commitment_v2(packet):
            raise INVALID_PACKET_V2.error(f"{_name(packet)} differs from what was committed")
        return False

    def _sent(self, context: Context, packet: Packet) -> Sent:
        if context.ibc.get(paths.packet_commitment_v2(packet.source_client, packet.sequence)) is not None:
            return Sent.COMMITTED
        next_send = read_number(context.ibc, paths.next_sequence_send_v2(packet.source_client), 1)
        return Sent.SETTLED if packet.sequence < next_send else Sent.UNSENT

    def _received(self, context: Context, packet: Packet) -> Received:
        client, sequence = packet.destination_client, packet.sequence
        if context.ibc.get(paths.packet_acknowledgement_v2(client, sequence)) is not None:
            return Received.ANSWERED
        receipt = context.ibc.get(paths.packet_receipt_v2(client, sequence))
        return Received.UNRECEIVED if receipt is None else Received.RECEIVED

    def _counterparty(self, context: Context, client: str) -> CounterpartyInfo:
        stored = context.ibc.get(paths.client_counterparty(client))
        if stored is None:
            raise CLIENT_COUNTERPARTY_NOT_FOUND.error(f"counterparty not found for client: {client}")
        return CounterpartyInfo.recall(stored)

    def _application(self, port: str) -> PayloadApplication:
        application = self.applications.get(port)
        if application is None:
            raise NO_ROUTE.error(f"port {port!r}; expected one of {', '.join(sorted(self.applications))}")
        return application


def _check(packet: Packet) -> None:
    check_client(packet.source_client)
    check_client(packet.destination_client)
    if packet.sequence == 0:
        raise INVALID_PACKET_V2.error("packet sequence cannot be 0")
    if packet.timeout_timestamp == 0:
        raise INVALID_TIMEOUT_V2.error("packet timeout timestamp cannot be 0")
    if not packet.payloads:
        raise INVALID_PACKET_V2.error("no payloads; expected at least one")
    for payload in packet.payloads:
        check_port(payload.source_port)
        check_port(payload.destination_port)
        if not payload.version.strip() or not payload.encoding.strip() or not payload.value:
            raise INVALID_PAYLOAD_V2.error("payload without version, encoding or value")
    if sum(len(payload.value) for payload in packet.payloads) > MOST_PAYLOAD_BYTES:
        raise INVALID_PAYLOAD_V2.error(f"payloads above {MOST_PAYLOAD_BYTES} bytes together")


def _match(expected: str, found: str) -> None:
    if expected != found:
        raise INVALID_CLIENT_COUNTERPARTY.error(f"counterparty client is {expected}, the packet names {found}")


def _route(packet: Packet) -> Route:
    return Route(packet.source_client, packet.destination_client, packet.sequence)


def _name(packet: Packet) -> str:
    return f"{packet.source_client}/{packet.sequence}"
