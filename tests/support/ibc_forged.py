"""Headers for a client by somebody who is no relayer: true ones, and ones that validators signed for another block."""

from __future__ import annotations

from nodes.ibc.chain.chain import Chain
from nodes.ibc.chain.ledger import Entry
from nodes.ibc.proto.comet import SignedHeader
from nodes.ibc.proto.ibc import Header, MsgUpdateClient
from nodes.ibc.proto.well_known import Any
from nodes.ibc.relayer.clients import Client
from tests.support.ibc_chain import address
from tests.support.ibc_relayed import Node


def forged_update(node: Node, client: Client, height: int = 0) -> MsgUpdateClient:
    """What tells a client of a node's chain another block of a height (0: the last one) than the chain has; by bob."""
    return _update(node.chain, client, node.chain.fork(_entry(node.chain, height)))


def true_update(chain: Chain, client: Client) -> MsgUpdateClient:
    """What tells a client the last block of a chain; by bob."""
    return _update(chain, client, _entry(chain, 0))


def _entry(chain: Chain, height: int) -> Entry:
    entry = chain.ledger[height or chain.height]
    assert entry is not None
    return entry


def _update(chain: Chain, client: Client, entry: Entry) -> MsgUpdateClient:
    height, committee = entry.block.height, chain.committee
    trusted = max(each for each in client.heights if each < height)
    header = Header(
        SignedHeader(entry.block.header, entry.commit), committee.at(height), client.height(trusted),
        committee.at(trusted + 1),
    )  # fmt: skip
    return MsgUpdateClient(client.name, Any.of(header), address("bob"))
