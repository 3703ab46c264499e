"""The watch for misbehaviour: what a client was told of a chain, by whomever, is compared with the chain itself.

Invariant: where a client was told another block of a height than the relayer's own node has, every client of that chain
which the relayer keeps is shown both: each of them freezes, also where the first one froze by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from nodes.ibc.chain.transactions import read
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.errors import AbciError
from nodes.ibc.proto.ibc import ConsensusState, Header, Misbehaviour, MsgSubmitMisbehaviour, MsgUpdateClient
from nodes.ibc.proto.queries import QueryConsensusStateRequest, QueryConsensusStateResponse
from nodes.ibc.proto.scalars import WireError
from nodes.ibc.proto.well_known import Any
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import (
    Ask,
    Blocked,
    Flow,
    SignedHeaderAt,
    TransactionsAt,
    Unanswered,
    ValidatorsAt,
    Wait,
    header_of,
    opened,
)
from nodes.ibc.relayer.clients import QUERY, Client
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.opening import sent
from nodes.ibc.relayer.signer import Signer

_ATTEMPTS = 8  # where a chain cannot be reached
_RETRY_S = 1.0  # after the first; it doubles


@dataclass(frozen=True, slots=True)
class Watch:
    """All clients of a relayer by host and name, its signers by chain, and where it tells what it finds."""

    clients: Mapping[tuple[str, str], Client]
    signers: Mapping[str, Signer]
    notes: list[tuple[str, str]]
    clock: Clock


def misbehaviour(watch: Watch, client: Client, height: int, seen_at: int) -> Flow[None]:
    """Check what a client was told of `height` in the block `seen_at` of its host; freeze all where that is not so.

    With height 0 the client is frozen already, by a transaction of that block: the others freeze by what it holds.
    """
    for attempt in range(_ATTEMPTS):
        try:
            if height and (yield from _is_true(client, height)):
                return
            yield from _tell_all(watch, client, seen_at)
            return
        except Unanswered as failure:
            watch.notes.append(("watch", f"{client.host}/{client.name} at {height}: {failure}"))
            yield Wait(lambda: False, watch.clock.after_s(_RETRY_S * 2**attempt))


def _is_true(client: Client, height: int) -> Flow[bool]:
    """Whether what a client knows of a height is what the relayer's own node has."""
    asked = QueryConsensusStateRequest(client.name, client.height(height).revision_number, height)
    (answer,) = yield (Ask(client.host, f"{QUERY}/ConsensusState", asked, QueryConsensusStateResponse),)
    state = client.own.get(height)
    if state is None:
        (signed,) = yield (SignedHeaderAt(client.subject, height),)
        state = client.found(header_of(signed))
    return opened(answer.consensus_state, ConsensusState) == state


def _tell_all(watch: Watch, client: Client, seen_at: int) -> Flow[None]:
    """Show a header that a client was told in a block, and the true one of its height, to all clients of the chain."""
    (txs,) = yield (TransactionsAt(client.host, seen_at),)
    for told in _headers(txs, client.name):
        if told.signed_header is None or told.signed_header.header is None or told.validator_set is None:
            continue
        height = told.signed_header.header.height
        signed, validators = yield SignedHeaderAt(client.subject, height), ValidatorsAt(client.subject, height)
        if header_hash(told.signed_header.header) == header_hash(header_of(signed)):
            continue
        watch.notes.append(("misbehaviour", f"{client.host}/{client.name} was told another block {height}"))
        for each in list(watch.clients.values()):
            if each.subject == client.subject:
                try:
                    yield from each.require_active()
                    first = yield from each.header(signed, validators)
                    second = yield from each.header(told.signed_header, told.validator_set.validators)
                    evidence = Misbehaviour("", first, second)
                    yield from sent(watch.signers[each.host], [MsgUpdateClient(each.name, Any.of(evidence), "")])
                except Blocked as failure:  # it is frozen already
                    watch.notes.append(("misbehaviour", f"{each.host}/{each.name}: {failure}"))
        return


def _headers(txs: Iterable[bytes], client: str) -> Iterator[Header]:
    """The headers that transactions told a client, alone or as evidence."""
    for data in txs:
        try:
            messages = read(data).messages
        except AbciError:
            continue
        for message in messages:
            match message:
                case MsgUpdateClient(client_id=name, client_message=content):
                    pass
                case MsgSubmitMisbehaviour(client_id=name, misbehaviour=content):
                    pass
                case _:
                    continue
            if name == client and content is not None:
                with suppress(WireError):
                    yield from _opened(content.open(strict=False))


def _opened(content: Message) -> Iterator[Header]:
    if isinstance(content, Header):
        yield content
    elif isinstance(content, Misbehaviour):
        yield from (header for header in (content.header_1, content.header_2) if header is not None)
