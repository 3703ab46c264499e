"""Packet forwarding: a transfer whose memo says `forward` goes on to another chain before it is answered.

The memo is that of packet-forward-middleware: `{"forward": {"receiver", "port", "channel", "timeout", "retries",
"next"}}`. The acknowledgement is held back until the last hop settles. A hop that fails undoes this chain's part: the
tokens come back from the onward channel and return through the one that they came by, without a packet; then the
sender's chain refunds because of the error. Source: ibc-go `modules/apps/packet-forward-middleware`; there a token that
turns back through the channel that it came by, and fails, is made anew (its escrow then lacks it); here it is not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.identifiers import check_channel, check_port
from nodes.ibc.core.keepers import Acknowledgement
from nodes.ibc.core.packets import NO_HEIGHT, Packets
from nodes.ibc.core.state import Context, Store
from nodes.ibc.core.tables import FORWARD, Forward, ForwardEvent
from nodes.ibc.core.transfer import Transfer, arrived
from nodes.ibc.core.transfer_data import (
    JSON,
    TransferData,
    error_acknowledgement,
    is_unicode,
    load_json,
    parse_acknowledgement,
)
from nodes.ibc.proto.channel import Counterparty, Order, Packet

STORE = "packetfowardmiddleware"  # so spelt by ibc-go
DEFAULT_TIMEOUT_NS = 600 * 10**9
DEFAULT_RETRIES = 0
MOST_RETRIES = 255
_ERROR = "packet-forward-middleware error: "
_UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_DURATION_PART = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?(ns|us|µs|μs|ms|s|m|h)")
_MOST_NS = 2**63 - 1


class InvalidMemo(ValueError):
    """A memo that asks for forwarding and does not say rightly where to."""


@dataclass(frozen=True)
class Instructions:
    """Where to, from the chain that reads them. `next` is the memo of the next hop, or ""."""

    receiver: str
    port: str
    channel: str
    timeout_ns: int = DEFAULT_TIMEOUT_NS
    retries: int = DEFAULT_RETRIES
    next: str = ""

    @classmethod
    def parse(cls, memo: str) -> Instructions | None:
        """None where the memo asks for nothing. Raises InvalidMemo."""
        try:
            found = load_json(memo.encode())
        except ValueError:
            return None
        if not isinstance(found, dict) or found.get("forward") is None:
            return None
        forward = found["forward"]
        if not isinstance(forward, dict):
            raise InvalidMemo("forward; expected an object")
        receiver, port, channel = (_text(forward, name) for name in ("receiver", "port", "channel"))
        try:
            check_port(port)
            check_channel(channel)
        except AbciError as error:
            raise InvalidMemo(str(error)) from None
        retries = forward.get("retries")
        if retries is None:
            retries = DEFAULT_RETRIES
        if type(retries) is not int or not 0 <= retries <= MOST_RETRIES:
            raise InvalidMemo(f"retries; expected 0 to {MOST_RETRIES}")
        timeout_ns = _duration(forward.get("timeout") or 0)
        return cls(receiver, port, channel, timeout_ns or DEFAULT_TIMEOUT_NS, retries, _next(forward.get("next")))


def _text(forward: dict[str, Any], name: str) -> str:
    value = forward.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidMemo(f"{name}; expected text")
    return _unicode(name, value)


def _unicode(name: str, value: str) -> str:
    """JSON can spell half of a surrogate pair, and packets cannot carry it."""
    if not is_unicode(value):
        raise InvalidMemo(f"{name}; expected Unicode")
    return value


def _next(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _unicode("next", value)
    if not isinstance(value, dict):
        raise InvalidMemo("next; expected an object or text")
    return _unicode("next", json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def _duration(value: object) -> int:
    """Nanoseconds of a number of them, or of a text as Go writes it: 1h30m, 2.5s."""
    if type(value) is int:
        total_ns = value
    elif isinstance(value, str) and re.fullmatch(f"(?:{_DURATION_PART.pattern})+", value):
        total_ns = 0
        for whole, fraction, unit in _DURATION_PART.findall(value):
            total_ns += int(whole) * _UNITS_NS[unit]
            total_ns += int(fraction or 0) * _UNITS_NS[unit] // 10 ** len(fraction)
    else:
        raise InvalidMemo("timeout; expected nanoseconds, or text such as 10m or 1h30m")
    if not 0 <= total_ns <= _MOST_NS:
        raise InvalidMemo(f"timeout; expected 0 to {_MOST_NS} ns")
    return total_ns


@dataclass(frozen=True)
class Held:
    """A packet whose acknowledgement waits for the one that was sent on."""

    packet: Packet
    retries: int
    timeout_ns: int

    def encode(self) -> bytes:
        record = {"packet": self.packet.encode().hex(), "retries": self.retries, "timeout_ns": self.timeout_ns}
        return json.dumps(record).encode()

    @classmethod
    def decode(cls, data: bytes) -> Held:
        record = json.loads(data)
        return cls(Packet.decode(bytes.fromhex(record["packet"])), record["retries"], record["timeout_ns"])


def _key(port: str, channel: str, sequence: int) -> bytes:
    return f"{channel}/{port}/{sequence}".encode()


def held_packets(store: Store) -> dict[str, Held]:
    """All packets that wait, by `CHANNEL/PORT/SEQUENCE` of the one that was sent on."""
    return {key.decode(): Held.decode(value) for key, value in store.iterate(b"")}


def forwarding_account(channel: str, sender: str) -> bytes:
    """The account that holds a forwarded transfer for a moment. Nobody has its key."""
    return sha256(sha256(STORE.encode()).digest() + f"{channel}/{sender}".encode()).digest()[:20]


@dataclass(frozen=True)
class Forwarding:
    """The application `transfer`, with forwarding before it."""

    transfer: Transfer
    packets: Packets

    def receive(self, context: Context, packet: Packet, relayer: str) -> Acknowledgement | None:
        try:
            data = TransferData.decode(packet.data, JSON)
        except AbciError:
            return self.transfer.receive(context, packet, relayer)
        try:
            instructions = Instructions.parse(data.memo)
        except InvalidMemo as error:
            return error_acknowledgement(f"{_ERROR}{error}")
        if instructions is None:
            return self.transfer.receive(context, packet, relayer)
        holder = self.transfer.bank.address(forwarding_account(packet.destination_channel, data.sender))
        taken = replace(data, receiver=holder, memo="")
        answer = self.transfer.receive(context, replace(packet, data=taken.encode(JSON)), relayer)
        if answer is None or not answer.success:
            return error_acknowledgement(f"{_ERROR}error receiving packet")
        denomination = arrived(
            data.denomination,
            (packet.source_port, packet.source_channel),
            (packet.destination_port, packet.destination_channel),
        )
        onward = TransferData(denomination, data.amount, holder, instructions.receiver, instructions.next)
        FORWARD.step(_name(packet), Forward.UNSEEN, ForwardEvent.FORWARD)
        held = Held(packet, instructions.retries, instructions.timeout_ns)
        try:
            self._send(context, instructions.port, instructions.channel, onward, held)
        except AbciError as error:
            return error_acknowledgement(f"{_ERROR}error forwarding packet: {error.codespace} {error.code}")
        return None

    def acknowledge(self, context: Context, packet: Packet, acknowledgement: bytes, relayer: str) -> None:
        held = self._held(context, packet)
        if held is None:
            self.transfer.acknowledge(context, packet, acknowledgement, relayer)
            return
        result, _ = parse_acknowledgement(acknowledgement)
        event = ForwardEvent.FAIL if result is None else ForwardEvent.SUCCEED
        self._answer(context, packet, held, event, acknowledgement)

    def timeout(self, context: Context, packet: Packet, relayer: str) -> None:
        held = self._held(context, packet)
        if held is None:
            self.transfer.timeout(context, packet, relayer)
        elif held.retries == 0 or not self._retry(context, packet, held, relayer):
            answer = error_acknowledgement(
                f"{_ERROR}giving up on packet on channel ({packet.source_channel}) port ({packet.source_port}) "
                "after max retries"
            )
            self._answer(context, packet, held, ForwardEvent.GIVE_UP, answer.data)

    def _retry(self, context: Context, packet: Packet, held: Held, relayer: str) -> bool:
        """Send the tokens on once more. False where that cannot be, and then nothing has changed."""
        FORWARD.step(_name(packet), Forward.IN_FLIGHT, ForwardEvent.RETRY)
        branch = context.branch()
        try:
            self.transfer.timeout(branch, packet, relayer)
            data = TransferData.decode(packet.data, JSON)
            branch.stores[STORE].delete(_key(packet.source_port, packet.source_channel, packet.sequence))
            held = replace(held, retries=held.retries - 1)
            self._send(branch, packet.source_port, packet.source_channel, data, held)
        except AbciError:
            return False
        branch.commit()
        return True

    def _send(self, context: Context, port: str, channel: str, data: TransferData, held: Held) -> None:
        self.transfer.take(context, port, channel, data.check())
        timeout_ns = context.time_ns + held.timeout_ns
        sequence = self.packets.send(context, port, channel, data.encode(JSON), NO_HEIGHT, timeout_ns)
        self.transfer.tell_sent(context, data)
        context.stores[STORE].set(_key(port, channel, sequence), held.encode())

    def _answer(
        self, context: Context, packet: Packet, held: Held, event: ForwardEvent, acknowledgement: bytes
    ) -> None:
        """Write the acknowledgement that was held back; after a failure the tokens go back the way that they came."""
        FORWARD.step(_name(packet), Forward.IN_FLIGHT, event)
        context.stores[STORE].delete(_key(packet.source_port, packet.source_channel, packet.sequence))
        if event is not ForwardEvent.SUCCEED:
            data = TransferData.decode(packet.data, JSON)
            self.transfer.refund(context, packet.source_port, packet.source_channel, data)
            self.transfer.take(context, held.packet.destination_port, held.packet.destination_channel, data)
        self.packets.write_acknowledgement(context, held.packet, acknowledgement)

    def _held(self, context: Context, packet: Packet) -> Held | None:
        """The packet that waits for this one. None where this chain's own user sent it."""
        stored = context.stores[STORE].get(_key(packet.source_port, packet.source_channel, packet.sequence))
        return None if stored is None else Held.decode(stored)

    def open_init(
        self, context: Context, ordering: Order, port: str, channel: str, counterparty: Counterparty, version: str
    ) -> str:
        return self.transfer.open_init(context, ordering, port, channel, counterparty, version)

    def open_try(
        self, context: Context, ordering: Order, port: str, channel: str, counterparty: Counterparty, version: str
    ) -> str:
        return self.transfer.open_try(context, ordering, port, channel, counterparty, version)

    def open_ack(self, context: Context, port: str, channel: str, version: str) -> None:
        self.transfer.open_ack(context, port, channel, version)

    def open_confirm(self, context: Context, port: str, channel: str) -> None:
        self.transfer.open_confirm(context, port, channel)

    def close_init(self, context: Context, port: str, channel: str) -> None:
        self.transfer.close_init(context, port, channel)

    def close_confirm(self, context: Context, port: str, channel: str) -> None:
        self.transfer.close_confirm(context, port, channel)


def _name(packet: Packet) -> str:
    return f"{packet.destination_port}/{packet.destination_channel}/{packet.sequence}"
