"""The clients of a chain by name: ICS-2 as `nodes/ibc/core` asks for it.

Invariant: names are `07-tendermint-N` from a counter that never goes back; whatever is refused is an AbciError of the
codespace and code of ibc-go 10, and leaves no trace in the stores. Messages are decoded as leniently as ibc-go does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nodes.ibc.client import tendermint
from nodes.ibc.client.states import ClientStates, written
from nodes.ibc.client.tendermint import ClientError, Here, Kind
from nodes.ibc.client.upgrade import upgrade
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.core import paths
from nodes.ibc.core.errors import (
    CLIENT_NOT_ACTIVE,
    CLIENT_NOT_FOUND,
    CONSENSUS_STATE_NOT_FOUND,
    INVALID_CLIENT_HEIGHT,
    MEMBERSHIP_FAILED,
    NON_MEMBERSHIP_FAILED,
    ErrorKind,
)
from nodes.ibc.core.events import event, module
from nodes.ibc.core.keepers import Delay, Path
from nodes.ibc.core.state import Context, next_number
from nodes.ibc.proto.ibc import ClientState, ConsensusState, Header, Height, Misbehaviour
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any

VALIDATOR_SIGNATURE_GAS = 590  # the Cosmos SDK's price of an Ed25519 signature (x/auth, SigVerifyCostED25519)
PROOF_GAS_PER_BYTE = 1  # by its processor time beside that of a signature; ibc-go verifies proofs for nothing

INVALID_CLIENT = ErrorKind("client", 3, "light client is invalid")
INVALID_CLIENT_TYPE = ErrorKind("client", 10, "invalid client type")
INVALID_HEADER = ErrorKind("client", 12, "invalid client header")
INVALID_MISBEHAVIOUR = ErrorKind("client", 13, "invalid light client misbehaviour")
INVALID_UPGRADE = ErrorKind("client", 25, "invalid client upgrade")
INVALID_PROOF = ErrorKind("commitment", 2, "invalid proof")
INVALID_SUBSTITUTE = ErrorKind("client", 27, "invalid client state substitute")

_BY_KIND = {
    Kind.INVALID_CLIENT: INVALID_CLIENT,
    Kind.NOT_ACTIVE: CLIENT_NOT_ACTIVE,
    Kind.NOT_FOUND: CONSENSUS_STATE_NOT_FOUND,
    Kind.INVALID_HEADER: INVALID_HEADER,
    Kind.NOT_ENOUGH_TRUST: INVALID_HEADER,
    Kind.INVALID_MISBEHAVIOUR: INVALID_MISBEHAVIOUR,
    Kind.INVALID_HEIGHT: INVALID_CLIENT_HEIGHT,
    Kind.INVALID_SUBSTITUTE: INVALID_SUBSTITUTE,
    Kind.INVALID_UPGRADE: INVALID_UPGRADE,
}


@contextmanager
def _as_abci(otherwise: ErrorKind = INVALID_CLIENT) -> Iterator[None]:
    """Errors of clients and of bytes, as a transaction reports them."""
    try:
        yield
    except ClientError as error:
        raise _BY_KIND.get(error.kind, otherwise).error(str(error)) from None
    except WireError as error:
        raise INVALID_CLIENT_TYPE.error(str(error)) from None


class Clients:
    """The clients in a chain's store; it keeps no state but signatures that it verified."""

    def __init__(self, cache: SignatureCache | None = None) -> None:
        self._cache = cache or SignatureCache()

    def create(self, context: Context, client_state: Any, consensus_state: Any) -> str:
        """A new client's name."""
        with _as_abci():
            state = client_state.opened_as(ClientState, strict=False)
            consensus = consensus_state.opened_as(ConsensusState, strict=False)
            branch = context.branch()
            name = f"{tendermint.TYPE}-{next_number(branch.ibc, paths.NEXT_CLIENT)}"
            tendermint.create(ClientStates(branch.ibc, name), state, consensus, _here(context))
        branch.emit(
            event(
                "create_client",
                client_id=name,
                client_type=tendermint.TYPE,
                consensus_height=written(state.latest_height),
            ),
            module("ibc_client"),
        )
        branch.commit()
        return name

    def update(self, context: Context, client: str, message: Any) -> None:
        """Take a header or misbehaviour."""
        states = self._states(context, client)
        with _as_abci():
            content = message.open(strict=False)
            if not isinstance(content, Header | Misbehaviour):
                raise WireError(f"client message {message.type_url}", "a header or misbehaviour")
            context.spend(VALIDATOR_SIGNATURE_GAS * _signatures(content))
            updated = tendermint.update(states, content, _here(context), self._cache)
        known = {"client_id": client, "client_type": tendermint.TYPE}
        if updated is None:
            context.emit(event("client_misbehaviour", **known), module("ibc_client"))
            return
        height = written(updated)
        context.emit(
            event("update_client", **known, consensus_height=height, consensus_heights=height), module("ibc_client")
        )

    def recover(self, context: Context, subject: str, substitute: str) -> None:
        """Give an expired or frozen client the state of an active one."""
        old, new = self._states(context, subject), self._states(context, substitute)
        with _as_abci():
            tendermint.recover(old, new, context.time_ns)
        context.emit(
            event("recover_client", subject_client_id=subject, client_type=tendermint.TYPE), module("ibc_client")
        )

    def upgrade(
        self, context: Context, client: str, client_state: Any, consensus_state: Any, proofs: tuple[bytes, bytes]
    ) -> None:
        """Follow a chain through an upgrade to which it has committed; proofs are of the client and consensus state."""
        states = self._states(context, client)
        with _as_abci(INVALID_PROOF):
            committed = client_state.opened_as(ClientState, strict=False)
            consensus = consensus_state.opened_as(ConsensusState, strict=False)
            height = written(upgrade(states, committed, consensus, proofs, _here(context)))
        known = {"client_id": client, "client_type": tendermint.TYPE, "consensus_height": height}
        context.emit(event("upgrade_client", **known), module("ibc_client"))

    def status(self, context: Context, client: str) -> str:
        """Active, Expired, Frozen or Unknown."""
        states = ClientStates(context.ibc, client)
        state = states.client_state
        return "Unknown" if state is None else tendermint.status(states, state, context.time_ns).value

    def latest_height(self, context: Context, client: str) -> Height:
        """The highest height that the client knows."""
        return self.client_state(context, client).latest_height

    def client_state(self, context: Context, client: str) -> ClientState:
        """What the client demands, for queries."""
        state = ClientStates(context.ibc, client).client_state
        if state is None:
            raise CLIENT_NOT_FOUND.error(client)
        return state

    def timestamp_ns(self, context: Context, client: str, height: Height) -> int:
        """Time of the other chain's block of that height."""
        state = self._states(context, client).consensus_state(height)
        if state is None:
            raise CONSENSUS_STATE_NOT_FOUND.error(f"client ({client}), height ({written(height)})")
        return state.timestamp.ns

    def verify_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path, value: bytes
    ) -> None:
        """AbciError unless the other chain held `value` under `path` at `height`, and the client is active."""
        states = self._states(context, client)
        context.spend(PROOF_GAS_PER_BYTE * len(proof))
        with _as_abci(MEMBERSHIP_FAILED):
            tendermint.verify_membership(states, height, delay, proof, path, value, _here(context))

    def verify_non_membership(
        self, context: Context, client: str, height: Height, delay: Delay, proof: bytes, path: Path
    ) -> None:
        """AbciError unless the other chain held nothing under `path` at `height`, and the client is active."""
        states = self._states(context, client)
        context.spend(PROOF_GAS_PER_BYTE * len(proof))
        with _as_abci(NON_MEMBERSHIP_FAILED):
            tendermint.verify_non_membership(states, height, delay, proof, path, _here(context))

    def _states(self, context: Context, client: str) -> ClientStates:
        states = ClientStates(context.ibc, client)
        if states.client_state is None:
            raise CLIENT_NOT_FOUND.error(client)
        return states


def _signatures(content: Header | Misbehaviour) -> int:
    """How many there are to verify."""
    headers = (content,) if isinstance(content, Header) else (content.header_1, content.header_2)
    signed = (header.signed_header for header in headers if header)
    commits = (each.commit for each in signed if each and each.commit)
    return sum(bool(each.signature) for commit in commits for each in commit.signatures)


def _here(context: Context) -> Here:
    return Here(context.height, context.time_ns)
