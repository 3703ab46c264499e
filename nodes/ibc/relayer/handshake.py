"""Connections and channels of IBC v1: found on the chains, or opened by the four steps of each handshake.

Invariant: each step proves to one chain what the step before it wrote on the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nodes.ibc.core import paths as keys
from nodes.ibc.core.connections import SUPPORTED
from nodes.ibc.proto import channel, connection, queries
from nodes.ibc.proto.channel import Channel, Counterparty, Order
from nodes.ibc.proto.cosmos_base import PageRequest
from nodes.ibc.proto.ibc import Height, MerklePrefix
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Ask, Flow, Stored, Wait
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.opening import ClientTerms, Side, clients_of, create_client, sent, told
from nodes.ibc.relayer.packets import End
from nodes.ibc.relayer.paths import Path

T = TypeVar("T", bound=Message)
MakeClient = Callable[[str, str, str], Client]
PREFIX = MerklePrefix(keys.STORE)
_PAGE = 1000


def find_v1(a: Side, b: Side, path: Path) -> Flow[tuple[End, End] | None]:
    """The ends of the oldest open channel of the path's port between two chains."""
    clients = set((yield from clients_of(a.chain, b.followed.chain_id)))
    connections = yield from _all(
        a.chain,
        "/ibc.core.connection.v1.Query/Connections",
        lambda page: queries.QueryConnectionsRequest(page),
        queries.QueryConnectionsResponse,
        "connections",
    )
    over = {each.id: each for each in connections if each.client_id in clients}
    channels = yield from _all(
        a.chain,
        "/ibc.core.channel.v1.Query/Channels",
        lambda page: queries.QueryChannelsRequest(page),
        queries.QueryChannelsResponse,
        "channels",
    )
    ordering = Order.ORDERED if path.ordered else Order.UNORDERED
    for each in sorted(channels, key=lambda each: int(each.channel_id.rpartition("-")[2])):
        hop = over.get(each.connection_hops[0]) if len(each.connection_hops) == 1 else None
        fits = each.state is channel.State.OPEN and each.port_id == path.port and each.ordering is ordering
        if hop is not None and fits:
            other = each.counterparty
            asked = queries.QueryChannelRequest(other.port_id, other.channel_id)
            path_of = "/ibc.core.channel.v1.Query/Channel"
            (answer,) = yield (Ask(b.chain, path_of, asked, queries.QueryChannelResponse),)
            if answer.channel is None or answer.channel.state is not channel.State.OPEN:
                continue  # its handshake has stopped before the last step
            here = End(a.chain, hop.client_id, each.port_id, each.channel_id, hop.id)
            there = hop.counterparty
            return here, End(b.chain, there.client_id, other.port_id, other.channel_id, there.connection_id)
    return None


def open_v1(a: Side, b: Side, path: Path, terms: ClientTerms, made: MakeClient) -> Flow[tuple[End, End]]:
    """Make clients, a connection over them, and a channel over that."""
    on_a = made(a.chain, (yield from create_client(a, b, terms)), b.chain)
    on_b = made(b.chain, (yield from create_client(b, a, terms)), a.chain)
    of_a, of_b = yield from _open_connection(a, b, on_a, on_b)
    names = yield from _open_channel(a, b, on_a, on_b, (of_a, of_b), path)
    ends = [End(side.chain, client.name, path.port, name, hop)
            for side, client, name, hop in zip((a, b), (on_a, on_b), names, (of_a, of_b), strict=True)]  # fmt: skip
    return ends[0], ends[1]


def _open_connection(a: Side, b: Side, on_a: Client, on_b: Client) -> Flow[tuple[str, str]]:
    peer_b = connection.Counterparty(on_b.name, "", PREFIX)
    begun = yield from sent(a.signer, [connection.MsgConnectionOpenInit(on_a.name, peer_b, SUPPORTED[0], 0, "")])
    of_a = told(begun, "connection_open_init", "connection_id")
    updates, proof, height = yield from _proven(a, on_b, keys.connection(of_a))
    peer_a = connection.Counterparty(on_a.name, of_a, PREFIX)
    try_ = connection.MsgConnectionOpenTry(
        client_id=on_b.name,
        counterparty=peer_a,
        counterparty_versions=SUPPORTED,
        proof_height=height,
        proof_init=proof,
    )
    tried = yield from sent(b.signer, [*updates, try_])
    of_b = told(tried, "connection_open_try", "connection_id")
    updates, proof, height = yield from _proven(b, on_a, keys.connection(of_b))
    ack = connection.MsgConnectionOpenAck(
        connection_id=of_a,
        counterparty_connection_id=of_b,
        version=SUPPORTED[0],
        proof_height=height,
        proof_try=proof,
    )
    yield from sent(a.signer, [*updates, ack])
    updates, proof, height = yield from _proven(a, on_b, keys.connection(of_a))
    yield from sent(b.signer, [*updates, connection.MsgConnectionOpenConfirm(of_b, proof, height, "")])
    return of_a, of_b


def _open_channel(
    a: Side, b: Side, on_a: Client, on_b: Client, hops: tuple[str, str], path: Path
) -> Flow[tuple[str, str]]:
    port, ordering = path.port, Order.ORDERED if path.ordered else Order.UNORDERED
    init = channel.State.INIT
    of_a = Channel(init, ordering, Counterparty(port, ""), (hops[0],), path.version)
    begun = yield from sent(a.signer, [channel.MsgChannelOpenInit(port, of_a, "")])
    name_a = told(begun, "channel_open_init", "channel_id")
    updates, proof, height = yield from _proven(a, on_b, keys.channel_end(port, name_a))
    of_b = Channel(channel.State.TRYOPEN, ordering, Counterparty(port, name_a), (hops[1],), path.version)
    try_ = channel.MsgChannelOpenTry(port, "", of_b, path.version, proof, height, "")
    tried = yield from sent(b.signer, [*updates, try_])
    name_b = told(tried, "channel_open_try", "channel_id")
    updates, proof, height = yield from _proven(b, on_a, keys.channel_end(port, name_b))
    ack = channel.MsgChannelOpenAck(port, name_a, name_b, path.version, proof, height, "")
    yield from sent(a.signer, [*updates, ack])
    updates, proof, height = yield from _proven(a, on_b, keys.channel_end(port, name_a))
    yield from sent(b.signer, [*updates, channel.MsgChannelOpenConfirm(port, name_b, proof, height, "")])
    return name_a, name_b


def close_v1(here: Side, there: Side, client: Client, closed: End, end: End) -> Flow[None]:
    """Close a channel end `there`, as the other one is closed."""
    updates, proof, height = yield from _proven(here, client, keys.channel_end(closed.port, closed.channel))
    confirm = channel.MsgChannelCloseConfirm(end.port, end.channel, proof, height, "")
    yield from sent(there.signer, [*updates, confirm])


def _proven(source: Side, client: Client, key: bytes) -> Flow[tuple[list[Message], bytes, Height]]:
    """The proof of a key as it is now, for the chain of the client, with the updates that it needs."""
    needed = source.followed.height + 1
    yield Wait(lambda: source.followed.height >= needed)
    number, updates = yield from client.reach(needed, source.followed.height)
    (proven,) = yield (Stored(source.chain, key, number - 1),)
    return updates, proven.proof, client.height(number)


def _all(chain: str, path: str, asked: Callable[[PageRequest], Message], answer: type[T], rows: str) -> Flow[list[Any]]:
    """All rows of an answer that comes in pages."""
    found: list[Any] = []
    key = b""
    while True:
        (page,) = yield (Ask(chain, path, asked(PageRequest(key=key, limit=_PAGE)), answer),)
        found += getattr(page, rows)
        key = page.pagination.next_key if page.pagination else b""
        if not key:
            return found
