"""Making an edge: clients of two chains of each other, bound to the chains' identities, that name each other.

Invariant: a client is bound before it is given a counterparty, as only its creator may bind it, and the chain forgets
who that is; a relayer that was killed on the way leaves at most a client behind that nobody uses.
"""

from __future__ import annotations

from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.core import paths as keys
from nodes.ibc.proto import ibc
from nodes.ibc.proto.comet import Header
from nodes.ibc.relayer.calls import Flow, SignedHeaderAt, Wait, header_of
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.opening import ClientTerms, Side, create_client, sent
from nodes.xroute.names.messages import MsgBindClient
from nodes.xroute.relayer.network import Network

__all__ = ["open_edge"]

ANCHOR_HEIGHT = 1
BATCH = 50  # headers that are asked for at once


def open_edge(a: Side, b: Side, network: Network, terms: ClientTerms, clock: Clock) -> Flow[None]:
    """Make what two chains need for routes over them, unless it is there."""
    ends = tuple(network.identities[side.chain] for side in (a, b))
    if any((edge.verifier, edge.tracked) == ends for edge in network.graph.edges):
        return
    on_a = yield from _bound_client(a, b, terms, clock)
    on_b = yield from _bound_client(b, a, terms, clock)
    prefix = (keys.STORE, b"")
    yield from sent(a.signer, [ibc.MsgRegisterCounterparty(on_a, prefix, on_b, "")], a.signer.first)
    yield from sent(b.signer, [ibc.MsgRegisterCounterparty(on_b, prefix, on_a, "")], b.signer.first)


def _bound_client(host: Side, subject: Side, terms: ClientTerms, clock: Clock) -> Flow[str]:
    """A new client on `host` of the chain `subject`, bound to that chain's identity: its name."""
    name = yield from create_client(host, subject, terms)
    client = Client(host.chain, name, subject.chain, clock, SignatureCache())
    yield from client.load()
    yield Wait(lambda: subject.followed.height > client.latest)
    target = subject.followed.height
    (newest,) = yield from client.headers(target)
    between: list[Header] = []
    for last in range(target - 1, ANCHOR_HEIGHT, -BATCH):
        heights = range(last, max(last - BATCH, ANCHOR_HEIGHT), -1)
        between += map(header_of, (yield tuple(SignedHeaderAt(subject.chain, height) for height in heights)))
    (first,) = yield (SignedHeaderAt(subject.chain, ANCHOR_HEIGHT),)
    binding = MsgBindClient(name, header_of(first), newest, tuple(between), "")
    yield from sent(host.signer, [binding], host.signer.first)
    return name
