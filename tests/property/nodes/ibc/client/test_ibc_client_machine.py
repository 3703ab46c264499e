"""A client against a model of it: what it takes, knows and is, whatever order headers, forks and time come in."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from light_chain import INTERVAL_NS, LightChain, time_ns

from nodes.ibc.client.keeper import Clients
from nodes.ibc.client.states import ClientStates
from nodes.ibc.core.errors import AbciError
from nodes.ibc.core.state import Context
from nodes.ibc.proofs.specs import TENDERMINT_SPEC
from nodes.ibc.proofs.store import ProvableStore
from nodes.ibc.proto.ibc import ClientState, Fraction, Header, Height, Misbehaviour
from nodes.ibc.proto.well_known import Any, Duration

FIRST, LAST = 10, 30
PERIOD = 16  # intervals between heights for which a height is trusted
HEIGHTS = st.integers(FIRST, LAST)


def members(height: int) -> range:
    """Four validators, of which another one is new at every second height."""
    return range(height // 2, height // 2 + 4)


CHAIN = LightChain(members)
FORK = {height: CHAIN.signed(CHAIN.header(height, app_hash=bytes(32))) for height in range(FIRST, LAST + 1)}


class ClientMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clients = Clients()
        self.context = Context("here-0", Height(0, 1), time_ns(FIRST), {"ibc": ProvableStore()})
        state = ClientState(
            CHAIN.chain_id,
            Fraction(1, 3),
            Duration.of_ns(PERIOD * INTERVAL_NS),
            Duration.of_ns(2 * PERIOD * INTERVAL_NS),
            Duration.of_ns(1),
            latest_height=Height(1, FIRST),
            proof_specs=(TENDERMINT_SPEC,),
        )
        consensus = CHAIN.consensus_state(FIRST)
        self.client = self.clients.create(self.context, Any.of(state), Any.of(consensus))
        self.now = FIRST  # in heights: the other chain's newest block
        self.known = {FIRST: False}  # height: whether the fork's state is stored for it
        self.frozen = False

    def expired(self, height: int) -> bool:
        return height + PERIOD <= self.now

    def serves(self) -> bool:
        return not self.frozen and not self.expired(max(self.known))

    def follows(self, trusted: int, height: int) -> bool:
        """Whether the light client takes a header."""
        shared = len({*members(trusted + 1)} & {*members(height)})
        near = height == trusted + 1 or 10 * shared > 40 // 3
        return trusted in self.known and trusted < height <= self.now and not self.expired(trusted) and near

    def message(self, trusted: int, height: int, forked: bool) -> Header:
        return CHAIN.update(trusted, height, FORK[height] if forked else None)

    def taken(self, message: Header | Misbehaviour) -> bool:
        try:
            self.clients.update(self.context, self.client, Any.of(message))
        except AbciError:
            return False
        return True

    @rule(blocks=st.integers(1, 6))
    def time_passes(self, blocks: int) -> None:
        self.now += blocks
        self.context.time_ns = time_ns(self.now)
        self.context.height = Height(0, self.context.height.revision_height + blocks)

    @rule(trusted=HEIGHTS, height=HEIGHTS, forked=st.sampled_from([False, False, False, True]))
    def update(self, trusted: int, height: int, forked: bool) -> None:
        expected = self.serves() and self.follows(trusted, height)
        assert self.taken(self.message(trusted, height, forked)) == expected
        if not expected or self.known.get(height) == forked:
            return
        if height in self.known:
            self.frozen = True
            return
        if self.expired(min(self.known)):
            del self.known[min(self.known)]
        self.known[height] = forked

    @rule(trusted=HEIGHTS, height=HEIGHTS, twice=st.booleans())
    def evidence(self, trusted: int, height: int, twice: bool) -> None:
        shown = Misbehaviour("", self.message(trusted, height, twice), self.message(trusted, height, True))
        expected = self.serves() and self.follows(trusted, height) and not twice
        if height <= self.now:  # evidence may be of blocks that claim to be later
            assert self.taken(shown) == expected
            self.frozen |= expected

    @rule()
    def recover(self) -> None:
        state = self.clients.client_state(self.context, self.client)
        latest = state.latest_height.revision_height
        if self.now <= latest or self.now > LAST:
            return
        fresh = ClientState(
            state.chain_id, state.trust_level, state.trusting_period, state.unbonding_period, state.max_clock_drift,
            latest_height=Height(1, self.now), proof_specs=state.proof_specs,
        )  # fmt: skip
        substitute = self.clients.create(self.context, Any.of(fresh), Any.of(CHAIN.consensus_state(self.now)))
        try:
            self.clients.recover(self.context, self.client, substitute)
        except AbciError:
            assert self.serves()
            return
        assert not self.serves()
        self.frozen = False
        self.known[self.now] = False

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        state = "Frozen" if self.frozen else "Expired" if self.expired(max(self.known)) else "Active"
        assert self.clients.status(self.context, self.client) == state
        assert self.clients.latest_height(self.context, self.client) == Height(1, max(self.known))

    @invariant()
    def it_knows_what_it_took(self) -> None:
        states = ClientStates(self.context.ibc, self.client)
        assert [each.revision_height for each in states.heights()] == sorted(self.known)
        for height, forked in self.known.items():
            stored = states.consensus_state(Height(1, height))
            assert stored is not None
            assert (stored.root.hash == bytes(32)) == forked
            assert states.processed(Height(1, height)) is not None


ClientMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestClient = ClientMachine.TestCase
