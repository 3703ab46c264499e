"""A client follows a chain of this project: its headers, its validators as they change, and proofs of its state."""

from __future__ import annotations

import pytest

from nodes.ibc.chain.chain import Chain
from nodes.ibc.chain.consensus import Churn
from nodes.ibc.chain.genesis import Settings, chain_of, funded
from nodes.ibc.client.keeper import Clients
from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.keepers import NO_DELAY
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.comet import SignedHeader
from nodes.ibc.proto.ibc import ClientState, Fraction, Header, Height, MerkleProof
from nodes.ibc.proto.well_known import Any, Duration

START_NS = 1_700_000_000 * 10**9
BLOCK_NS = 5 * 10**9
KEY, VALUE = b"commitments/ports/transfer/channels/channel-0/sequences/1", bytes(range(32))


def made(store: str, blocks: int) -> Chain:
    """A chain of some blocks, whose block 2 commits a key; each fourth block replaces a validator."""
    settings = Settings(
        "made-3", store=store, powers=(40, 30, 20, 10), churn=Churn(4), balances=funded(["a"], "cosmos", {"stake": 9})
    )
    chain = chain_of(settings, START_NS)
    chain.state.stores["ibc"].set(b"clients/07-tendermint-0/clientState", b"state")
    for number in range(1, blocks + 1):
        if number == 2:
            chain.state.stores["ibc"].set(KEY, VALUE)
        chain.produce(START_NS + number * BLOCK_NS)
    return chain


def message(chain: Chain, trusted: int, height: int) -> Any:
    entry = chain.ledger[height]
    return Any.of(
        Header(
            SignedHeader(entry.block.header, entry.commit),
            chain.committee.at(height),
            Height(3, trusted),
            chain.committee.at(trusted + 1),
        )
    )


@pytest.mark.parametrize("store", ["iavl", "simple"])
def test_a_client_follows_and_proves(store: str) -> None:
    chain = made(store, 24)
    clients = Clients()
    context = Context("here-0", Height(0, 9), START_NS + 25 * BLOCK_NS, {"ibc": ProvableStore()})
    state = ClientState(
        chain.app.chain_id,
        Fraction(1, 3),
        Duration.of_ns(1000 * BLOCK_NS),
        Duration.of_ns(2000 * BLOCK_NS),
        Duration.of_ns(BLOCK_NS),
        latest_height=Height(3, 2),
        proof_specs=chain.state.specs_of("ibc"),
    )
    client = clients.create(context, Any.of(state), Any.of(consensus_state_of(chain.ledger[2].block.header)))
    clients.update(context, client, message(chain, 2, 3))
    proof = MerkleProof(chain.state.prove("ibc", KEY, 2)).encode()
    clients.verify_membership(context, client, Height(3, 3), NO_DELAY, proof, (b"ibc", KEY), VALUE)
    absent = MerkleProof(chain.state.prove("ibc", KEY + b"9", 2)).encode()
    clients.verify_non_membership(context, client, Height(3, 3), NO_DELAY, absent, (b"ibc", KEY + b"9"))
    with pytest.raises(AbciError, match="not enough trust"):  # by then all four members are others
        clients.update(context, client, message(chain, 3, 24))
    trusted = 3
    for height in (8, 12, 16, 20, 24):
        clients.update(context, client, message(chain, trusted, height))
        trusted = height
    assert clients.latest_height(context, client) == Height(3, 24)
    forked = chain.fork(chain.ledger[24])
    evil = Header(
        SignedHeader(forked.block.header, forked.commit),
        chain.committee.at(24),
        Height(3, 20),
        chain.committee.at(21),
    )
    clients.update(context, client, Any.of(evil))
    assert clients.status(context, client) == "Frozen"
