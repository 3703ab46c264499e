"""Which chain a client tracks: by a consensus state of the anchor's height, or by headers back to the anchor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from ibc_chain import address
from light_chain import LightChain
from xroute_names import Registrar, Watcher

from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core import paths
from nodes.ibc.core.errors import AbciError
from nodes.ibc.proto import comet, ibc
from nodes.ibc.proto.cosmos import TxMsgData
from nodes.ibc.proto.ibc import Height
from nodes.ibc.proto.well_known import Any
from nodes.xroute import gas
from nodes.xroute.identity import identity
from nodes.xroute.names import errors
from nodes.xroute.names.binding import bind, bound
from nodes.xroute.names.labels import STORE
from nodes.xroute.names.messages import MsgBindClient, MsgBindClientResponse

CLIENT = "07-tendermint-0"
SIGNER = address("alice")


def block_of(chain: Registrar, height: int) -> comet.LightBlock:
    update = chain.update_message(1, height)
    return comet.LightBlock(update.signed_header, update.validator_set)


class World:
    """A chain with a client of another one; the client was created at height 5, and knows no other."""

    def __init__(self) -> None:
        self.here, self.there = Registrar("here-1"), Registrar("there-1")
        self.there.blocks(4)
        state, consensus = self.there.client_state(), consensus_state_of(self.there.header)
        self.here.do(ibc.MsgCreateClient(Any.of(state), Any.of(consensus), SIGNER))
        self.there.blocks(4)

    def headers(self, newest: int, anchor: int) -> tuple[comet.Header, ...]:
        return tuple(self.there.anchor(height) for height in range(newest - 1, anchor, -1))

    def message(self, at: int, **changes: object) -> MsgBindClient:
        """A binding to the block of a height, by headers from the last block on."""
        newest = self.there.height
        made = MsgBindClient(CLIENT, self.there.anchor(at), self.block(newest), self.headers(newest, at), SIGNER)
        return replace(made, **changes)  # type: ignore[arg-type]

    def block(self, height: int) -> comet.LightBlock:
        return block_of(self.there, height)

    def bound(self) -> bytes | None:
        return bound(self.here.ticking.chain.state.stores[STORE], CLIENT)

    def refusal(self, message: MsgBindClient, by: str = "alice") -> tuple[int, str]:
        result = self.here.send(message, by=by)
        assert result.codespace == "xname", result.log
        assert self.bound() is None
        return result.code, result.log


def expected(header: comet.Header) -> bytes:
    return identity(header.chain_id, header.height, header_hash(header))


def test_headers_lead_back_to_the_first_one() -> None:
    world = World()
    result = world.here.do(world.message(1))
    answer = TxMsgData.decode(result.data).msg_responses[-1].opened_as(MsgBindClientResponse)
    assert world.bound() == answer.identity == expected(world.there.anchor(1))


@pytest.mark.parametrize("height", [2, 5])
def test_a_chain_has_one_identity(height: int) -> None:
    """Were other headers anchors, a chain could be twice on a route, or be one that a policy does not avoid."""
    world = World()
    assert f"an anchor of height {height}; expected 1" in world.refusal(world.message(height))[1]


def test_a_state_of_the_anchor_alone_gives_no_identity() -> None:
    """A header has more than the states of clients: whoever makes a client up could choose the hash of its anchor."""
    there, watcher = Registrar("there-1"), Watcher()
    first = replace(there.anchor(1), evidence_hash=bytes(32))
    client = watcher.clients.create(
        watcher.context(), Any.of(there.client_state()), Any.of(consensus_state_of(there.anchor(1)))
    )
    watcher.store.set(paths.client_creator(client), SIGNER.encode())
    assert consensus_state_of(first) == consensus_state_of(there.anchor(1))
    with pytest.raises(AbciError, match="no newest header"):
        bind(watcher.context(), watcher.clients, MsgBindClient(client, first, signer=SIGNER))


def test_all_states_that_the_client_has_are_compared() -> None:
    world = World()
    world.here.do(ibc.MsgUpdateClient(CLIENT, Any.of(world.there.update_message(5, 7)), SIGNER))
    short = world.message(1, newest=world.block(6), between=world.headers(6, 1))
    assert "nothing of height 1-7" in world.refusal(short)[1]
    world.here.do(world.message(1))


def test_only_the_clients_creator_binds_it() -> None:
    world = World()
    code, _ = world.refusal(world.message(1, signer=address("bob")), by="bob")
    assert code == errors.NOT_CREATOR.code


def test_a_client_with_proof_specs_of_its_own_is_refused() -> None:
    """With children in reverse order the proof of the last key is one that nothing lies before it."""
    world = World()
    inner, outer = world.there.client_state().proof_specs
    assert inner.inner_spec is not None
    reverse = replace(inner, inner_spec=replace(inner.inner_spec, child_order=(1, 0)))
    state = replace(world.there.client_state(), proof_specs=(reverse, outer))
    made = ibc.MsgCreateClient(Any.of(state), Any.of(consensus_state_of(world.there.header)), SIGNER)
    world.here.do(made)
    message = world.message(1, client_id="07-tendermint-1")
    assert "specs of its own" in world.refusal(message)[1]


def test_an_anchor_of_another_chain_is_refused() -> None:
    world = World()
    other = Registrar("other-1")
    other.blocks(8)
    assert "an anchor of chain 'other-1'" in world.refusal(world.message(1, anchor=other.anchor(1)))[1]


def test_a_fork_with_the_same_chain_id_is_refused() -> None:
    world = World()
    twin = Registrar("there-1")
    twin.jump(7)  # blocks of the same heights, at other times
    twin.blocks(8)
    other = replace(twin.anchor(1), evidence_hash=bytes(32))
    assert "not the one that header" in world.refusal(world.message(1, anchor=other))[1]
    between = tuple(twin.anchor(height) for height in range(twin.height - 1, 1, -1))
    newest = block_of(twin, twin.height)
    forked = world.message(1, anchor=twin.anchor(1), newest=newest, between=between)
    assert "another block of height 1-5" in world.refusal(forked)[1]  # although the same validators signed it


def test_the_newest_header_is_signed() -> None:
    world = World()
    newest = world.block(world.there.height)
    signed = newest.signed_header
    assert signed is not None
    assert signed.header is not None
    moved = replace(newest, signed_header=replace(signed, header=replace(signed.header, app_hash=bytes(32))))
    assert "one for this header" in world.refusal(world.message(1, newest=moved))[1]
    assert signed.commit is not None
    absent = comet.CommitSig(comet.BlockIDFlag.ABSENT)
    half = replace(signed.commit, signatures=(*signed.commit.signatures[:2], absent, absent))
    unsigned = replace(newest, signed_header=replace(signed, commit=half))
    assert world.refusal(world.message(1, newest=unsigned))[0] == errors.INVALID_BINDING.code
    assert "both" in world.refusal(world.message(1, newest=comet.LightBlock()))[1]


def test_a_gap_in_the_headers_is_refused() -> None:
    world = World()
    whole = world.message(1)
    for between in (whole.between[1:], whole.between[:-1], (), whole.between[::-1]):
        assert "not the one that header" in world.refusal(replace(whole, between=between))[1]


def test_many_headers_are_refused_before_they_are_hashed() -> None:
    world = World()
    many = world.message(1, between=(comet.Header(chain_id="there-1"),) * 600)
    assert "more headers than 512" in world.refusal(many)[1]


def test_headers_and_commits_are_paid_for() -> None:
    world, some = World(), comet.Header(chain_id="there-1")
    few, many = (world.here.send(world.message(1, between=(some,) * count)).gas_used for count in (100, 200))
    assert many - few >= 100 * len(some.encode()) * gas.PROOF_BYTE
    blocks = [world.here.send(world.message(1, changes=(world.block(3),) * count)).gas_used for count in (1, 3)]
    assert blocks[1] - blocks[0] >= 2 * (len(world.block(3).encode()) * gas.PROOF_BYTE + 4 * gas.SIGNATURE)


def test_an_anchor_must_be_there() -> None:
    world = World()
    assert "no anchor" in world.refusal(world.message(1, anchor=None))[1]


# A chain whose validators change, and one that begins as it does: heights 1 to 4 are alike


class Line:
    """Headers that name each other, and a client whose creator began it with the state of the last one."""

    def __init__(self, members: Callable[[int], Sequence[str]], count: int = 7) -> None:
        self.chain = LightChain(members)
        self.headers: list[comet.Header] = []
        for height in range(1, count + 1):
            last = (
                comet.BlockID(header_hash(self.headers[-1]), comet.PartSetHeader(1, bytes(32))) if height > 1 else None
            )
            header = self.chain.header(height)
            self.headers.append(header if last is None else replace(header, last_block_id=last))
        self.watcher = Watcher()
        self.watcher.now_ns = self.headers[-1].time.ns
        context = self.watcher.context()
        state = replace(Registrar().client_state(), chain_id=self.chain.chain_id, latest_height=Height(1, count))
        client = self.watcher.clients.create(context, Any.of(state), Any.of(consensus_state_of(self.headers[-1])))
        context.ibc.set(paths.client_creator(client), SIGNER.encode())

    def block(self, height: int) -> comet.LightBlock:
        signed, validators = self.chain.signed(self.headers[height - 1]), self.chain.validators(height)
        return comet.LightBlock(signed, comet.ValidatorSet(validators))

    def bind(self, *changes: comet.LightBlock) -> bytes:
        newest = self.block(len(self.headers))
        between = tuple(reversed(self.headers[1:-1]))
        message = MsgBindClient(CLIENT, self.headers[0], newest, between, SIGNER, changes)
        return bind(self.watcher.context(), self.watcher.clients, message)


REAL, LATER, EVIL = ("a", "b", "c"), ("a", "d", "e"), ("x", "y", "z")


def test_new_validators_are_announced_by_a_header_that_those_before_signed() -> None:
    line = Line(lambda height: REAL if height < 5 else LATER)
    with pytest.raises(AbciError, match="new validators after header 4, for which there is no commit"):
        line.bind()
    assert line.bind(line.block(4)) == expected(line.headers[0])


def test_validators_who_have_signed_nothing_yet_are_not_believed() -> None:
    """A chain of the creator's own whose last header announces another chain's validators: the client would follow
    these, and be bound to what they never signed."""
    line = Line(lambda height: EVIL if height < 8 else REAL)
    with pytest.raises(AbciError, match="new validators after header 7; expected a header before no change"):
        line.bind(line.block(7))


def test_who_puts_own_validators_behind_a_chain_is_found_out() -> None:
    """The client begins with a state of the fork, which its creator may make up: nothing but the headers tells."""
    fork = Line(lambda height: REAL if height < 5 else EVIL)
    header, keys = fork.headers[3], LightChain(lambda height: EVIL)
    forged = comet.LightBlock(keys.signed(header), comet.ValidatorSet(keys.validators(4)))
    for changes in ((), (forged,), (comet.LightBlock(forged.signed_header, fork.block(4).validator_set),)):
        with pytest.raises(AbciError):
            fork.bind(*changes)
    fork.headers[3] = replace(header, next_validators_hash=header.validators_hash)  # header 4 as the chain made it
    fork.headers[4] = replace(
        fork.headers[4], last_block_id=replace(fork.headers[4].last_block_id, hash=header_hash(fork.headers[3]))
    )
    for at in (5, 6):
        last = replace(fork.headers[at].last_block_id, hash=header_hash(fork.headers[at - 1]))
        fork.headers[at] = replace(fork.headers[at], last_block_id=last)
    with pytest.raises(AbciError, match="did not announce"):
        fork.bind()
