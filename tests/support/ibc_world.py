"""Chains that speak IBC, in one process: stores in memory, a bank, light clients that look into the other chain.

A light client here holds heights of another chain, and verifies a proof by looking the path up in what that chain held
at that height. A proof names its path, so that proofs which are mixed up fail. Nothing here uses the rules of
`nodes/ibc/core` but through messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any as Anything

import pytest

from nodes.ibc.core import errors, paths
from nodes.ibc.core.events import Event, event
from nodes.ibc.core.keepers import Acknowledgement, Delay
from nodes.ibc.core.router import Outcome, Router
from nodes.ibc.core.state import Context
from nodes.ibc.proto import channel as ch
from nodes.ibc.proto import channel_v2 as v2
from nodes.ibc.proto import connection as conn
from nodes.ibc.proto import ibc
from nodes.ibc.proto.cosmos_base import Coin
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.transfer import MsgTransfer
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message

SECOND_NS = 10**9
FUNDS = 10**6
RELAYER = "relayer"


class MemoryStore:
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        self.values[key] = value

    def delete(self, key: bytes) -> None:
        self.values.pop(key, None)

    def iterate(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted(item for item in self.values.items() if item[0].startswith(prefix))


def prove(key: bytes) -> bytes:
    return b"proof of " + key


@dataclass
class FakeBank:
    """Balances under `ACCOUNT/DENOM`, supply under `supply/DENOM`."""

    prefix: str

    def account(self, address: str) -> bytes:
        if not address.startswith(self.prefix + "1"):
            raise errors.INVALID_ADDRESS.error(address)
        try:
            return bytes.fromhex(address.removeprefix(self.prefix + "1"))
        except ValueError:
            raise errors.INVALID_ADDRESS.error(address) from None

    def address(self, account: bytes) -> str:
        return f"{self.prefix}1{account.hex()}"

    def may_receive(self, context: Context, account: bytes) -> bool:
        return account != b"blocked"

    def _add(self, context: Context, key: str, amount: int) -> None:
        store = context.stores["bank"]
        total = int(store.get(key.encode()) or 0) + amount
        if total < 0:
            raise errors.ErrorKind("sdk", 5, "insufficient funds").error(key)
        store.set(key.encode(), str(total).encode())

    def send(self, context: Context, sender: bytes, receiver: bytes, denom: str, amount: int) -> None:
        self._add(context, f"{sender.hex()}/{denom}", -amount)
        self._add(context, f"{receiver.hex()}/{denom}", amount)
        context.emit(event("transfer", sender=self.address(sender), recipient=self.address(receiver)))

    def mint(self, context: Context, receiver: bytes, denom: str, amount: int) -> None:
        self._add(context, f"{receiver.hex()}/{denom}", amount)
        self._add(context, f"supply/{denom}", amount)

    def burn(self, context: Context, holder: bytes, denom: str, amount: int) -> None:
        self._add(context, f"{holder.hex()}/{denom}", -amount)
        self._add(context, f"supply/{denom}", -amount)


class FakeClients:
    """Each client follows a chain of the world. Heights that it knows lie in the store `clients`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.states: dict[str, str] = {}  # a client's status where it is not Active

    def create(self, context: Context, client_state: Any, consensus_state: Any) -> str:
        number = sum(1 for _ in context.stores["clients"].iterate(b"chain/"))
        name = f"07-tendermint-{number}"
        context.stores["clients"].set(f"chain/{name}".encode(), client_state.value)
        self._learn(context, name, int.from_bytes(consensus_state.value))
        return name

    def update(self, context: Context, client: str, message: Any) -> None:
        self._followed(context, client)
        self._learn(context, client, int.from_bytes(message.value))

    def recover(self, context: Context, subject: str, substitute: str) -> None:
        self.states.pop(subject, None)

    def upgrade(self, context: Context, client: str, client_state: Any, consensus_state: Any,
                proofs: tuple[bytes, bytes]) -> None:  # fmt: skip
        raise errors.CLIENT_NOT_ACTIVE.error(f"{client}: no chain here is upgraded")

    def status(self, context: Context, client: str) -> str:
        if context.stores["clients"].get(f"chain/{client}".encode()) is None:
            return "Unknown"
        return self.states.get(client, "Active")

    def latest_height(self, context: Context, client: str) -> Height:
        prefix = f"height/{client}/".encode()
        heights = [int(key[len(prefix) :]) for key, _ in context.stores["clients"].iterate(prefix)]
        return Height(0, max(heights))

    def timestamp_ns(self, context: Context, client: str, height: Height) -> int:
        self._known(context, client, height)
        return self._followed(context, client).times_ns[height.revision_height]

    def verify_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: tuple[bytes, ...],
        value: bytes,
    ) -> None:  # fmt: skip
        if self._look_up(context, client, height, delay, proof, path) != value:
            raise errors.MEMBERSHIP_FAILED.error(repr(path))

    def verify_non_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: tuple[bytes, ...]
    ) -> None:
        if self._look_up(context, client, height, delay, proof, path) is not None:
            raise errors.NON_MEMBERSHIP_FAILED.error(repr(path))

    def _look_up(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: tuple[bytes, ...]
    ) -> bytes | None:
        if self.status(context, client) != "Active":
            raise errors.CLIENT_NOT_ACTIVE.error(client)
        learnt = self._known(context, client, height)
        time_ns, block = (int(part) for part in learnt.split(b"/"))
        if context.time_ns < time_ns + delay.time_ns or context.height.revision_height < block + delay.blocks:
            raise errors.ErrorKind("tendermint", 8, "packet-specified delay period has not been reached").error()
        if len(path) != 2 or path[0] != b"ibc" or proof != prove(path[1]):
            raise errors.MEMBERSHIP_FAILED.error(f"proof {proof!r} for {path!r}")
        return self._followed(context, client).snapshots[height.revision_height].get(path[1])

    def _known(self, context: Context, client: str, height: Height) -> bytes:
        learnt = context.stores["clients"].get(f"height/{client}/{height.revision_height}".encode())
        if learnt is None:
            raise errors.CONSENSUS_STATE_NOT_FOUND.error(f"{client} at {height}")
        return learnt

    def _followed(self, context: Context, client: str) -> Chain:
        name = context.stores["clients"].get(f"chain/{client}".encode())
        if name is None:
            raise errors.CLIENT_NOT_FOUND.error(client)
        return self.world.chains[name.decode()]

    def _learn(self, context: Context, client: str, height: int) -> None:
        here = f"{context.time_ns}/{context.height.revision_height}".encode()
        context.stores["clients"].set(f"height/{client}/{height}".encode(), here)


class Chain:
    """Blocks of one chain: `deliver` runs a message in the block that is open, `commit` closes it."""

    def __init__(self, world: World, name: str, **applications: Anything) -> None:
        self.name = name
        self.bank = FakeBank(name)
        self.clients = FakeClients(world)
        self.router = Router(self.clients, self.bank, authority="gov", **applications)
        self.stores = {
            store: MemoryStore() for store in ("ibc", "transfer", "packetfowardmiddleware", "bank", "clients")
        }
        self.height = 1
        self.time_ns = 1000 * SECOND_NS
        self.snapshots: dict[int, dict[bytes, bytes]] = {}
        self.times_ns: dict[int, int] = {}
        self.events: list[Event] = []
        self.commit()

    def context(self) -> Context:
        return Context(self.name, Height(0, self.height), self.time_ns, self.stores)

    def deliver(self, message: Message) -> Outcome:
        outcome = self.router.deliver(self.context(), message)
        self.events.extend(outcome.events)
        return outcome

    def commit(self, seconds: int = 1) -> int:
        """The height that is now provable."""
        closed = self.height
        self.snapshots[closed] = dict(self.stores["ibc"].values)
        self.times_ns[closed] = self.time_ns
        self.height += 1
        self.time_ns += seconds * SECOND_NS
        return closed

    def user(self, name: str = "user") -> str:
        return self.bank.address(name.encode())

    def fund(self, denom: str, amount: int = FUNDS, name: str = "user") -> None:
        self.bank.mint(self.context(), name.encode(), denom, amount)

    def balance(self, denom: str, account: bytes = b"user") -> int:
        return int(self.stores["bank"].get(f"{account.hex()}/{denom}".encode()) or 0)

    def supply(self, denom: str) -> int:
        return int(self.stores["bank"].get(f"supply/{denom}".encode()) or 0)

    def digest(self) -> dict[str, dict[bytes, bytes]]:
        return {name: dict(store.values) for name, store in self.stores.items()}


@dataclass(frozen=True)
class End:
    """A chain's end of a path: its client, connection and channel ("" for v2)."""

    chain: Chain
    client: str
    connection: str = ""
    port: str = "transfer"
    channel: str = ""


@dataclass(frozen=True)
class Link:
    a: End
    b: End

    def other(self, end: End) -> End:
        return self.b if end is self.a else self.a

    @property
    def back(self) -> Link:
        return Link(self.b, self.a)


@dataclass
class World:
    chains: dict[str, Chain] = field(default_factory=dict)

    def add(self, name: str, **applications: Anything) -> Chain:
        self.chains[name] = Chain(self, name, **applications)
        return self.chains[name]

    def create_client(self, on: Chain, of: Chain, signer: str = RELAYER) -> str:
        height = max(of.snapshots).to_bytes(8)
        message = ibc.MsgCreateClient(Any("/fake.Chain", of.name.encode()), Any("/fake.Height", height), signer)
        response = on.deliver(message).response
        assert isinstance(response, ibc.MsgCreateClientResponse)
        return response.client_id

    def update(self, on: Chain, client: str, of: Chain) -> Height:
        """Close a block of `of`, and tell the client of it."""
        height = of.commit()
        on.deliver(ibc.MsgUpdateClient(client, Any("/fake.Height", height.to_bytes(8)), RELAYER))
        return Height(0, height)

    def connect(self, a: Chain, b: Chain, delay_ns: int = 0) -> Link:
        """Clients and an open connection; names are read from events."""
        ca, cb = self.create_client(a, b), self.create_client(b, a)
        prefix = ibc.MerklePrefix(b"ibc")
        init = conn.MsgConnectionOpenInit(ca, conn.Counterparty(cb, "", prefix), None, delay_ns, RELAYER)
        name_a = a.deliver(init).events[0]["connection_id"]
        versions = conn.ConnectionEnd.decode(a.stores["ibc"].values[paths.connection(name_a)]).versions
        name_b = b.deliver(
            conn.MsgConnectionOpenTry(
                client_id=cb,
                counterparty=conn.Counterparty(ca, name_a, prefix),
                delay_period=delay_ns,
                counterparty_versions=versions,
                proof_height=self.update(b, cb, a),
                proof_init=prove(paths.connection(name_a)),
                signer=RELAYER,
            )
        ).events[0]["connection_id"]
        proof = prove(paths.connection(name_b))
        height = self.update(a, ca, b)
        a.deliver(
            conn.MsgConnectionOpenAck(name_a, name_b, versions[0], proof_height=height, proof_try=proof, signer=RELAYER)
        )
        height = self.update(b, cb, a)
        b.deliver(conn.MsgConnectionOpenConfirm(name_b, prove(paths.connection(name_a)), height, RELAYER))
        return Link(End(a, ca, name_a), End(b, cb, name_b))

    def open_channel(
        self, link: Link, port: str = "transfer", ordering: ch.Order = ch.Order.UNORDERED, version: str = "ics20-1"
    ) -> Link:
        a, b = link.a, link.b
        proposed = ch.Channel(ch.State.INIT, ordering, ch.Counterparty(port), (a.connection,), version)
        name_a = a.chain.deliver(ch.MsgChannelOpenInit(port, proposed, RELAYER)).events[0]["channel_id"]
        height = self.update(b.chain, b.client, a.chain)
        proposed = ch.Channel(ch.State.TRYOPEN, ordering, ch.Counterparty(port, name_a), (b.connection,), version)
        proof_a = prove(paths.channel_end(port, name_a))
        attempt = ch.MsgChannelOpenTry(port, "", proposed, version, proof_a, height, RELAYER)
        name_b = b.chain.deliver(attempt).events[0]["channel_id"]
        height = self.update(a.chain, a.client, b.chain)
        proof_b = prove(paths.channel_end(port, name_b))
        a.chain.deliver(ch.MsgChannelOpenAck(port, name_a, name_b, version, proof_b, height, RELAYER))
        height = self.update(b.chain, b.client, a.chain)
        b.chain.deliver(ch.MsgChannelOpenConfirm(port, name_b, proof_a, height, RELAYER))
        return Link(
            End(a.chain, a.client, a.connection, port, name_a), End(b.chain, b.client, b.connection, port, name_b)
        )

    def link_v2(self, a: Chain, b: Chain) -> Link:
        ca, cb = self.create_client(a, b), self.create_client(b, a)
        a.deliver(ibc.MsgRegisterCounterparty(ca, (b"ibc", b""), cb, RELAYER))
        b.deliver(ibc.MsgRegisterCounterparty(cb, (b"ibc", b""), ca, RELAYER))
        return Link(End(a, ca), End(b, cb))

    # What a relayer does with one packet of v1. All of it is safe to do twice, late, or in any order.
    # Without a height to prove at, a block is closed and the client told of it.

    def receive(self, link: Link, packet: ch.Packet, height: Height | None = None) -> Outcome:
        """A packet from a to b."""
        key = paths.packet_commitment(packet.source_port, packet.source_channel, packet.sequence)
        height = height or self.update(link.b.chain, link.b.client, link.a.chain)
        return link.b.chain.deliver(ch.MsgRecvPacket(packet, prove(key), height, RELAYER))

    def acknowledge(
        self, link: Link, packet: ch.Packet, acknowledgement: bytes, height: Height | None = None
    ) -> Outcome:
        key = paths.packet_acknowledgement(packet.destination_port, packet.destination_channel, packet.sequence)
        height = height or self.update(link.a.chain, link.a.client, link.b.chain)
        return link.a.chain.deliver(ch.MsgAcknowledgement(packet, acknowledgement, prove(key), height, RELAYER))

    def _unreceived(self, link: Link, packet: ch.Packet, ordered: bool) -> tuple[bytes, int]:
        port, channel = packet.destination_port, packet.destination_channel
        if not ordered:
            return prove(paths.packet_receipt(port, channel, packet.sequence)), 0
        key = paths.next_sequence_receive(port, channel)
        return prove(key), int.from_bytes(link.b.chain.stores["ibc"].values[key])

    def timeout(self, link: Link, packet: ch.Packet, ordered: bool = False, height: Height | None = None) -> Outcome:
        proof, next_receive = self._unreceived(link, packet, ordered)
        height = height or self.update(link.a.chain, link.a.client, link.b.chain)
        return link.a.chain.deliver(ch.MsgTimeout(packet, proof, height, next_receive, RELAYER))

    def timeout_on_close(
        self, link: Link, packet: ch.Packet, ordered: bool = False, height: Height | None = None
    ) -> Outcome:
        proof, next_receive = self._unreceived(link, packet, ordered)
        closed = prove(paths.channel_end(packet.destination_port, packet.destination_channel))
        height = height or self.update(link.a.chain, link.a.client, link.b.chain)
        return link.a.chain.deliver(ch.MsgTimeoutOnClose(packet, proof, closed, height, next_receive, RELAYER))

    # The same for v2.

    def receive_v2(self, link: Link, packet: v2.Packet, height: Height | None = None) -> Outcome:
        key = paths.packet_commitment_v2(packet.source_client, packet.sequence)
        height = height or self.update(link.b.chain, link.b.client, link.a.chain)
        return link.b.chain.deliver(v2.MsgRecvPacket(packet, prove(key), height, RELAYER))

    def acknowledge_v2(
        self, link: Link, packet: v2.Packet, acknowledgement: v2.Acknowledgement, height: Height | None = None
    ) -> Outcome:
        key = paths.packet_acknowledgement_v2(packet.destination_client, packet.sequence)
        height = height or self.update(link.a.chain, link.a.client, link.b.chain)
        return link.a.chain.deliver(v2.MsgAcknowledgement(packet, acknowledgement, prove(key), height, RELAYER))

    def timeout_v2(self, link: Link, packet: v2.Packet, height: Height | None = None) -> Outcome:
        key = paths.packet_receipt_v2(packet.destination_client, packet.sequence)
        height = height or self.update(link.a.chain, link.a.client, link.b.chain)
        return link.a.chain.deliver(v2.MsgTimeout(packet, prove(key), height, RELAYER))


def transfer(
    end: End, denom: str, amount: int, receiver: str, *, memo: str = "", height: int = 0, timeout_ns: int | None = None
) -> Outcome:
    """Send from the chain's user; without a timeout, ten minutes from now."""
    if timeout_ns is None:
        timeout_ns = end.chain.time_ns + 600 * SECOND_NS
    if not end.channel:
        timeout_ns //= SECOND_NS
    token = Coin(denom, str(amount))
    sender, where = end.chain.user(), end.channel or end.client
    return end.chain.deliver(
        MsgTransfer("transfer", where, token, sender, receiver, Height(0, height), timeout_ns, memo)
    )


def refused(call: Callable[[], object], codespace: str, code: int) -> errors.AbciError:
    """The error of a call, which must be this one."""
    with pytest.raises(errors.AbciError) as caught:
        call()
    assert (caught.value.codespace, caught.value.code) == (codespace, code), caught.value
    return caught.value


def packet_in(event: Event) -> ch.Packet:
    """The packet of a v1 event that has its data."""
    revision, _, height = event["packet_timeout_height"].partition("-")
    return ch.Packet(
        int(event["packet_sequence"]),
        event["packet_src_port"],
        event["packet_src_channel"],
        event["packet_dst_port"],
        event["packet_dst_channel"],
        bytes.fromhex(event["packet_data_hex"]),
        Height(int(revision), int(height)),
        int(event["packet_timeout_timestamp"]),
    )


def found(outcome: Outcome, kind: str) -> Event:
    """The only event of a kind."""
    (event,) = (each for each in outcome.events if each.type == kind)
    return event


def sent(outcome: Outcome) -> ch.Packet:
    return packet_in(found(outcome, "send_packet"))


def sent_v2(outcome: Outcome) -> v2.Packet:
    return v2.Packet.decode(bytes.fromhex(found(outcome, "send_packet")["encoded_packet_hex"]))


def answer(outcome: Outcome) -> bytes:
    return bytes.fromhex(found(outcome, "write_acknowledgement")["packet_ack_hex"])


def answer_v2(outcome: Outcome) -> v2.Acknowledgement:
    data = bytes.fromhex(found(outcome, "write_acknowledgement")["encoded_acknowledgement_hex"])
    return v2.Acknowledgement.decode(data)


@dataclass
class Echo:
    """An application for any port: it answers with the data, and counts what it is told."""

    told: list[tuple[str, int]] = field(default_factory=list)
    answers_later: bool = False

    def open_init(self, context: Context, ordering: ch.Order, port: str, channel: str, counterparty: ch.Counterparty,
                  version: str) -> str:  # fmt: skip
        return version

    open_try = open_init

    def open_ack(self, context: Context, port: str, channel: str, version: str) -> None: ...

    def open_confirm(self, context: Context, port: str, channel: str) -> None: ...

    def close_init(self, context: Context, port: str, channel: str) -> None: ...

    def close_confirm(self, context: Context, port: str, channel: str) -> None: ...

    def receive(self, context: Context, packet: ch.Packet, relayer: str) -> Acknowledgement | None:
        self.told.append(("receive", packet.sequence))
        return None if self.answers_later else Acknowledgement(b"echo " + packet.data, True)

    def acknowledge(self, context: Context, packet: ch.Packet, acknowledgement: bytes, relayer: str) -> None:
        self.told.append(("acknowledge", packet.sequence))

    def timeout(self, context: Context, packet: ch.Packet, relayer: str) -> None:
        self.told.append(("timeout", packet.sequence))
