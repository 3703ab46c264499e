"""What this package needs of a chain, and what an application is to it.

A chain hands over a `ClientKeeper` (light clients: the only way to learn what another chain holds) and a `Bank`. Both
keep their state in the context's stores, so that a failed message undoes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nodes.ibc.core.errors import CLIENT_NOT_ACTIVE
from nodes.ibc.core.state import Context
from nodes.ibc.proto.channel import Counterparty, Order, Packet
from nodes.ibc.proto.channel_v2 import Payload, RecvPacketResult
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.well_known import Any


class ClientKeeper(Protocol):
    """Light clients by name. Every error is an AbciError of codespace `client`."""

    def create(self, context: Context, client_state: Any, consensus_state: Any) -> str:
        """A new client's name. Emits create_client."""

    def update(self, context: Context, client: str, message: Any) -> None:
        """Take a header or misbehaviour. Emits update_client, and client_misbehaviour where it freezes."""

    def recover(self, context: Context, subject: str, substitute: str) -> None:
        """Give an expired or frozen client the state of an active one."""

    def upgrade(
        self, context: Context, client: str, client_state: Any, consensus_state: Any, proofs: tuple[bytes, bytes]
    ) -> None:
        """Follow a chain through an upgrade. Emits upgrade_client."""

    def status(self, context: Context, client: str) -> str:
        """Active, Expired, Frozen or Unknown."""

    def latest_height(self, context: Context, client: str) -> Height: ...

    def timestamp_ns(self, context: Context, client: str, height: Height) -> int:
        """Time of the other chain's block of that height. Raises where the client knows none."""

    def verify_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path, value: bytes
    ) -> None:
        """Raises unless the other chain held `value` under `path` at `height`, and the client is active."""

    def verify_non_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path
    ) -> None:
        """Raises unless the other chain held nothing under `path` at `height`, and the client is active."""


Path = tuple[bytes, ...]  # of keys, root first


@dataclass(frozen=True)
class Delay:
    """How long a consensus state must have been here before it serves a proof."""

    time_ns: int = 0
    blocks: int = 0


NO_DELAY = Delay()


def require_active(clients: ClientKeeper, context: Context, client: str) -> None:
    status = clients.status(context, client)
    if status != "Active":
        raise CLIENT_NOT_ACTIVE.error(f"client ({client}) status is {status}")


class Bank(Protocol):
    """Tokens of accounts. Amounts are at least 0; a transfer of more than there is raises AbciError."""

    def account(self, address: str) -> bytes:
        """The account of an address of this chain. AbciError for any other text."""

    def address(self, account: bytes) -> str: ...

    def may_receive(self, context: Context, account: bytes) -> bool:
        """False for accounts of modules."""

    def send(self, context: Context, sender: bytes, receiver: bytes, denom: str, amount: int) -> None: ...

    def mint(self, context: Context, receiver: bytes, denom: str, amount: int) -> None: ...

    def burn(self, context: Context, holder: bytes, denom: str, amount: int) -> None: ...


@dataclass(frozen=True)
class Acknowledgement:
    """An application's answer: its bytes, and whether they tell success. Where they do not, its changes are undone."""

    data: bytes
    success: bool


class Application(Protocol):
    """The module behind a port, for v1 channels. An AbciError that a callback raises fails the transaction."""

    def open_init(
        self, context: Context, ordering: Order, port: str, channel: str, counterparty: Counterparty,
        version: str,
    ) -> str:  # fmt: skip
        """The version to propose."""

    def open_try(
        self, context: Context, ordering: Order, port: str, channel: str, counterparty: Counterparty,
        version: str,
    ) -> str:  # fmt: skip
        """The version to hold, given the other side's."""

    def open_ack(self, context: Context, port: str, channel: str, version: str) -> None: ...

    def open_confirm(self, context: Context, port: str, channel: str) -> None: ...

    def close_init(self, context: Context, port: str, channel: str) -> None: ...

    def close_confirm(self, context: Context, port: str, channel: str) -> None: ...

    def receive(self, context: Context, packet: Packet, relayer: str) -> Acknowledgement | None:
        """The answer, or None where it is written later."""

    def acknowledge(self, context: Context, packet: Packet, acknowledgement: bytes, relayer: str) -> None: ...

    def timeout(self, context: Context, packet: Packet, relayer: str) -> None: ...


@dataclass(frozen=True)
class Route:
    """The clients of a v2 packet, and its sequence."""

    source: str
    destination: str
    sequence: int


class PayloadApplication(Protocol):
    """The module behind a port, for v2 payloads."""

    def send_payload(self, context: Context, route: Route, payload: Payload, signer: str) -> None: ...

    def receive_payload(self, context: Context, route: Route, payload: Payload, relayer: str) -> RecvPacketResult:
        """The answer; with status ASYNC it is written later, and with FAILURE the whole packet is undone."""

    def acknowledge_payload(
        self, context: Context, route: Route, payload: Payload, acknowledgement: bytes, relayer: str
    ) -> None: ...

    def timeout_payload(self, context: Context, route: Route, payload: Payload, relayer: str) -> None: ...
