"""A registry on a chain without sockets, and a watcher that has light clients of such chains.

Invariant: all is signed and proved as on a real chain; block h of a registry has the time of `GENESIS_NS` + h seconds,
unless time was made to jump.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ibc_chain import FUNDS, GENESIS_NS, NAMES, SECOND_NS, Ticking, address

from nodes.ibc.chain.genesis import Settings, chain_of, funded
from nodes.ibc.chain.results import TxResult
from nodes.ibc.client.keeper import Clients
from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto import comet, ibc
from nodes.ibc.proto.ibc import Fraction, Height, MerkleProof
from nodes.ibc.proto.well_known import Any, Duration
from nodes.ibc.proto.wire import Message
from nodes.xroute.identity import identity
from nodes.xroute.keys import Key
from nodes.xroute.names.evidence import NameProof
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.messages import MsgCommit, MsgReveal, MsgUpdate
from nodes.xroute.names.record import Kind, Record, sign_bytes
from nodes.xroute.names.registry import Registry, Terms, commitment, open_zone
from nodes.xroute.names.resolver import RegistryChain

TERMS = Terms(wait_blocks=2, reveal_blocks=20, deposit=1000, longest_s=1000, grace_s=100)
ZONE_OWNER, OWNER, OTHER = Key.named("zone"), Key.named("owner"), Key.named("other")
ZONE = open_zone("cosmos", ZONE_OWNER.public)
DAY_NS = 86_400 * SECOND_NS


def chain_record(name: str, at_s: int = 0, **changes: object) -> Record:
    """A record of a chain, the first version, whose term ends 500 s after `at_s` (seconds after the genesis)."""
    made = Record(
        name, Kind.CHAIN, 1, 60, OWNER.public, chain_id="osmosis-1", anchor_height=1, anchor_hash=bytes(range(32)),
        client_type="07-tendermint", merkle_prefix=(b"ibc",), not_after_s=GENESIS_NS // SECOND_NS + at_s + 500,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Registrar:
    """A registry chain, and those who write to it."""

    chain_id: str = "registry-1"
    zones: tuple[Record, ...] = (ZONE,)
    terms: Terms = TERMS
    ticking: Ticking = field(init=False)
    jumped_ns: int = 0

    def __post_init__(self) -> None:
        made = Settings(
            self.chain_id, balances=funded(NAMES, "cosmos", {"stake": FUNDS}),
            extensions=(Registry(self.zones, self.terms),),
        )  # fmt: skip
        self.ticking = Ticking(chain_of(made, GENESIS_NS))
        self.blocks(1)

    @property
    def height(self) -> int:
        return self.ticking.chain.height

    @property
    def header(self) -> comet.Header:
        return self.ticking.chain.ledger[self.height].block.header

    def blocks(self, count: int) -> None:
        for _ in range(count):
            self.ticking.chain.produce(GENESIS_NS + self.jumped_ns + (self.height + 1) * SECOND_NS)

    def jump(self, seconds: int) -> None:
        """Let time pass without blocks."""
        self.jumped_ns += seconds * SECOND_NS
        self.blocks(2)

    def send(self, *messages: Message, by: str = "alice") -> TxResult:
        """Put messages into the next block, and make the one after it, whose header names the state."""
        chain = self.ticking.chain
        checked = chain.submit(self.ticking.tx(by, *messages, chain_id=self.chain_id, gas=10_000_000))
        assert checked.code == 0, checked.log
        self.blocks(1)
        (result,) = chain.ledger[self.height].results
        self.blocks(1)
        return result

    def do(self, *messages: Message, by: str = "alice") -> TxResult:
        result = self.send(*messages, by=by)
        assert result.code == 0, result.log
        return result

    def commit(self, record: Record, by: str = "alice") -> None:
        self.do(MsgCommit(commitment(record.name, b"salt", record.owner), address(by)), by=by)
        self.blocks(1)

    def signature(self, record: Record, key: Key) -> bytes:
        return key.sign(sign_bytes(self.chain_id, record.encode()))

    def reveal(self, record: Record, key: Key = OWNER, *, parent: Key = ZONE_OWNER, by: str = "alice") -> MsgReveal:
        return MsgReveal(
            record.encode(), b"salt", self.signature(record, key), self.signature(record, parent), address(by)
        )

    def register(self, record: Record, key: Key = OWNER, *, parent: Key = ZONE_OWNER, by: str = "alice") -> None:
        self.commit(record, by)
        self.do(self.reveal(record, key, parent=parent, by=by), by=by)

    def update(self, record: Record, key: Key = OWNER, *, by: str = "alice") -> MsgUpdate:
        return MsgUpdate(record.encode(), self.signature(record, key), address(by))

    def answer(self, name: str, height: int = 0) -> NameProof:
        """The proof of a name that verifies against the header of a height; 0: of the last one."""
        height = height or self.height
        chain, key = self.ticking.chain, key_of(name)
        value = chain.state.stores[STORE].get_at(key, height - 1)
        proof = MerkleProof(chain.state.prove(STORE, key, height - 1)).encode()
        return NameProof(name, Height(chain.app.revision, height), value or b"", proof)

    def anchor(self, height: int = 1) -> comet.Header:
        return self.ticking.chain.ledger[height].block.header

    def identity(self) -> bytes:
        return identity(self.chain_id, 1, header_hash(self.anchor()))

    def update_message(self, trusted: int, height: int = 0) -> ibc.Header:
        """What brings a client from one height to another."""
        chain, height = self.ticking.chain, height or self.height
        entry, revision = chain.ledger[height], chain.app.revision
        return ibc.Header(
            comet.SignedHeader(entry.block.header, entry.commit), chain.committee.at(height),
            Height(revision, trusted), chain.committee.at(trusted + 1),
        )  # fmt: skip

    def client_state(self) -> ibc.ClientState:
        chain = self.ticking.chain
        return ibc.ClientState(
            self.chain_id, Fraction(1, 3), Duration.of_ns(14 * DAY_NS), Duration.of_ns(21 * DAY_NS),
            Duration.of_ns(40 * SECOND_NS), latest_height=Height(chain.app.revision, self.height),
            proof_specs=chain.state.specs_of(STORE), upgrade_path=("upgrade", "upgradedIBCState"),
        )  # fmt: skip

    def fork(self, record: Record) -> Registrar:
        """A chain of the same id that is none: other validators' blocks, and a record that nobody registered."""
        evil = Registrar(self.chain_id, self.zones, self.terms)
        evil.ticking.chain.state.stores[STORE].set(key_of(record.name), record.encode())
        evil.blocks(self.height)
        return evil


@dataclass
class Watcher:
    """Light clients of registries, as a relayer or a chain has them."""

    clients: Clients = field(default_factory=Clients)
    store: ProvableStore = field(default_factory=ProvableStore)
    names: ProvableStore = field(default_factory=ProvableStore)
    latest: dict[str, int] = field(default_factory=dict)
    now_ns: int = GENESIS_NS

    def context(self) -> Context:
        return Context("here-0", Height(0, 9), self.now_ns, {"ibc": self.store, STORE: self.names})

    def follow(self, registrar: Registrar) -> RegistryChain:
        self.now_ns = max(self.now_ns, registrar.header.time.ns)
        state, consensus = registrar.client_state(), consensus_state_of(registrar.header)
        client = self.clients.create(self.context(), Any.of(state), Any.of(consensus))
        self.latest[client] = registrar.height
        return RegistryChain(registrar.identity(), client)  # type: ignore[arg-type]

    def update(self, registrar: Registrar, client: str) -> None:
        """Bring a client to the registry's last block, and time with it."""
        self.now_ns = max(self.now_ns, registrar.header.time.ns)
        self.clients.update(self.context(), client, Any.of(registrar.update_message(self.latest[client])))
        self.latest[client] = registrar.height
