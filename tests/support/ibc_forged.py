"""Headers for a client by somebody who is no relayer: true ones, and ones that validators signed for another block."""

from __future__ import annotations

from nodes.ibc.chain.ledger import Entry
from nodes.ibc.proto.comet import SignedHeader
from nodes.ibc.proto.ibc import Header, MsgUpdateClient
from nodes.ibc.proto.well_known import Any
from nodes.ibc.relayer.clients import Client
from tests.support.ibc_chain import address
from tests.support.ibc_relayed import Node


def forged_update(node: Node, client: Client, height: int = 0) -> MsgUpdateClient:
    """What tells a client of a node's chain another block of a height (0: the last one) than the chain has; by bob."""
    return _update(node, client, node.chain.fork(_entry(node, height)))


def true_update(node: Node, client: Client) -> MsgUpdateClient:
    """What tells a client the last block of a node's chain; by bob."""
    return _update(node, client, _entry(node, 0))


def _entry(node: Node, height: int) -> Entry:
    entry = node.chain.ledger[height or node.chain.height]
    assert entry is not None
    return entry


def _update(node: Node, client: Client, entry: Entry) -> MsgUpdateClient:
    height, committee = entry.block.height, node.chain.committee
    trusted = max(each for each in client.heights if each < height)
    header = Header(
        SignedHeader(entry.block.header, entry.commit), committee.at(height), client.height(trusted),
        committee.at(trusted + 1),
    )  # fmt: skip
    return MsgUpdateClient(client.name, Any.of(header), address("bob"))
