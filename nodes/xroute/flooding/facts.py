"""What an advertisement proves, to a relayer that has light clients of the chains: facts, which no stake outweighs.

Invariant: each value of `EdgeFacts` and `ChainFacts` stands in a state that a light client of that chain has verified,
and the advertisement says the same. Its other fields, the connection's delay and the tracked chain's identity among
them, remain claims.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from nodes.ibc.client.states import ClientStates, written
from nodes.ibc.client.tendermint import NEVER
from nodes.ibc.comet.hashes import validators_hash
from nodes.ibc.core import paths
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.keepers import NO_DELAY, ClientKeeper
from nodes.ibc.core.state import Context
from nodes.ibc.proto.comet import Validator
from nodes.ibc.proto.ibc import ClientState, ConsensusState, Fraction, Height
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any
from nodes.xroute.flooding.ads import ChainAd, ClientStatus, EdgeAd, EdgeProof
from nodes.xroute.identity import ChainIdentity, checked

__all__ = ["ChainFacts", "EdgeFacts", "FactError", "chain_facts", "edge_facts"]

_NS = 10**9


class FactError(Unfit):
    """An advertisement that proves nothing, or not what it says."""


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """What the verifying chain holds about a client, as of a block of it."""

    verifier: ChainIdentity
    client_id: str
    chain_id: str  # of the chain that the client tracks; which identity that is, `names.binding` shows
    is_frozen: bool
    latest_height: Height
    latest_time_ns: int
    next_validators_hash: bytes
    trusting_ns: int
    trust_level: Fraction
    as_of_ns: int  # time of the verifying chain's block

    def status(self, now_ns: int) -> ClientStatus:
        if self.is_frozen:
            return ClientStatus.FROZEN
        return ClientStatus.EXPIRED if self.latest_time_ns + self.trusting_ns <= now_ns else ClientStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class ChainFacts:
    """What a chain's header says, as a light client of it knows it."""

    identity: ChainIdentity
    height: Height
    time_ns: int
    app_hash: bytes
    next_validators_hash: bytes
    validators: tuple[Validator, ...]  # of the next block; none where the advertisement has none


def edge_facts(context: Context, clients: ClientKeeper, client: str, ad: EdgeAd) -> EdgeFacts:
    """What an advertisement proves, by `client`, a light client of the verifying chain. FactError for nothing."""
    proof = ad.proof
    if proof is None:
        raise FactError(f"no proof about {ad.client_id}", "the client's state with its proof")
    state, consensus = _decoded(proof)
    latest = state.latest_height
    try:
        for key, value, shown in (
            (paths.client_state(ad.client_id), proof.client_state, proof.client_proof),
            (
                paths.consensus_state(ad.client_id, latest.revision_number, latest.revision_height),
                proof.consensus_state,
                proof.consensus_proof,
            ),
        ):
            clients.verify_membership(context, client, proof.height, NO_DELAY, shown, (paths.STORE, key), value)
        as_of_ns = clients.timestamp_ns(context, client, proof.height)
    except AbciError as error:
        raise FactError(error.message, f"proofs of {ad.client_id} at height {written(proof.height)}") from None
    facts = EdgeFacts(
        checked(ad.verifier),
        ad.client_id,
        state.chain_id,
        state.frozen_height != NEVER,
        latest,
        consensus.timestamp.ns,
        consensus.next_validators_hash,
        state.trusting_period.ns,
        state.trust_level,
        as_of_ns,
    )
    _require_said(ad, facts)
    return facts


def chain_facts(context: Context, client: str, ad: ChainAd) -> ChainFacts:
    """What an advertisement says of a chain that `client`, a light client of it, knows. FactError for anything else."""
    known = ClientStates(context.ibc, client).consensus_state(ad.height)
    if known is None:
        raise FactError(f"height {written(ad.height)}, which {client} does not know", "one that it has verified")
    said = ad.time_ns, ad.app_hash, ad.next_validators_hash
    if said != (known.timestamp.ns, known.root.hash, known.next_validators_hash):
        raise FactError(f"another block of height {written(ad.height)}", f"the one that {client} has verified")
    if ad.validators and validators_hash(ad.validators) != ad.next_validators_hash:
        raise FactError("validators whose hash is another", ad.next_validators_hash.hex())
    return ChainFacts(checked(ad.identity), ad.height, ad.time_ns, ad.app_hash, ad.next_validators_hash, ad.validators)


def _decoded(proof: EdgeProof) -> tuple[ClientState, ConsensusState]:
    try:
        return (
            Any.decode(proof.client_state).opened_as(ClientState, strict=False),
            Any.decode(proof.consensus_state).opened_as(ConsensusState, strict=False),
        )
    except WireError as error:
        raise FactError(error.found, error.expected) from None


def _require_said(ad: EdgeAd, facts: EdgeFacts) -> None:
    """FactError unless an advertisement says what it proves."""
    level = facts.trust_level
    proved = (
        facts.status(facts.as_of_ns), facts.latest_height, facts.latest_time_ns, facts.trusting_ns // _NS,
        level.numerator, level.denominator,
    )  # fmt: skip
    said = (
        ad.status, ad.latest_height, ad.latest_time_ns, ad.trusting_s, ad.trust_numerator, ad.trust_denominator,
    )  # fmt: skip
    names = "status", "latest_height", "latest_time_ns", "trusting_s", "trust_numerator", "trust_denominator"
    for name, is_said, is_proved in zip(names, said, proved, strict=True):
        if is_said != is_proved:
            raise FactError(f"{name} {is_said} of {ad.client_id}", f"{is_proved}, as proved")
