"""Which chain a light client tracks: a client id means something on its own chain alone, a chain identity everywhere.

Invariant: when a client is bound to an identity, each consensus state that it has is of a block that follows the
identity's anchor, by the hashes of headers, and all validators whom the client could believe from then on have signed
such a block, by more than two thirds. So a client of one chain is bound to another identity only where a validator
signs blocks of two chains of one id; who begins a client with a header of his own making gets none.

What a client begins with is its creator's word: all that it could build on is compared, and how it reads proofs, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nodes.ibc.client.states import ClientStates, written
from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.commits import CommitError, SignatureCache, verify_commit
from nodes.ibc.comet.hashes import header_hash, validators_hash
from nodes.ibc.comet.light import LightError, check_signed_header
from nodes.ibc.core import paths
from nodes.ibc.core.identifiers import check_client
from nodes.ibc.core.keepers import ClientKeeper, require_active
from nodes.ibc.core.state import Context, Store
from nodes.ibc.proofs.specs import IAVL_SPEC, TENDERMINT_SPEC
from nodes.ibc.proto.comet import Header, LightBlock
from nodes.xroute import gas
from nodes.xroute.identity import ANCHOR_HEIGHT, ChainIdentity, checked, identity
from nodes.xroute.names.errors import INVALID_BINDING, NOT_CREATOR
from nodes.xroute.names.labels import PREFIX, STORE
from nodes.xroute.names.messages import MsgBindClient

__all__ = ["bind", "bound", "key_of_binding"]

MOST_HEADERS = 512  # beside the anchor and the newest one
_BINDINGS = f"{PREFIX}bind/".encode()
_SPECS = ((IAVL_SPEC, TENDERMINT_SPEC), (TENDERMINT_SPEC, TENDERMINT_SPEC))  # others may read a proof as one of a lie


def key_of_binding(client: str) -> bytes:
    """Where the identity of the chain lies that a client tracks."""
    return _BINDINGS + client.encode()


def bound(store: Store, client: str) -> ChainIdentity | None:
    """The identity of the chain that a client is known to track; None where nobody has shown it."""
    raw = store.get(key_of_binding(client))
    return None if raw is None else checked(raw)


def bind(context: Context, clients: ClientKeeper, message: MsgBindClient) -> ChainIdentity:
    """Bind a client. Only its creator may, as with the counterparty: no other can bind it to an anchor of his own."""
    client, anchor = check_client(message.client_id), message.anchor
    require_active(clients, context, client)
    if context.ibc.get(paths.client_creator(client)) != message.signer.encode():
        raise NOT_CREATOR.error(f"{message.signer} of {client}")
    if anchor is None:
        raise INVALID_BINDING.error("no anchor; expected the header of a chain's anchor")
    states = ClientStates(context.ibc, client)
    if states.client_state is None or anchor.chain_id != states.client_state.chain_id:
        raise INVALID_BINDING.error(f"an anchor of chain {anchor.chain_id!r}; expected the client's")
    if anchor.height != ANCHOR_HEIGHT:
        raise INVALID_BINDING.error(f"an anchor of height {anchor.height}; expected {ANCHOR_HEIGHT}")
    if states.client_state.proof_specs not in _SPECS:
        raise INVALID_BINDING.error(f"{client} reads proofs by specs of its own; expected those of chains of the SDK")
    if len(message.between) > MOST_HEADERS:
        raise INVALID_BINDING.error(f"more headers than {MOST_HEADERS}")
    context.spend(gas.PROOF_BYTE * len(message.encode()) + gas.SIGNATURE * _signatures(message))
    chain = _above(anchor, message)
    for height in states.heights():
        header = chain.get(height.revision_height)
        if header is None:
            raise INVALID_BINDING.error(f"nothing of height {written(height)}, of which {client} has a state")
        if states.consensus_state(height) != consensus_state_of(header):
            raise INVALID_BINDING.error(f"{client} knows another block of height {written(height)}")
    found = identity(anchor.chain_id, anchor.height, header_hash(anchor))
    context.stores[STORE].set(key_of_binding(client), found)
    return found


def _signatures(message: MsgBindClient) -> int:
    """How many there are to verify."""
    blocks = (*message.changes, *((message.newest,) if message.newest else ()))
    commits = (each.signed_header.commit for each in blocks if each.signed_header)
    return sum(len(commit.signatures) for commit in commits if commit)


def _above(anchor: Header, message: MsgBindClient) -> dict[int, Header]:
    """The anchor and headers after it. Each set of validators is announced by the header before it; who is the last to
    be of a set, and the newest header, has been signed by it, and the newest one announces no other set."""
    if message.newest is None:
        raise INVALID_BINDING.error("no newest header; expected one after the anchor, with its commit")
    cache = SignatureCache()
    newest, *changes = (_signed(anchor.chain_id, block, cache) for block in (message.newest, *message.changes))
    if newest.next_validators_hash != newest.validators_hash:  # these have signed nothing yet, and would be believed
        raise INVALID_BINDING.error(f"new validators after header {newest.height}; expected a header before no change")
    signed = {header.height: header for header in (newest, *changes)}
    headers = (newest, *message.between, anchor)
    _require_linked(headers)
    for above, below in pairwise(headers):
        if above.validators_hash != below.next_validators_hash:
            raise INVALID_BINDING.error(
                f"validators of header {above.height} that header {below.height} did not announce"
            )
        if above.next_validators_hash != above.validators_hash and signed.get(above.height) != above:
            raise INVALID_BINDING.error(f"new validators after header {above.height}, for which there is no commit")
    return {header.height: header for header in headers}


def _require_linked(headers: Sequence[Header]) -> None:
    """AbciError unless each header names the next one as the block before."""
    for above, below in pairwise(headers):
        if below.height != above.height - 1 or header_hash(below) != above.last_block_id.hash:
            raise INVALID_BINDING.error(f"header {below.height} is not the one that header {above.height} follows")


def _signed(chain_id: str, block: LightBlock, cache: SignatureCache) -> Header:
    """The header of a block that more than two thirds of its validators have signed. AbciError for another."""
    if block.signed_header is None or block.validator_set is None:
        raise INVALID_BINDING.error("a block without header or validators; expected both")
    validators = block.validator_set.validators
    try:
        header, commit = check_signed_header(block.signed_header, chain_id)
        if validators_hash(validators) != header.validators_hash:
            raise LightError("validators whose hash is another", header.validators_hash.hex())
        verify_commit(chain_id, validators, commit, cache)
    except (LightError, CommitError) as error:
        raise INVALID_BINDING.error(str(error)) from None
    return header
