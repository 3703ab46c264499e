"""Headers that a chain's validators signed and the chain does not have."""

from __future__ import annotations

from nodes.ibc.proto.comet import SignedHeader
from nodes.ibc.proto.ibc import Header, MsgUpdateClient
from nodes.ibc.proto.well_known import Any
from nodes.ibc.relayer.clients import Client
from tests.support.ibc_chain import address
from tests.support.ibc_relayed import Node


def forged_update(node: Node, client: Client, height: int = 0) -> MsgUpdateClient:
    """What tells a client of a node's chain another block of a height (0: the last one) than the chain has; by bob."""
    chain = node.chain
    height = height or chain.height
    entry = chain.ledger[height]
    assert entry is not None
    forged = chain.fork(entry)
    trusted = max(each for each in client.heights if each < height)
    header = Header(
        SignedHeader(forged.block.header, forged.commit), chain.committee.at(height), client.height(trusted),
        chain.committee.at(trusted + 1),
    )  # fmt: skip
    return MsgUpdateClient(client.name, Any.of(header), address("bob"))
