"""ICS-20: tokens to another chain and back, over v1 channels and v2 clients.

A token that leaves the chain which it came to last is a voucher: it is burnt, and released there. Any other token is
kept in the channel's escrow, and a voucher of it is made there. Invariant: for every channel and token, escrow here =
vouchers there + transfers in flight. Source: ICS-20, ibc-go `modules/apps/transfer/keeper`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from nodes.ibc.core import denominations
from nodes.ibc.core.commitments import UNIVERSAL_ERROR
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.errors import (
    INVALID_CHANNEL_ORDERING,
    INVALID_DENOMINATION,
    INVALID_PACKET_V2,
    INVALID_PORT,
    INVALID_REQUEST,
    INVALID_TRANSFER_VERSION,
    RECEIVE_FAILED,
    UNAUTHORIZED,
    AbciError,
)
from nodes.ibc.core.events import Event, event, module
from nodes.ibc.core.identifiers import check_port, is_generated_channel
from nodes.ibc.core.keepers import Acknowledgement, Bank, Route
from nodes.ibc.core.state import Context, Store
from nodes.ibc.core.transfer_data import (
    JSON,
    RESULT_1,
    TransferData,
    error_acknowledgement,
    error_text,
    parse_acknowledgement,
    parse_amount,
)
from nodes.ibc.proto.channel import Counterparty, Order, Packet
from nodes.ibc.proto.channel_v2 import MsgSendPacket, PacketStatus, Payload, RecvPacketResult
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.transfer import MsgTransfer

PORT = "transfer"
VERSION = "ics20-1"
MODULE = sha256(b"transfer").digest()[:20]  # the account through which vouchers are made and burnt
_MOST_CHANNEL = 2**32 - 1  # more channels would weaken the 20-byte escrow accounts


def escrow_account(port: str, channel: str) -> bytes:
    """The account that keeps what left through a channel end (or a client, for v2)."""
    return sha256(f"{VERSION}\0{port}/{channel}".encode()).digest()[:20]


def arrived(sent: Denomination, source: tuple[str, str], destination: tuple[str, str]) -> Denomination:
    """What a token is after a transfer between two ends (port and channel): one hop back, or one hop more."""
    return sent.back() if sent.arrived_through(*source) else sent.through(*destination)


class PacketSender(Protocol):
    """Core, as an application sees it."""

    def send(
        self, context: Context, port: str, channel: str, data: bytes, timeout_height: Height, timeout_ns: int
    ) -> int: ...


class PayloadSender(Protocol):
    def send(self, context: Context, message: MsgSendPacket) -> int: ...


@dataclass(frozen=True)
class Transfer:
    """The application behind the port `transfer`."""

    bank: Bank

    def transfer(self, context: Context, message: MsgTransfer, packets: PacketSender, payloads: PayloadSender) -> int:
        """Send tokens, and the sequence of their packet. A channel id goes by v1, and a client id by v2.

        As in ibc-go the timeout is in ns for v1 and in s for v2; v2 has no timeout by height.
        """
        check_port(message.source_port)
        if message.use_aliasing:
            raise INVALID_REQUEST.error("v2 packets over v1 channels (aliasing) are not supported")
        data = TransferData(
            denominations.recall(context.stores["transfer"], message.token.denom),
            parse_amount(message.token.amount),
            message.sender,
            message.receiver,
            message.memo,
        ).check()
        port, channel = message.source_port, message.source_channel
        if is_generated_channel(channel):
            timeout = (message.timeout_height, message.timeout_timestamp)
            self.take(context, port, channel, data)
            sequence = packets.send(context, port, channel, data.encode(JSON), *timeout)
            self.tell_sent(context, data)
            return sequence
        encoding = message.encoding or JSON
        payload = Payload(PORT, PORT, VERSION, encoding, data.encode(encoding))
        return payloads.send(context, MsgSendPacket(channel, message.timeout_timestamp, (payload,), message.sender))

    def take(self, context: Context, port: str, channel: str, data: TransferData) -> None:
        """Take the tokens that a packet carries away from their sender."""
        sender, denomination = self.bank.account(data.sender), data.denomination
        if denomination.arrived_through(port, channel):
            self._burn(context, sender, denomination.local, data.amount)
        else:
            self.bank.send(context, sender, escrow_account(port, channel), denomination.local, data.amount)
            _count_escrow(context.stores["transfer"], denomination.local, data.amount)

    def give(self, context: Context, source: tuple[str, str], destination: tuple[str, str], data: TransferData) -> None:
        """Give the tokens that arrived to their receiver."""
        receiver = self.bank.account(data.receiver)
        if not self.bank.may_receive(context, receiver):
            raise UNAUTHORIZED.error(f"{data.receiver} is not allowed to receive funds")
        denomination = arrived(data.denomination, source, destination)
        if data.denomination.arrived_through(*source):
            self.bank.send(context, escrow_account(*destination), receiver, denomination.local, data.amount)
            _count_escrow(context.stores["transfer"], denomination.local, -data.amount)
            return
        denominations.remember(context.stores["transfer"], denomination)
        context.emit(event("denomination", denom_hash=denomination.hash.hex().upper(), denom=denomination.json()))
        self._mint(context, receiver, denomination.local, data.amount)

    def tell_sent(self, context: Context, data: TransferData) -> None:
        context.emit(event("ibc_transfer", **_named(data)), module(PORT))

    def refund(self, context: Context, port: str, channel: str, data: TransferData) -> None:
        """Undo `take`."""
        sender, denomination = self.bank.account(data.sender), data.denomination
        if denomination.arrived_through(port, channel):
            self._mint(context, sender, denomination.local, data.amount)
        else:
            self.bank.send(context, escrow_account(port, channel), sender, denomination.local, data.amount)
            _count_escrow(context.stores["transfer"], denomination.local, -data.amount)

    def _burn(self, context: Context, holder: bytes, denom: str, amount: int) -> None:
        self.bank.send(context, holder, MODULE, denom, amount)
        self.bank.burn(context, MODULE, denom, amount)

    def _mint(self, context: Context, receiver: bytes, denom: str, amount: int) -> None:
        self.bank.mint(context, MODULE, denom, amount)
        self.bank.send(context, MODULE, receiver, denom, amount)

    # Callbacks of v1 channels.

    def open_init(
        self, context: Context, ordering: Order, port: str, channel: str, counterparty: Counterparty, version: str
    ) -> str:
        _check_channel(ordering, port, channel)
        if version.strip() and version != VERSION:
            raise INVALID_TRANSFER_VERSION.error(f"expected {VERSION}, got {version}")
        return VERSION

    def open_try(
        self, context: Context, ordering: Order, port: str, channel: str, counterparty: Counterparty, version: str
    ) -> str:
        _check_channel(ordering, port, channel)
        return VERSION  # the other side may propose another one, and then drops the handshake

    def open_ack(self, context: Context, port: str, channel: str, version: str) -> None:
        if version != VERSION:
            raise INVALID_TRANSFER_VERSION.error(f"expected {VERSION}, got {version}")

    def open_confirm(self, context: Context, port: str, channel: str) -> None:
        """Nothing to do."""

    def close_init(self, context: Context, port: str, channel: str) -> None:
        raise INVALID_REQUEST.error("user cannot close channel")

    def close_confirm(self, context: Context, port: str, channel: str) -> None:
        """Nothing to do."""

    def receive(self, context: Context, packet: Packet, relayer: str) -> Acknowledgement | None:
        data = None
        try:
            data = TransferData.decode(packet.data, JSON)
            source = packet.source_port, packet.source_channel
            self.give(context, source, (packet.destination_port, packet.destination_channel), data)
        except AbciError as error:
            context.emit(*_received(data, error))
            return error_acknowledgement(error)
        context.emit(*_received(data, None))
        return RESULT_1

    def acknowledge(self, context: Context, packet: Packet, acknowledgement: bytes, relayer: str) -> None:
        result, error = parse_acknowledgement(acknowledgement)
        data = TransferData.decode(packet.data, JSON)
        if result is None:
            self.refund(context, packet.source_port, packet.source_channel, data)
        context.emit(*_acknowledged(data, result, error))

    def timeout(self, context: Context, packet: Packet, relayer: str) -> None:
        data = TransferData.decode(packet.data, JSON)
        self.refund(context, packet.source_port, packet.source_channel, data)
        context.emit(*_timed_out(data))

    # Callbacks of v2 packets.

    def send_payload(self, context: Context, route: Route, payload: Payload, signer: str) -> None:
        data = _open(payload)
        if data.sender != signer:
            raise UNAUTHORIZED.error(f"sender {data.sender} is different from signer {signer}")
        if "/" in data.denomination.base:
            raise INVALID_DENOMINATION.error(
                f"base denomination {data.denomination.base} cannot contain slashes for IBC v2 packet"
            )
        self.take(context, PORT, route.source, data)
        self.tell_sent(context, data)

    def receive_payload(self, context: Context, route: Route, payload: Payload, relayer: str) -> RecvPacketResult:
        data = None
        try:
            data = _open(payload)
            self.give(context, (PORT, route.source), (PORT, route.destination), data)
        except AbciError as error:
            context.emit(*_received(data, error))
            return RecvPacketResult(PacketStatus.FAILURE, error_acknowledgement(error).data)
        context.emit(*_received(data, None))
        return RecvPacketResult(PacketStatus.SUCCESS, RESULT_1.data)

    def acknowledge_payload(
        self, context: Context, route: Route, payload: Payload, acknowledgement: bytes, relayer: str
    ) -> None:
        data = _open(payload)
        if acknowledgement == UNIVERSAL_ERROR:
            self.refund(context, PORT, route.source, data)
            context.emit(*_acknowledged(data, None, error_text(RECEIVE_FAILED.error())))
            return
        result, error = parse_acknowledgement(acknowledgement)
        if result is None:
            raise INVALID_REQUEST.error("an error inside a successful acknowledgement; expected the universal one")
        context.emit(*_acknowledged(data, result, error))

    def timeout_payload(self, context: Context, route: Route, payload: Payload, relayer: str) -> None:
        data = _open(payload)
        self.refund(context, PORT, route.source, data)
        context.emit(*_timed_out(data))


def _check_channel(ordering: Order, port: str, channel: str) -> None:
    if int(channel.rpartition("-")[2]) > _MOST_CHANNEL:
        raise INVALID_REQUEST.error(f"{channel}; expected a number of 32 bits")
    if ordering is not Order.UNORDERED:
        raise INVALID_CHANNEL_ORDERING.error(f"expected UNORDERED channel, got {ordering.name}")
    if port != PORT:
        raise INVALID_PORT.error(f"invalid port: {port}, expected {PORT}")


def _open(payload: Payload) -> TransferData:
    if (payload.source_port, payload.destination_port) != (PORT, PORT):
        raise INVALID_PACKET_V2.error(
            f"payload port ID is invalid: expected {PORT}, got {payload.source_port} and {payload.destination_port}"
        )
    if payload.version != VERSION:
        raise INVALID_TRANSFER_VERSION.error(f"expected {VERSION}, got {payload.version}")
    return TransferData.decode(payload.value, payload.encoding)


def _escrow_key(denom: str) -> bytes:
    return f"totalEscrowForDenom/{denom}".encode()


def total_escrow(store: Store, denom: str) -> int:
    """Tokens of a denomination in all escrow accounts, as counted (not as the bank has it)."""
    return int(store.get(_escrow_key(denom)) or 0)


def _count_escrow(store: Store, denom: str, change: int) -> None:
    total = total_escrow(store, denom) + change
    if total:
        store.set(_escrow_key(denom), str(total).encode())
    else:
        store.delete(_escrow_key(denom))


def _named(data: TransferData) -> dict[str, object]:
    return {
        "sender": data.sender,
        "receiver": data.receiver,
        "denom": data.denomination.path,
        "amount": data.amount,
        "memo": data.memo,
    }


def _received(data: TransferData | None, error: AbciError | None) -> tuple[Event, ...]:
    named = _named(data) if data else dict.fromkeys(("sender", "receiver", "denom", "amount", "memo"), "")
    told = {"success": "false", "error": str(error)} if error else {"success": "true"}
    return event("fungible_token_packet", **named, **told), module(PORT)


def _acknowledged(data: TransferData, result: bytes | None, error: str) -> tuple[Event, ...]:
    if result is None:
        told, outcome = f"error:{json.dumps(error, ensure_ascii=False)} ", {"error": error}
    else:
        octal = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" for byte in result)
        told, outcome = f'result:"{octal}" ', {"success": result.decode("utf-8", "replace")}
    return (
        event("fungible_token_packet", **_named(data), acknowledgement=told),
        module(PORT),
        event("fungible_token_packet", **outcome),
    )


def _timed_out(data: TransferData) -> tuple[Event, ...]:
    token = f'{{"denom":{data.denomination.json()},"amount":"{data.amount}"}}'
    return event("timeout", receiver=data.sender, refund_tokens=token, memo=data.memo), module(PORT)
