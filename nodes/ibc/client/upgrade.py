"""Following a chain through an upgrade that changes its id, its proofs or its unbonding period.

Invariant: a client follows only what the chain that it knows has committed to, at the last height that the client
knows. What a client has chosen for itself (trust level, clock drift, trusting period as a share of the unbonding
period) stays.
Source: ibc-go 10, `modules/light-clients/07-tendermint/upgrade.go`.
"""

from __future__ import annotations

from dataclasses import replace

from nodes.ibc.client.states import ClientStates, Processed, rank, written
from nodes.ibc.client.tendermint import ClientError, Here, Kind, active, check_parameters, verify_membership
from nodes.ibc.core.keepers import NO_DELAY
from nodes.ibc.proto.ibc import ClientState, ConsensusState, Height, MerkleRoot
from nodes.ibc.proto.well_known import Any, Duration

SENTINEL = b"sentinel_root"  # nothing is proven under it: the first header of the upgraded chain brings a root
CLIENT, CONSENSUS = "upgradedClient", "upgradedConsState"


def upgrade(
    states: ClientStates, committed: ClientState, consensus: ConsensusState, proofs: tuple[bytes, bytes], here: Here
) -> Height:
    """Follow the upgraded chain, given what the old one committed to and the proofs of both: the new latest height."""
    client = active(states, here.time_ns)
    last = client.latest_height
    if not client.upgrade_path:
        raise ClientError(Kind.INVALID_UPGRADE, "a client without an upgrade path", "one that was made with it")
    if rank(committed.latest_height) <= rank(last):
        height = written(committed.latest_height)
        raise ClientError(Kind.INVALID_HEIGHT, f"an upgrade to height {height}", f"one after {written(last)}")
    bare = ClientState(
        chain_id=committed.chain_id,
        unbonding_period=committed.unbonding_period,
        latest_height=committed.latest_height,
        proof_specs=committed.proof_specs,
        upgrade_path=committed.upgrade_path,
    )
    for proof, name, state in ((proofs[0], CLIENT, bare), (proofs[1], CONSENSUS, consensus)):
        path = committed_at(client.upgrade_path, last, name)
        verify_membership(states, last, NO_DELAY, proof, path, Any.of(state).encode(), here)
    fresh = replace(
        bare,
        trust_level=client.trust_level,
        trusting_period=_trusting(client, committed.unbonding_period),
        max_clock_drift=client.max_clock_drift,
    )
    check_parameters(fresh)
    states.client_state = fresh
    first = replace(consensus, root=MerkleRoot(SENTINEL))
    states.put(fresh.latest_height, first, Processed(here.time_ns, here.height))
    return fresh.latest_height


def committed_at(upgrade_path: tuple[str, ...], last: Height, name: str) -> tuple[bytes, ...]:
    """The path, from the root inwards, at which a chain commits to what follows its height `last`."""
    *stores, key = upgrade_path
    return (*(each.encode() for each in stores), f"{key}/{last.revision_height}/{name}".encode())


def _trusting(client: ClientState, unbonding: Duration) -> Duration:
    """The trusting period of a client: less where the unbonding period is, in the same proportion."""
    if client.unbonding_period.ns <= unbonding.ns:
        return client.trusting_period
    return Duration.of_ns(client.trusting_period.ns * unbonding.ns // client.unbonding_period.ns)
