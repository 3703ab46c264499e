"""ICS-7: the state machine of a client of a Tendermint chain.

Invariant: a consensus state is stored only for a header that the light client verified from a stored one; once two
different headers of a height, or times out of order, are seen, the client is frozen and serves no proof. A client that
saw nothing for its trusting period is expired. Only `recover` brings either back.

Time and height of this chain are passed in. Source: ibc-go 10, `modules/light-clients/07-tendermint`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from emulator.model.errors import Unfit
from nodes.ibc.client.states import ClientStates, Processed, rank, written
from nodes.ibc.comet import commits, light
from nodes.ibc.comet.commits import CommitError, SignatureCache
from nodes.ibc.comet.hashes import validators_hash
from nodes.ibc.comet.light import LightError, NotEnoughTrust, Policy, Trusted
from nodes.ibc.comet.moments import shown
from nodes.ibc.core.identifiers import revision
from nodes.ibc.core.keepers import Delay
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.verify import verify_membership as check_membership
from nodes.ibc.proofs.verify import verify_non_membership as check_non_membership
from nodes.ibc.proto.comet import Header as CometHeader
from nodes.ibc.proto.comet import Validator
from nodes.ibc.proto.ibc import (
    ClientState,
    ConsensusState,
    Header,
    Height,
    MerkleProof,
    MerkleRoot,
    Misbehaviour,
)
from nodes.ibc.proto.ics23 import CommitmentProof, ProofSpec
from nodes.ibc.proto.scalars import WireError

TYPE = "07-tendermint"
FROZEN = Height(0, 1)  # as frozen_height: a truth value in the form of a height
NEVER = Height()
REMEMBERED, MOST_REMEMBERED_BYTES = 1 << 12, 1 << 12  # proofs, and how long each of them may be
_HASH_BYTES = 32


class Status(Enum):
    """Whether a client serves."""

    ACTIVE = "Active"
    EXPIRED = "Expired"
    FROZEN = "Frozen"


class Kind(Enum):
    """What is wrong, as far as callers tell errors apart."""

    INVALID_CLIENT = "invalid client"
    NOT_ACTIVE = "client not active"
    NOT_FOUND = "consensus state not found"
    INVALID_HEADER = "invalid header"
    NOT_ENOUGH_TRUST = "not enough trust"
    INVALID_MISBEHAVIOUR = "invalid misbehaviour"
    INVALID_HEIGHT = "invalid height"
    DELAY_NOT_PASSED = "delay not passed"
    INVALID_PROOF = "invalid proof"
    INVALID_SUBSTITUTE = "invalid substitute"
    INVALID_UPGRADE = "invalid upgrade"


class ClientError(Unfit):
    """A client refuses something."""

    def __init__(self, kind: Kind, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.kind.value}: {super().__str__()}"


@dataclass(frozen=True, slots=True)
class Here:
    """The block of this chain in which something happens."""

    height: Height
    time_ns: int


def header_height(header: CometHeader) -> Height:
    """Height of a header, in the revision of its chain."""
    return Height(revision(header.chain_id), header.height)


def consensus_state_of(header: CometHeader) -> ConsensusState:
    """What is stored of a header."""
    return ConsensusState(header.time, MerkleRoot(header.app_hash), header.next_validators_hash)


def create(states: ClientStates, client: ClientState, consensus: ConsensusState, here: Here) -> None:
    """Store a new client with what it trusts at first. ClientError where its parameters contradict each other."""
    check_parameters(client)
    if not consensus.root.hash or len(consensus.next_validators_hash) != _HASH_BYTES or consensus.timestamp.ns <= 0:
        raise ClientError(Kind.INVALID_CLIENT, "a consensus state without root, validators or time", "all three")
    states.client_state = client
    states.put(client.latest_height, consensus, Processed(here.time_ns, here.height))


def check_parameters(client: ClientState) -> None:
    """ClientError where the parameters of a client contradict each other."""
    level, height = client.trust_level, client.latest_height
    wrong = None
    if not 0 < len(client.chain_id) <= light.MOST_CHAIN_ID:
        wrong = f"chain id {client.chain_id!r}", f"1 to {light.MOST_CHAIN_ID} characters"
    elif not light.is_trust_level(level):
        wrong = f"trust level {level.numerator}/{level.denominator}", "1/3 to 1"
    elif not 0 < client.trusting_period.ns < client.unbonding_period.ns:
        wrong = f"trusting period of {client.trusting_period.ns} ns", f"1 to {client.unbonding_period.ns}, exclusive"
    elif client.max_clock_drift.ns <= 0:
        wrong = f"clock drift of {client.max_clock_drift.ns} ns", "more than 0"
    elif height.revision_number != revision(client.chain_id) or not height.revision_height:
        wrong = f"latest height {written(height)}", f"one of revision {revision(client.chain_id)}, from 1"
    elif client.frozen_height != NEVER:
        wrong = f"frozen height {written(client.frozen_height)}", written(NEVER)
    elif not client.proof_specs:
        wrong = "no proof specs", "one for each tree of the chain's state"
    elif not all(part.strip() for part in client.upgrade_path):
        wrong = f"upgrade path {client.upgrade_path}", "parts that are not empty"
    if wrong is not None:
        raise ClientError(Kind.INVALID_CLIENT, *wrong)


def status(states: ClientStates, client: ClientState, now_ns: int) -> Status:
    """Whether a client serves at a time."""
    if client.frozen_height != NEVER:
        return Status.FROZEN
    latest = states.consensus_state(client.latest_height)
    if latest is None or light.is_expired(latest.timestamp.ns, client.trusting_period.ns, now_ns):
        return Status.EXPIRED
    return Status.ACTIVE


def active(states: ClientStates, now_ns: int) -> ClientState:
    """The state of a client. ClientError where it does not serve."""
    client = states.client_state
    if client is None:
        raise ClientError(Kind.INVALID_CLIENT, "no client state", "a client that was created")
    found = status(states, client, now_ns)
    if found is not Status.ACTIVE:
        raise ClientError(Kind.NOT_ACTIVE, f"client is {found.value}", Status.ACTIVE.value)
    return client


def update(states: ClientStates, message: Header | Misbehaviour, here: Here, cache: SignatureCache) -> Height | None:
    """Take a header, or evidence of misbehaviour: the height that it brought, None where it froze the client.

    ClientError leaves the client as it was.
    """
    client = active(states, here.time_ns)
    if isinstance(message, Misbehaviour):
        _verify_misbehaviour(states, client, message, here.time_ns, cache)
        states.client_state = replace(client, frozen_height=FROZEN)
        return None
    header = _verify_header(states, client, message, here.time_ns, cache)
    height, fresh = header_height(header), consensus_state_of(header)
    known = states.consensus_state(height)
    if known == fresh:
        return height
    if known is not None or not _time_fits(states, client, header, height):
        states.client_state = replace(client, frozen_height=FROZEN)
        return None
    _drop_expired(states, client, here.time_ns)
    if rank(height) > rank(client.latest_height):
        states.client_state = replace(client, latest_height=height)
    states.put(height, fresh, Processed(here.time_ns, here.height))
    return height


def _time_fits(states: ClientStates, client: ClientState, header: CometHeader, height: Height) -> bool:
    """Whether a header's time lies between those of the heights next to its own."""
    is_newest = rank(height) > rank(client.latest_height)
    below, above = (client.latest_height, None) if is_newest else states.neighbours(height)
    before = states.consensus_state(below) if below is not None else None
    after = states.consensus_state(above) if above is not None else None
    return (before is None or before.timestamp.ns < header.time.ns) and (
        after is None or header.time.ns < after.timestamp.ns
    )


def _drop_expired(states: ClientStates, client: ClientState, now_ns: int) -> None:
    """Forget the oldest consensus state if it is expired; each update does, so that they do not pile up."""
    oldest = next(states.heights(), None)
    if oldest is None or (state := states.consensus_state(oldest)) is None:
        return
    if light.is_expired(state.timestamp.ns, client.trusting_period.ns, now_ns):
        states.drop(oldest)


def _verify_header(
    states: ClientStates, client: ClientState, message: Header, now_ns: int, cache: SignatureCache
) -> CometHeader:
    header, members, trusted = _ground(states, client, message)
    policy = Policy(client.trusting_period.ns, client.trust_level, client.max_clock_drift.ns)
    assert message.signed_header is not None
    try:
        light.verify(trusted, message.signed_header, members, policy, now_ns, cache)
    except NotEnoughTrust as error:
        raise ClientError(Kind.NOT_ENOUGH_TRUST, error.found, error.expected) from None
    except LightError as error:
        raise ClientError(Kind.INVALID_HEADER, error.found, error.expected) from None
    return header


def _ground(
    states: ClientStates, client: ClientState, message: Header
) -> tuple[CometHeader, tuple[Validator, ...], Trusted]:
    """A message's header, its validators, and the stored state that it builds on."""
    header = None if message.signed_header is None else message.signed_header.header
    if header is None or message.validator_set is None or message.trusted_validators is None:
        raise ClientError(Kind.INVALID_HEADER, "a header with parts missing", "header, commit, both validator sets")
    state = states.consensus_state(message.trusted_height)
    if state is None:
        raise ClientError(Kind.NOT_FOUND, f"trusted height {written(message.trusted_height)}", "one that is stored")
    known = message.trusted_validators.validators
    if validators_hash(known) != state.next_validators_hash:
        raise ClientError(
            Kind.INVALID_HEADER, "trusted validators whose hash is another", state.next_validators_hash.hex()
        )
    height = header_height(header)
    if height.revision_number != message.trusted_height.revision_number:
        raise ClientError(
            Kind.INVALID_HEADER, f"height {written(height)}", f"revision {message.trusted_height.revision_number}"
        )
    trusted = Trusted(
        client.chain_id,
        message.trusted_height.revision_height,
        state.timestamp.ns,
        state.next_validators_hash,
        known,
    )
    return header, message.validator_set.validators, trusted


def _verify_misbehaviour(
    states: ClientStates, client: ClientState, message: Misbehaviour, now_ns: int, cache: SignatureCache
) -> None:
    """ClientError unless two headers, each of which the client could have taken, contradict each other."""
    if message.header_1 is None or message.header_2 is None:
        raise ClientError(Kind.INVALID_MISBEHAVIOUR, "one header", "two")
    one = _verify_evidence(states, client, message.header_1, now_ns, cache)
    other = _verify_evidence(states, client, message.header_2, now_ns, cache)
    if one.height < other.height:
        raise ClientError(Kind.INVALID_MISBEHAVIOUR, f"heights {one.height}, {other.height}", "the higher one first")
    if light.conflict(one, other) is None:
        raise ClientError(
            Kind.INVALID_MISBEHAVIOUR,
            f"blocks {one.height} and {other.height}, which agree",
            "two blocks of one height, or a later block that is not later in time",
        )


def _verify_evidence(
    states: ClientStates, client: ClientState, message: Header, now_ns: int, cache: SignatureCache
) -> CometHeader:
    header, members, trusted = _ground(states, client, message)
    assert message.signed_header is not None
    try:
        _, commit = light.check_signed_header(message.signed_header, client.chain_id)
        if light.is_expired(trusted.time_ns, client.trusting_period.ns, now_ns):
            raise LightError(f"trusted height {trusted.height}, which is expired", "one within the trusting period")
        if header.height <= trusted.height:
            raise LightError(f"height {header.height}", f"one after the trusted {trusted.height}")
        if validators_hash(members) != header.validators_hash:
            raise LightError("validators whose hash is another", header.validators_hash.hex())
        commits.verify_commit_trusting(client.chain_id, trusted.next_validators, commit, client.trust_level, cache)
        commits.verify_commit(client.chain_id, members, commit, cache)
    except (LightError, CommitError) as error:
        raise ClientError(Kind.INVALID_MISBEHAVIOUR, error.found, error.expected) from None
    return header


def recover(subject: ClientStates, substitute: ClientStates, now_ns: int) -> None:
    """Let an active client take the place of one that is expired or frozen, under the name of the latter."""
    old, new = subject.client_state, substitute.client_state
    if old is None or new is None:
        raise ClientError(Kind.INVALID_SUBSTITUTE, "no client state", "two clients that were created")
    if status(subject, old, now_ns) is Status.ACTIVE:
        raise ClientError(Kind.INVALID_SUBSTITUTE, "a subject that is Active", "one that is expired or frozen")
    if (found := status(substitute, new, now_ns)) is not Status.ACTIVE:
        raise ClientError(Kind.INVALID_SUBSTITUTE, f"a substitute that is {found.value}", Status.ACTIVE.value)
    if rank(new.latest_height) <= rank(old.latest_height):
        raise ClientError(
            Kind.INVALID_SUBSTITUTE,
            f"a substitute of height {written(new.latest_height)}",
            f"one after {written(old.latest_height)}",
        )
    if _shared_parameters(old) != _shared_parameters(new):
        raise ClientError(Kind.INVALID_SUBSTITUTE, "a substitute with other parameters", "the subject's")
    consensus, processed = substitute.consensus_state(new.latest_height), substitute.processed(new.latest_height)
    assert consensus is not None
    assert processed is not None
    subject.put(new.latest_height, consensus, processed)
    subject.client_state = replace(
        old,
        chain_id=new.chain_id,
        trusting_period=new.trusting_period,
        latest_height=new.latest_height,
        frozen_height=NEVER,
    )


def _shared_parameters(client: ClientState) -> ClientState:
    """A client state without what a substitute may have otherwise."""
    blank = ClientState()
    return replace(
        client,
        chain_id=blank.chain_id,
        trusting_period=blank.trusting_period,
        latest_height=NEVER,
        frozen_height=NEVER,
    )


def verify_membership(
    states: ClientStates, height: Height, delay: Delay, proof: bytes, path: tuple[bytes, ...], value: bytes, here: Here
) -> None:
    """ClientError unless the other chain held `value` under `path` at a height that is known here long enough."""
    client, root = _proof_ground(states, height, delay, here)
    try:
        check = _remembered if len(proof) <= MOST_REMEMBERED_BYTES else _check_membership
        check(proof, client.proof_specs, root, path, value)
    except (ProofError, WireError) as error:
        raise ClientError(Kind.INVALID_PROOF, error.found, error.expected) from None


def verify_non_membership(
    states: ClientStates, height: Height, delay: Delay, proof: bytes, path: tuple[bytes, ...], here: Here
) -> None:
    """ClientError unless the other chain held nothing under `path` at a height that is known here long enough."""
    client, root = _proof_ground(states, height, delay, here)
    try:
        check_non_membership(_proofs(proof), client.proof_specs, root, path)
    except (ProofError, WireError) as error:
        raise ClientError(Kind.INVALID_PROOF, error.found, error.expected) from None


def _check_membership(
    proof: bytes, specs: tuple[ProofSpec, ...], root: bytes, path: tuple[bytes, ...], value: bytes
) -> None:
    check_membership(_proofs(proof), specs, root, path, value)


_remembered = lru_cache(REMEMBERED)(_check_membership)  # proofs that hold, which a mempool has checked before a block


def _proofs(proof: bytes) -> tuple[CommitmentProof, ...]:
    return MerkleProof.decode(proof, strict=False).proofs


def _proof_ground(states: ClientStates, height: Height, delay: Delay, here: Here) -> tuple[ClientState, bytes]:
    """The client, and the root that a proof of a height must be under."""
    client = active(states, here.time_ns)
    if rank(height) > rank(client.latest_height):
        raise ClientError(
            Kind.INVALID_HEIGHT, f"proof of height {written(height)}", f"at most {written(client.latest_height)}"
        )
    state, processed = states.consensus_state(height), states.processed(height)
    if state is None or processed is None:
        raise ClientError(Kind.NOT_FOUND, f"height {written(height)}", "one that is stored")
    ready_ns, block = processed.time_ns + delay.time_ns, processed.height.revision_height + delay.blocks
    if here.time_ns < ready_ns or rank(here.height) < (processed.height.revision_number, block):
        raise ClientError(
            Kind.DELAY_NOT_PASSED,
            f"block {written(here.height)} of {shown(here.time_ns)}",
            f"block {block} or later, from {shown(ready_ns)} on",
        )
    return client, state.root.hash
