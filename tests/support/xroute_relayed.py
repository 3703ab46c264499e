"""Chains with the module `xroute` in memory, and relayers of messages between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.denominations import Denomination
from nodes.ibc.core.transfer_data import JSON, TransferData
from nodes.ibc.proto.channel_v2 import Payload
from nodes.ibc.relayer.calls import Call, Unanswered
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.opening import ClientTerms
from nodes.ibc.relayer.signer import Terms as SignerTerms
from nodes.xroute.identity import ChainIdentity, application_client, identity
from nodes.xroute.keys import Key
from nodes.xroute.module.messages import Fee, MsgSend
from nodes.xroute.module.module import Xroute
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.registry import Registry, open_zone
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.relayer.core import Relayer, Settings
from nodes.xroute.relayer.turns import Turns
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS, address, signed
from tests.support.ibc_relayed import Node

BLOCK_S = 1.0
PROVE_S = 10.0


@dataclass
class Net:
    """Chains, which of them have clients of each other, and relayers. A chain that is halted makes no blocks."""

    edges: Sequence[tuple[str, str]]
    relayers: Sequence[str] = ("relayer-1",)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of chains' settings
    turn_s: float = 0.0
    now_ns: int = GENESIS_NS + 2 * SECOND_NS
    opened_later: Sequence[tuple[str, str]] = ()  # edges that the other relayers open
    stake: int = 0  # of each relayer on each chain
    model_key: bytes = b""
    registries: Mapping[str, str] = field(default_factory=dict)  # zones of names, and the chain that keeps each
    halted: set[str] = field(default_factory=set)
    open: list[tuple[str, int, tuple[Call, ...]]] = field(default_factory=list)
    nodes: dict[str, Node] = field(init=False)
    cores: dict[str, Relayer] = field(default_factory=dict)
    identities: dict[str, ChainIdentity] = field(init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys(name for edge in self.edges for name in edge)
        self.nodes = {
            name: Node(
                name, extensions=(self._registry(name), Xroute(self.terms.get(name, Terms()))),
                **self.changes.get(name, {}),
            )
            for name in names
        }  # fmt: skip
        self.identities = {
            name: identity(f"{name}-1", 1, header_hash(node.chain.ledger[1].block.header))
            for name, node in self.nodes.items()
        }
        for name in self.relayers:
            self.start(name)

    def _registry(self, chain: str) -> Registry:
        kept = (zone for zone, keeper in self.registries.items() if keeper == chain)
        return Registry(tuple(open_zone(zone, Key.named(zone).public) for zone in kept))

    def settings(self, name: str) -> Settings:
        chains = tuple(
            ChainSettings(node, SignerTerms(node, f"{node}-1", "cosmos", "stake", 0.0, 3.0), (name,))
            for node in self.nodes
        )
        first = name == self.relayers[0]
        opens = tuple(each for each in self.edges if (each in self.opened_later) != first)
        turns = Turns(name, self.relayers, round(1e9 * self.turn_s))
        clients = ClientTerms(14 * 86_400.0, 21 * 86_400.0, 40.0)
        return Settings(
            chains, clients, opens, registries=self.registries, turns=turns, stall_s=2 * BLOCK_S, key=Key.named(name),
            stake=self.stake, model_key=self.model_key, prove_s=PROVE_S,
        )  # fmt: skip

    def start(self, name: str) -> None:
        """Start a relayer, or kill it and start it again."""
        self.open = [each for each in self.open if each[0] != name]
        self.cores[name] = Relayer(self.settings(name), self.now_ns)
        self._pump(name)

    @property
    def core(self) -> Relayer:
        return self.cores[self.relayers[0]]

    def _pump(self, name: str) -> None:
        core = self.cores[name]
        self.open += [(name, ticket, calls) for ticket, calls in core.take()]
        for data in core.ballots.take():
            for other, heard in self.cores.items():
                if other != name:
                    heard.ballots.hear(data)
                    self._pump(other)

    def step(self) -> None:
        """A second, with a block on each chain that makes blocks; all calls are answered."""
        self.now_ns += SECOND_NS
        for name, core in self.cores.items():
            core.tick(self.now_ns)
            self._pump(name)
        self._settle()
        for node in self.nodes:
            if node not in self.halted:
                self.nodes[node].block(self.now_ns)
                for name, core in self.cores.items():
                    core.announce(node, self.nodes[node].chain.height)
                    self._pump(name)
        self._settle()

    def _settle(self) -> None:
        for _ in range(20_000):
            if not self.open:
                return
            name, ticket, calls = self.open.pop(0)
            try:
                answers: object = [self.nodes[call.chain].call(call) for call in calls]
            except Unanswered as failure:
                answers = failure
            self.cores[name].answer(ticket, answers)  # type: ignore[arg-type]
            self._pump(name)
        raise AssertionError("calls without end")

    def until(self, done: Callable[[], object], most: int = 200) -> int:
        """Steps until something holds; how many."""
        for count in range(most):
            if done():
                return count
            self.step()
        raise AssertionError(f"it did not come about: {self.core.notes[-8:]}")

    def is_ready(self) -> bool:
        return all(len(core.network.graph.edges) == 2 * len(self.edges) for core in self.cores.values())

    def send(
        self, source: str, destination: str, amount: int = 100, *, policy: str = "xroute/1", mode: Mode = Mode.E2E,
        timeout_s: int = 600, transits: Sequence[str] = (), fee: Fee | None = None, threshold: int = 0,
    ) -> None:  # fmt: skip
        """Alice sends coins to bob, in the next block."""
        node, identities = self.nodes[source], self.identities
        data = TransferData(Denomination("stake"), amount, address("alice"), address("bob"), "")
        payload = Payload("transfer", "transfer", "ics20-1", JSON, data.encode(JSON))
        message = MsgSend(
            identities[destination], "", parse(policy).encode(), mode, self.now_ns // SECOND_NS + timeout_s, payload,
            tuple(identities[each] for each in transits), threshold, fee, address("alice"),
        )  # fmt: skip
        sequence = node.sequences["alice"]
        result = node.chain.submit(signed("alice", [message], sequence, 0, gas=5_000_000, chain_id=node.chain_id))
        assert not result.code, result.log
        node.sequences["alice"] += 1

    def received(self, source: str, destination: str) -> int:
        """What bob has of the source's coins."""
        name = application_client(self.identities[source])
        node = self.nodes[destination]
        account = node.chain.app.bank.account(address("bob"))
        return node.balance(account, Denomination("stake").through("transfer", name).local)

    def settled(self) -> bool:
        return all(not len(core.jobs) for core in self.cores.values())
