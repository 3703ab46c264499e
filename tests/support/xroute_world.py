"""Chains with the module `xroute`, in one process, with light clients of each other that really verify.

Invariant: one clock for all chains, which each block moves by a second; nothing is written to a chain's state but by
signed transactions. A proof is made from what the chains' RPC would answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any as Anything

from nodes.ibc.chain.genesis import Settings, chain_of, funded, queries_of
from nodes.ibc.chain.results import TxResult
from nodes.ibc.client.states import ClientStates
from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core import paths as ibc_paths
from nodes.ibc.core.connections import SUPPORTED
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.state import Branch, Context
from nodes.ibc.core.transfer_data import JSON, TransferData
from nodes.ibc.proto import connection as v1
from nodes.ibc.proto import ibc
from nodes.ibc.proto.channel_v2 import Packet, Payload
from nodes.ibc.proto.comet import LightBlock, SignedHeader, SimpleValidator, ValidatorSet
from nodes.ibc.proto.cosmos import TxMsgData
from nodes.ibc.proto.ibc import ClientState, Fraction, Height, MerklePrefix, MerkleProof
from nodes.ibc.proto.ics23 import CommitmentProof
from nodes.ibc.proto.well_known import Any, Duration
from nodes.ibc.proto.wire import Message
from nodes.ibc.relayer.calls import Proven, Stored
from nodes.xroute.identity import application_client, identity
from nodes.xroute.module.book import Escrow, Sent, Stake, store_of
from nodes.xroute.module.fees import most
from nodes.xroute.module.messages import Answer, Fee, MsgAcknowledge, MsgDeliver, MsgRelayResponse, MsgSend, MsgTimeout
from nodes.xroute.module.module import Xroute
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.messages import MsgBindClient
from nodes.xroute.names.registry import Registry
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.text import show
from nodes.xroute.proofs.build import Builder, Leg, Plan
from nodes.xroute.proofs.messages import HopRecord, Mode, RouteProof
from nodes.xroute.proofs.parcel import Parcel
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS, address, signed
from tests.support.xroute_judge import Judge

NAMES = ("alice", "bob", "relayer", "other", "voter")
FUNDS = 10**9
DAY_NS = 86_400 * SECOND_NS
TRUSTING_NS = 14 * DAY_NS
ANY = "xroute/1"


@dataclass
class Clock:
    now_ns: int = GENESIS_NS


class Node:
    """A chain, and accounts that write to it."""

    def __init__(self, name: str, clock: Clock, terms: Terms, **changes: object) -> None:
        self.name = name
        self.clock = clock
        self.chain_id = str(changes.pop("chain_id", f"{name}-1"))
        registry = changes.pop("registry", Registry())
        made = Settings(
            self.chain_id, balances=funded(NAMES, "cosmos", {"stake": FUNDS}), extensions=(registry, Xroute(terms)),
            **changes,  # type: ignore[arg-type]
        )  # fmt: skip
        self.chain = chain_of(made, GENESIS_NS)
        self.queries = queries_of(self.chain, "stake")
        self.sequences: Counter[str] = Counter()
        self.clients: dict[str, str] = {}  # by the name of the chain that they track
        self.judge: Judge | None = None
        self.blocks(2)
        self.identity = identity(self.chain_id, 1, header_hash(self.chain.ledger[1].block.header))

    def blocks(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.now_ns += SECOND_NS
            self.chain.produce(self.clock.now_ns)

    def do(self, name: str, *messages: Message) -> TxResult:
        """What became of a transaction, which is alone in its block."""
        self.clock.now_ns += SECOND_NS
        data = signed(
            name, messages, self.sequences[name], NAMES.index(name), gas=50_000_000, chain_id=self.chain_id
        )  # fmt: skip
        checked = self.chain.submit(data)
        if checked.code:
            return checked
        self.sequences[name] += 1
        result = self.chain.produce(self.clock.now_ns).results[-1]
        if self.judge is not None:
            self.judge.look(self, messages, result)
        return result

    def must(self, name: str, *messages: Message) -> TxResult:
        result = self.do(name, *messages)
        assert not result.code, result.log
        return result

    def answer(self, question: Stored) -> Proven:
        """As a relayer is answered."""
        found = self.queries.answer(f"/store/{question.store}/key", question.key, question.height, prove=True)
        assert not found.code, found.log
        proofs = tuple(CommitmentProof.decode(each.data) for each in found.proof)
        return Proven(found.value, MerkleProof(proofs).encode(), found.proof[0].type)

    def context(self) -> Context:
        """For looking: what is written to it is forgotten."""
        stores = {name: Branch(each) for name, each in self.chain.state.stores.items()}
        return self.chain.app.context(stores, self.chain.moment)

    def balance(self, account: bytes, denom: str = "stake") -> int:
        return self.chain.app.bank.balance(self.context(), account, denom)

    def balance_of(self, name: str, denom: str = "stake") -> int:
        return self.balance(self.chain.app.bank.account(address(name)), denom)

    def header(self, height: int) -> SignedHeader:
        entry = self.chain.ledger[height]
        return SignedHeader(entry.block.header, entry.commit)

    def validators(self, height: int) -> ValidatorSet:
        return self.chain.committee.at(height)

    def simple_validators(self, height: int) -> tuple[SimpleValidator, ...]:
        return tuple(SimpleValidator(each.pub_key, each.voting_power) for each in self.validators(height).validators)

    def escrowed(self) -> int:
        """What escrows of messages that are not settled add up to."""
        total = 0
        for _, raw in store_of(self.context()).iterate(b"sent/"):
            escrow: Escrow | None = Sent.decode(raw).escrow
            total += most(escrow.fee) if escrow else 0
        return total

    def staked(self) -> int:
        """What all stakes add up to, also those that wait to leave."""
        store = store_of(self.context())
        held = (Stake.decode(raw) for prefix in (b"stake/", b"leaving/") for _, raw in store.iterate(prefix))
        return sum(each.amount for each in held)


@dataclass
class World:
    """Chains by name. `edges` are pairs that have clients of each other, for v2 packets."""

    edges: Sequence[tuple[str, str]]
    terms: Mapping[str, Terms] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    trusting_ns: int = TRUSTING_NS
    clock: Clock = field(default_factory=Clock)
    nodes: dict[str, Node] = field(init=False)
    builder: Builder = field(default_factory=Builder)
    judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys(name for edge in self.edges for name in edge)
        self.nodes = {
            name: Node(name, self.clock, self.terms.get(name, Terms()), **self.changes.get(name, {})) for name in names
        }
        terms = {name: self.terms.get(name, Terms()) for name in names}
        minimum = {name: show(each.minimum.get("transfer", Policy())) for name, each in terms.items()}
        self.judge = Judge(self.nodes, {name: each.transit for name, each in terms.items()}, minimum)
        for node in self.nodes.values():
            node.judge = self.judge
        for here, there in self.edges:
            self.connect(self.nodes[here], self.nodes[there])

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def connect(self, here: Node, there: Node) -> None:
        """Make clients of two chains of each other, bind them to identities, and let them name each other."""
        for node, other in ((here, there), (there, here)):
            node.clients[other.name] = self.new_client(node, other)
        for node, other in ((here, there), (there, here)):
            message = ibc.MsgRegisterCounterparty(
                node.clients[other.name], (b"ibc", b""), other.clients[node.name], address("relayer")
            )
            node.must("relayer", message)

    def new_client(self, node: Node, other: Node, *, bind: bool = True, at: int = 1) -> str:
        """A client whose first state is of a height, that of the other chain's anchor, to which it is bound, too."""
        anchor = other.chain.ledger[at].block.header
        state = ClientState(
            other.chain_id, Fraction(1, 3), Duration.of_ns(self.trusting_ns), Duration.of_ns(2 * self.trusting_ns),
            Duration.of_ns(30 * SECOND_NS), Height(), Height(1, at), other.chain.state.specs_of("ibc"), (),
        )  # fmt: skip
        created = ibc.MsgCreateClient(Any.of(state), Any.of(consensus_state_of(anchor)), address("relayer"))
        done = (
            TxMsgData.decode(node.must("relayer", created).data).msg_responses[0].opened_as(ibc.MsgCreateClientResponse)
        )
        if bind:
            newest = LightBlock(other.header(2), other.validators(2))
            node.must("relayer", MsgBindClient(done.client_id, anchor, newest, signer=address("relayer")))
        return done.client_id

    def open_connection(self, here: str, there: str) -> None:
        """The handshake of v1 over the clients that two chains have of each other."""
        a, b, signer = self.nodes[here], self.nodes[there], address("relayer")
        on_a, on_b, prefix = a.clients[there], b.clients[here], MerklePrefix(b"ibc")
        begun = a.must("relayer", v1.MsgConnectionOpenInit(on_a, v1.Counterparty(on_b, "", prefix), signer=signer))
        of_a = attribute(begun, "connection_open_init", "connection_id")
        peer = v1.Counterparty(on_a, of_a, prefix)
        proof, height = self.proven(b, a, ibc_paths.connection(of_a))
        tried = b.must(
            "relayer",
            v1.MsgConnectionOpenTry(
                on_b, counterparty=peer, counterparty_versions=SUPPORTED, proof_height=height, proof_init=proof,
                signer=signer,
            ),
        )  # fmt: skip
        of_b = attribute(tried, "connection_open_try", "connection_id")
        proof, height = self.proven(a, b, ibc_paths.connection(of_b))
        ack = v1.MsgConnectionOpenAck(of_a, of_b, SUPPORTED[0], proof_height=height, proof_try=proof, signer=signer)
        a.must("relayer", ack)
        proof, height = self.proven(b, a, ibc_paths.connection(of_a))
        b.must("relayer", v1.MsgConnectionOpenConfirm(of_b, proof, height, signer))

    def proven(self, node: Node, other: Node, key: bytes) -> tuple[bytes, Height]:
        """A key of another chain as it is now, proved to a chain."""
        other.blocks(1)
        height = self.update(node, other)
        return other.answer(Stored(other.name, key, height.revision_height - 1)).proof, height

    def update(self, node: Node, other: Node, height: int = 0, name: str = "relayer") -> Height:
        """Let a chain's client of another one know a height, the latest by default."""
        client = node.clients[other.name]
        height = height or other.chain.height
        states = ClientStates(node.context().ibc, client)
        node.blocks(1)  # its clock may be behind
        if states.consensus_state(Height(1, height)) is None:
            trusted = max(each.revision_height for each in states.heights() if each.revision_height < height)
            header = ibc.Header(
                other.header(height), other.validators(height), Height(1, trusted), other.validators(trusted + 1)
            )
            node.must(name, ibc.MsgUpdateClient(client, Any.of(header), address(name)))
        return Height(1, height)

    def freeze(self, here: str, there: str, *, by_older_form: bool = False) -> None:
        """Show a chain's client of another one two headers of one height."""
        node, other = self.nodes[here], self.nodes[there]
        other.blocks(2)
        trusted = self.update(node, other)
        other.blocks(1)
        height = trusted.revision_height + 1
        forked, validators = other.chain.fork(other.chain.ledger[height]), other.validators(height)
        one, two = (
            ibc.Header(signed, validators, trusted, validators)
            for signed in (other.header(height), SignedHeader(forked.block.header, forked.commit))
        )
        node.blocks(1)
        evidence = Any.of(ibc.Misbehaviour(node.clients[there], one, two))
        form = ibc.MsgSubmitMisbehaviour if by_older_form else ibc.MsgUpdateClient
        node.must("relayer", form(node.clients[there], evidence, address("relayer")))

    def legs(self, route: Sequence[str], name: str = "relayer") -> tuple[Leg, ...]:
        """Bring every client of a route, from the verifying chain on, up to date: what is written now can be proved."""
        self.nodes[route[-1]].blocks(1)
        legs: list[Leg] = []
        for near, far in reversed(list(pairwise(route))):
            node, other = self.nodes[near], self.nodes[far]
            height = self.update(node, other, name=name)
            legs.append(Leg(near, node.clients[far], height))
            if near != route[0]:
                node.blocks(1)
        return tuple(reversed(legs))

    def ask(self, plan: Plan) -> None:
        for question in self.builder.missing(plan):
            self.builder.add(question, self.nodes[question.chain].answer(question))

    def proof(
        self, route: Sequence[str], packet: Packet, key: bytes, *, policy: bytes = b"", payee: bytes = b"",
        pays_updates: bool = False, with_validators: bool = False, records: Sequence[HopRecord] = (),
        legs: tuple[Leg, ...] = (),
    ) -> RouteProof:  # fmt: skip
        legs = legs or self.legs(route)
        plan = Plan(legs, route[-1], key, pays_updates)
        self.ask(plan)
        sets = {}
        if with_validators:
            sets = {
                place: self.nodes[far].simple_validators(leg.height.revision_height + 1)
                for place, (leg, far) in enumerate(zip(legs, route[1:], strict=True))
            }
        return self.builder.proof(plan, packet, policy=policy, payee=payee, records=records, validators=sets)

    def send(
        self, source: str, destination: str, amount: int = 100, *, policy: str = ANY, mode: Mode = Mode.E2E,
        timeout_s: int = 600, fee: Fee | None = None, transits: Sequence[str] = (), denom: Denomination | None = None,
        sender: str = "alice", receiver: str = "", threshold: int = 0,
    ) -> Parcel:  # fmt: skip
        """Alice, or another sender, sends coins to bob, or to another address."""
        node = self.nodes[source]
        self.judge.policies[parse(policy).policy_id] = policy
        data = TransferData(denom or Denomination("stake"), amount, address(sender), receiver or address("bob"), "")
        payload = Payload("transfer", "transfer", "ics20-1", JSON, data.encode(JSON))
        message = MsgSend(
            self.nodes[destination].identity, f"{destination}.test", parse(policy).encode(), mode,
            self.clock.now_ns // SECOND_NS + timeout_s, payload, tuple(self.nodes[each].identity for each in transits),
            threshold, fee, address(sender),
        )  # fmt: skip
        return Parcel.of(packet_in(node.must(sender, message)))

    def deliver(self, route: Sequence[str], parcel: Parcel, name: str = "relayer", **given: Anything) -> TxResult:
        """What became of a delivery over a route, from the destination on, with all that its proof can bring."""
        given.setdefault("with_validators", True)
        proof = self.proof(route, parcel.packet, parcel.commitment_key, **given)
        return self.nodes[route[0]].do(name, MsgDeliver(proof.encode(), address(name)))

    def acknowledge(
        self, route: Sequence[str], parcel: Parcel, answer: Answer, name: str = "relayer", **given: Anything
    ) -> TxResult:
        given.setdefault("with_validators", True)
        proof = self.proof(route, parcel.packet, parcel.acknowledgement_key, **given)
        return self.nodes[route[0]].do(name, MsgAcknowledge(proof.encode(), answer, address(name)))

    def time_out(self, route: Sequence[str], parcel: Parcel, name: str = "relayer", **given: Anything) -> TxResult:
        given.setdefault("with_validators", True)
        proof = self.proof(route, parcel.packet, parcel.receipt_key, **given)
        return self.nodes[route[0]].do(name, MsgTimeout(proof.encode(), address(name)))

    def wait_until(self, time_s: int) -> None:
        """Let time pass: all chains make a block then."""
        self.clock.now_ns = max(self.clock.now_ns, time_s * SECOND_NS)
        for node in self.nodes.values():
            node.blocks(2)

    def voucher(self, source: str, destination: str) -> str:
        """The denomination, on the destination, of the source's coins."""
        name = application_client(self.nodes[source].identity)
        return Denomination("stake").through("transfer", name).local


def attribute(result: TxResult, kind: str, key: str) -> str:
    """An attribute of the first event of a kind."""
    return next(event for event in result.events if event.type == kind)[key]


def packet_in(result: TxResult, kind: str = "xroute_send") -> Packet:
    return Packet.decode(bytes.fromhex(attribute(result, kind, "packet")))


def answer_in(result: TxResult) -> Answer:
    return Answer.decode(bytes.fromhex(attribute(result, "xroute_answer", "answer")))


def response_in(result: TxResult) -> MsgRelayResponse:
    return TxMsgData.decode(result.data).msg_responses[-1].opened_as(MsgRelayResponse)
