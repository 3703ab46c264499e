"""The watch for misbehaviour: what other relayers told a client of a chain is compared with the chain itself.

Invariant: a client that was told another block of a height than the relayer's own node has is shown both, and so is
every other client of that chain which the relayer keeps: each of them freezes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodes.ibc.chain.transactions import read
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.errors import AbciError
from nodes.ibc.proto.ibc import ConsensusState, Header, Misbehaviour, MsgUpdateClient
from nodes.ibc.proto.queries import QueryConsensusStateRequest, QueryConsensusStateResponse
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any
from nodes.ibc.relayer.calls import (
    Ask,
    Blocked,
    Flow,
    SignedHeaderAt,
    TransactionsAt,
    Unanswered,
    ValidatorsAt,
    header_of,
    opened,
)
from nodes.ibc.relayer.clients import QUERY, Client
from nodes.ibc.relayer.opening import sent
from nodes.ibc.relayer.signer import Signer


@dataclass(frozen=True, slots=True)
class Watch:
    """All clients of a relayer by host and name, its signers by chain, and where it tells what it finds."""

    clients: Mapping[tuple[str, str], Client]
    signers: Mapping[str, Signer]
    notes: list[tuple[str, str]]


def misbehaviour(watch: Watch, client: Client, height: int, seen_at: int) -> Flow[None]:
    """Check what a client was told of `height` in the block `seen_at` of its host; freeze it where that is not so."""
    if height in client.own:
        return
    try:
        asked = QueryConsensusStateRequest(client.name, client.height(height).revision_number, height)
        answer, signed, validators = yield (
            Ask(client.host, f"{QUERY}/ConsensusState", asked, QueryConsensusStateResponse),
            SignedHeaderAt(client.subject, height),
            ValidatorsAt(client.subject, height),
        )
        header = header_of(signed)
        told = opened(answer.consensus_state, ConsensusState)
        same = told.timestamp == header.time and told.root.hash == header.app_hash
        if same and told.next_validators_hash == header.next_validators_hash:
            return
        (txs,) = yield (TransactionsAt(client.host, seen_at),)
        other = next((each for each in _headers(txs, client.name) if _differs(each, header_hash(header), height)), None)
        if other is None or other.signed_header is None or other.validator_set is None:
            raise Unanswered(f"no header {height} in block {seen_at} of {client.host}")
        watch.notes.append(("misbehaviour", f"{client.host}/{client.name} was told another block {height}"))
        for each in list(watch.clients.values()):
            if each.subject == client.subject:
                try:
                    first = yield from each.header(signed, validators)
                    second = yield from each.header(other.signed_header, other.validator_set.validators)
                    evidence = Misbehaviour("", first, second)
                    yield from sent(watch.signers[each.host], [MsgUpdateClient(each.name, Any.of(evidence), "")])
                except Blocked as failure:  # it is frozen already
                    watch.notes.append(("misbehaviour", f"{each.host}/{each.name}: {failure}"))
    except Unanswered as failure:
        watch.notes.append(("watch", f"{client.host}/{client.name} at {height}: {failure}"))


def _headers(txs: Iterable[bytes], client: str) -> Iterable[Header]:
    """The headers that transactions told a client."""
    for data in txs:
        try:
            messages = read(data).messages
        except AbciError:
            continue
        for message in messages:
            if isinstance(message, MsgUpdateClient) and message.client_id == client and message.client_message:
                try:
                    yield message.client_message.opened_as(Header, strict=False)
                except WireError:
                    continue


def _differs(header: Header, honest: bytes, height: int) -> bool:
    found = header.signed_header.header if header.signed_header else None
    return found is not None and found.height == height and header_hash(found) != honest
