"""A client follows its chain through an upgrade: it takes what the chain has committed to, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any as Anything

from nodes.ibc.chain.chain import Chain
from nodes.ibc.chain.genesis import Settings, chain_of
from nodes.ibc.client.states import ClientStates
from nodes.ibc.client.upgrade import CLIENT, CONSENSUS, committed_at
from nodes.ibc.comet.hashes import validators_hash
from nodes.ibc.proto.ibc import ClientState, ConsensusState, Height, MerkleRoot, MsgUpgradeClient
from nodes.ibc.proto.well_known import Any, Duration, Timestamp
from nodes.ibc.relayer.calls import Stored
from nodes.ibc.relayer.opening import UPGRADE_PATH
from tests.support.ibc_chain import SECOND_NS, address
from tests.support.ibc_forged import true_update
from tests.support.ibc_relayed import Node, World


@dataclass(frozen=True)
class Upgrades:
    """A store in which a chain commits to its upgrade; tests write to it."""

    store: str = "upgrade"
    accounts: frozenset[bytes] = frozenset()

    def module(self, router: Anything, bank: Anything) -> Anything:
        return self

    def begin(self, context: Anything) -> None: ...

    def handles(self, message: Anything) -> bool:
        return False

    def redundant(self, done: Anything) -> bool:
        return False


class Upgraded:
    """Chain a-1, which has committed to becoming a-2, and b with a client of it that knows a's last block."""

    def __init__(self, **changes: Anything) -> None:
        self.net = World({"a": Node("a", extensions=(Upgrades(),)), "b": Node("b")}, trusting_s=600.0)
        self.net.start("relayer-1")
        self.net.until(self.net.is_open)
        self.client = self.net.relayers["relayer-1"].clients["b", self.net.ends()[1].client]
        self.old, self.new = self.net.nodes["a"], chain_of(Settings("a-2"), self.net.now_ns)
        state = self.state
        self.last = Height(1, self.old.chain.height + 2)
        wanted = {"unbonding_period": state.unbonding_period, "latest_height": Height(2, 1), **changes}
        self.committed = ClientState("a-2", proof_specs=state.proof_specs, upgrade_path=UPGRADE_PATH, **wanted)
        validators = validators_hash(self.new.committee.at(2).validators)
        self.consensus = ConsensusState(Timestamp.of_ns(self.net.now_ns), MerkleRoot(b"next"), validators)
        for name, value in ((CLIENT, self.committed), (CONSENSUS, self.consensus)):
            _, key = committed_at(UPGRADE_PATH, self.last, name)
            self.old.chain.state.stores["upgrade"].set(key, Any.of(value).encode())
        self.step(2)
        self.tell(self.old.chain)
        self.step(1)
        assert self.state.latest_height == self.last

    @property
    def state(self) -> ClientState:
        """The client, as b holds it."""
        found = ClientStates(self.net.nodes["b"].chain.state.stores["ibc"], self.client.name).client_state
        assert found is not None
        return found

    def step(self, count: int) -> None:
        """Seconds with a block on each chain; the relayer reads b, and has nothing to do."""
        for _ in range(count):
            self.net.tick()
            for node in self.net.nodes:
                self.net.block(node)
            self.new.produce(self.net.now_ns)
            self.net.settle()

    def tell(self, chain: Chain) -> None:
        """Tell the client the last block of a chain."""
        self.net.nodes["b"].send(true_update(chain, self.client), name="bob")

    def message(self, **changes: Anything) -> MsgUpgradeClient:
        proofs = []
        for name in (CLIENT, CONSENSUS):
            _, key = committed_at(UPGRADE_PATH, self.last, name)
            proofs.append(self.old.call(Stored("a", key, self.last.revision_height - 1, "upgrade")).proof)
        made = MsgUpgradeClient(
            self.client.name, Any.of(self.committed), Any.of(self.consensus), *proofs, signer=address("bob")
        )
        return replace(made, **changes)

    def upgrade(self, message: MsgUpgradeClient) -> tuple[str, int]:
        """What becomes of it: codespace and code."""
        node = self.net.nodes["b"]
        before = len(node.results)
        node.send(message, name="bob")
        self.step(1)
        (result,) = [each for each in node.results[before:] if "MsgUpgradeClient" in str(each.data) or each.code][:1]
        return result.codespace, result.code


def test_a_client_follows_the_upgraded_chain_under_its_name() -> None:
    of = Upgraded()
    before = of.state
    assert of.upgrade(of.message()) == ("", 0)
    assert of.state == replace(before, chain_id="a-2", latest_height=Height(2, 1))
    states = ClientStates(of.net.nodes["b"].chain.state.stores["ibc"], of.client.name)
    assert states.consensus_state(Height(2, 1)) == replace(of.consensus, root=MerkleRoot(b"sentinel_root"))
    of.step(2)
    assert (of.client.chain_id, of.client.heights) == ("a-2", [1])
    of.tell(of.new)
    of.step(1)
    assert of.state.latest_height == Height(2, of.new.height - 1)


def test_what_a_client_has_chosen_is_not_the_chains_to_change() -> None:
    of = Upgraded(unbonding_period=Duration.of_ns(450 * SECOND_NS))
    offered = replace(of.committed, trusting_period=Duration(1), max_clock_drift=Duration(1))
    assert of.upgrade(of.message(client_state=Any.of(offered))) == ("", 0)
    assert of.state.unbonding_period.ns == 450 * SECOND_NS
    assert of.state.trusting_period.ns == 300 * SECOND_NS  # of 600, as 450 are of 900
    assert of.state.max_clock_drift.ns == 40 * SECOND_NS


def test_nothing_else_than_what_was_committed_to_is_followed() -> None:
    of = Upgraded()
    wrong = {
        "another chain": {"client_state": Any.of(replace(of.committed, chain_id="c-2"))},
        "another height": {"client_state": Any.of(replace(of.committed, latest_height=Height(2, 2)))},
        "other validators": {"consensus_state": Any.of(replace(of.consensus, next_validators_hash=bytes(32)))},
        "no proof": {"proof_upgrade_client": b""},
        "the other proof": {"proof_upgrade_consensus_state": of.message().proof_upgrade_client},
    }
    before = of.state
    for what, changes in wrong.items():
        assert of.upgrade(of.message(**changes)) == ("commitment", 2), what
    assert of.state == before


def test_an_upgrade_is_proven_at_the_last_height_that_the_client_knows() -> None:
    of = Upgraded()
    message = of.message()
    of.tell(of.old.chain)
    of.step(1)
    assert of.state.latest_height != of.last
    assert of.upgrade(message) == ("commitment", 2)


def test_an_upgrade_leads_forward_and_of_a_client_that_serves() -> None:
    of = Upgraded(latest_height=Height(1, 2))
    assert of.upgrade(of.message()) == ("client", 26)
    assert of.upgrade(of.message(client_id="07-tendermint-9")) == ("client", 4)
    of.net.cut |= {"a", "b"}  # so that nobody refreshes the client
    of.net.now_ns += 700 * SECOND_NS
    of.step(1)
    assert of.upgrade(of.message()) == ("client", 29)
