"""Chains in memory that know a registry, the owners of their names, and relayers that prove these."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from nodes.ibc.client.keeper import Clients
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.relayer.calls import Unanswered
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.signer import Terms as SignerTerms
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.record import Kind, Record
from nodes.xroute.names.registrar import Registrar
from nodes.xroute.names.verifier import ListedRegistry, RegistryNames
from tests.support.ibc_chain import GENESIS_NS, SECOND_NS
from tests.support.xroute_relayed import Net

SQUARE = (("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"))
TO_REGISTRY = tuple((chain, "r") for chain in "abcd")
ZONE = {"mesh": "r"}
OVER_C = "xroute/1; require each transit in {c.mesh}"
NAMES = {"b.mesh": "b", "c.mesh": "c"}
TTL_S = 40


class NamedNet(Net):
    """A square of chains that know a registry, whose names are kept by their owners."""

    def __init__(self, renew_s: float = inf, relayers: Sequence[str] = ("relayer-1",)) -> None:
        """Names are renewed so late."""
        changes = {"r": {"keys": tuple(NAMES)}}
        identity = Net(SQUARE + TO_REGISTRY, registries=ZONE, changes=changes).identities["r"]  # as it will be again
        known = Terms(names=RegistryNames(Clients(), [ListedRegistry("mesh", identity, frozenset(ZONE))]))
        super().__init__(
            SQUARE + TO_REGISTRY, relayers, dict.fromkeys("abcd", known), registries=ZONE, changes=changes
        )  # fmt: skip
        self.renew_ns = GENESIS_NS + renew_s * SECOND_NS
        self.start_registrar()
        self.until(lambda: self.is_ready() and self.registrar.registered == len(NAMES))

    def start_registrar(self) -> None:
        """Start the owners of names, or kill them and start them again."""
        registry = ChainSettings("r", SignerTerms("r", "r-1", "cosmos", "stake", 0.0, 3.0), ())
        records = {name: self.record(name, chain) for name, chain in NAMES.items()}
        self.registrar = Registrar(registry, records, ("renewed",), self.renew_ns, self.now_ns)

    def record(self, name: str, chain: str) -> Record:
        anchor = header_hash(self.nodes[chain].chain.ledger[1].block.header)
        return Record(
            name, Kind.CHAIN, ttl_s=TTL_S, chain_id=f"{chain}-1", anchor_height=1, anchor_hash=anchor,
            client_type="07-tendermint",
        )  # fmt: skip

    def step(self) -> None:
        super().step()
        self.registrar.tick(self.now_ns)
        self.registrar.announce("r", self.nodes["r"].chain.height)
        while calls := self.registrar.take():
            for ticket, each in calls:
                try:
                    answers: object = [self.nodes["r"].call(call) for call in each]
                except Unanswered as failure:
                    answers = failure
                self.registrar.answer(ticket, answers)  # type: ignore[arg-type]

    def held(self, name: str) -> Record:
        raw = self.nodes["r"].chain.state.stores[STORE].get(key_of(name))
        assert raw is not None, "it is registered"
        return Record.decode(raw)

    def carry(self, policy: str, count: int = 1) -> None:
        """Send messages from a to d, and let them be settled."""
        for _ in range(count):
            self.send("a", "d", policy=policy, timeout_s=40)
        self.step()
        self.until(self.settled)
        self.step()

    def transits(self) -> set[str]:
        """Chains that relayers took as transits."""
        return {core.network.chain_of[chain] for core in self.cores.values() for chain in core.choice.shares()}

    def told(self, *words: str) -> bool:
        """Whether a relayer has told something with all these words."""
        return any(all(each in text for each in words) for core in self.cores.values() for _, text in core.notes)
