"""Opening a path: its clients, and for v1 its connection and channel, are found on the chains or made.

Invariant: what is there is used; a relayer that was killed on the way begins again, and at most leaves a client or an
end behind that nobody uses. A relayer that does not open waits for one that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.ibc.core import paths as keys
from nodes.ibc.core.identifiers import revision
from nodes.ibc.proofs.specs import IAVL_SPEC, TENDERMINT_SPEC
from nodes.ibc.proto import ibc, queries, queries_v2
from nodes.ibc.proto.cosmos_base import PageRequest
from nodes.ibc.proto.well_known import Any, Duration
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Ask, Blocked, Flow, SignedHeaderAt, Stored, Unanswered, Wait, header_of, opened
from nodes.ibc.relayer.clients import QUERY, Client
from nodes.ibc.relayer.follow import Followed
from nodes.ibc.relayer.packets import End
from nodes.ibc.relayer.signer import Account, Signer
from nodes.ibc.relayer.submission import Outcome

_PAGE = 1000
SPECS = {"ics23:iavl": (IAVL_SPEC, TENDERMINT_SPEC), "ics23:simple": (TENDERMINT_SPEC, TENDERMINT_SPEC)}
UPGRADE_PATH = ("upgrade", "upgradedIBCState")


@dataclass(frozen=True, slots=True)
class Side:
    """One chain of a path that is opened."""

    followed: Followed
    signer: Signer

    @property
    def chain(self) -> str:
        return self.followed.chain


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """What clients that a relayer makes demand."""

    trusting_s: float
    unbonding_s: float
    drift_s: float


def find_v2(a: Side, b: Side) -> Flow[tuple[End, End] | None]:
    """The ends of a v2 path that is there already: the oldest pair of clients that name each other."""
    for client in (yield from clients_of(a.chain, b.followed.chain_id)):
        other = yield from _counterparty(a.chain, client)
        if other and (yield from _counterparty(b.chain, other)) == client:
            return End(a.chain, client), End(b.chain, other)
    return None


def open_v2(a: Side, b: Side, terms: ClientTerms) -> Flow[tuple[End, End]]:
    """Make clients on both chains, and let them name each other."""
    of_b = yield from create_client(a, b, terms)
    of_a = yield from create_client(b, a, terms)
    prefix = (keys.STORE, b"")
    yield from sent(a.signer, [ibc.MsgRegisterCounterparty(of_b, prefix, of_a, "")], a.signer.first)
    yield from sent(b.signer, [ibc.MsgRegisterCounterparty(of_a, prefix, of_b, "")], b.signer.first)
    return End(a.chain, of_b), End(b.chain, of_a)


def create_client(host: Side, subject: Side, terms: ClientTerms) -> Flow[str]:
    """A new client on `host` of the chain `subject`: its name."""
    message = yield from client_message(subject, terms)
    outcome = yield from sent(host.signer, [message], host.signer.first)
    return told(outcome, "create_client", "client_id")


def client_message(subject: Side, terms: ClientTerms) -> Flow[ibc.MsgCreateClient]:
    """What makes a client of a chain, from its newest block on."""
    yield Wait(lambda: subject.followed.height > 1)
    height = subject.followed.height
    proven, signed = yield (
        Stored(subject.chain, b"\x01", height - 1, "acc"),  # never empty: it tells of what kind proofs are
        SignedHeaderAt(subject.chain, height),
    )
    header = header_of(signed)
    if proven.form not in SPECS:
        raise Blocked(f"{subject.chain} proves its state by {proven.form}; expected {' or '.join(SPECS)}")
    state = ibc.ClientState(
        chain_id=header.chain_id,
        trust_level=ibc.Fraction(1, 3),
        trusting_period=_duration(terms.trusting_s),
        unbonding_period=_duration(terms.unbonding_s),
        max_clock_drift=_duration(terms.drift_s),
        latest_height=ibc.Height(revision(header.chain_id), height),
        proof_specs=SPECS[proven.form],
        upgrade_path=UPGRADE_PATH,
    )
    consensus = ibc.ConsensusState(header.time, ibc.MerkleRoot(header.app_hash), header.next_validators_hash)
    return ibc.MsgCreateClient(Any.of(state), Any.of(consensus), "")


def recover(host: Side, subject: Side, client: Client, terms: ClientTerms) -> Flow[str]:
    """Give an expired or frozen client on `host` the state of a new one: the name of that."""
    yield Wait(lambda: subject.followed.height > client.latest)  # a substitute must know more
    substitute = yield from create_client(host, subject, terms)
    yield from sent(host.signer, [ibc.MsgRecoverClient(client.name, substitute, "")], host.signer.first)
    return substitute


def clients_of(chain: str, subject_chain_id: str) -> Flow[list[str]]:
    """The clients on a chain that follow the chain of that id, oldest first."""
    found = []
    key = b""
    while True:
        asked = queries.QueryClientStatesRequest(PageRequest(key=key, limit=_PAGE))
        (page,) = yield (Ask(chain, f"{QUERY}/ClientStates", asked, queries.QueryClientStatesResponse),)
        for each in page.client_states:
            state = each.client_state
            if state is None or state.type_url != f"/{ibc.ClientState.NAME}":
                continue  # no client of the kind that is kept here
            if opened(state, ibc.ClientState).chain_id == subject_chain_id:
                found.append(each.client_id)
        key = page.pagination.next_key if page.pagination else b""
        if not key:
            return sorted(found, key=lambda name: int(name.rpartition("-")[2]))


def sent(signer: Signer, messages: Sequence[Message], only: Account | None = None) -> Flow[Outcome]:
    """Messages in one transaction, of `only` this account or any. Unanswered where it is not known what became of it,
    Blocked where it failed."""
    (outcome,) = yield from signer.submit([messages], only)
    return required(outcome, signer, messages)


def required(outcome: Outcome, signer: Signer, messages: Sequence[Message]) -> Outcome:
    """An outcome of messages that succeeded; raises as `sent` does."""
    if outcome.lost:
        raise Unanswered(outcome.log)
    if outcome.code:
        raise Blocked(f"{signer.terms.chain} refuses {messages[-1].NAME}: {outcome.log}")
    return outcome


def told(outcome: Outcome, kind: str, key: str) -> str:
    """What an event of a transaction says."""
    for event in outcome.result.events if outcome.result else ():
        if event.type == kind:
            return event[key]
    raise Unanswered(f"no event {kind} of a transaction that should have one")


def _counterparty(chain: str, client: str) -> Flow[str]:
    """The counterparty of a client; "" where it has none."""
    path = "/ibc.core.client.v2.Query/CounterpartyInfo"
    asked = queries_v2.QueryCounterpartyInfoRequest(client)
    try:
        (answer,) = yield (Ask(chain, path, asked, queries_v2.QueryCounterpartyInfoResponse),)
    except Unanswered as failure:
        if "not found" in str(failure):
            return ""
        raise
    return answer.counterparty_info.client_id if answer.counterparty_info else ""


def _duration(length_s: float) -> Duration:
    return Duration.of_ns(round(length_s * 1e9))
