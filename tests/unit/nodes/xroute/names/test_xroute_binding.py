"""Which chain a client tracks: by a consensus state of the anchor's height, or by headers back to the anchor."""

from __future__ import annotations

from dataclasses import replace

from ibc_chain import address
from xroute_names import Registrar

from nodes.ibc.client.tendermint import consensus_state_of
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.proto import comet, ibc
from nodes.ibc.proto.cosmos import TxMsgData
from nodes.ibc.proto.well_known import Any
from nodes.xroute.identity import identity
from nodes.xroute.names import errors
from nodes.xroute.names.binding import bindings, bound
from nodes.xroute.names.labels import STORE
from nodes.xroute.names.messages import MsgBindClient, MsgBindClientResponse

CLIENT = "07-tendermint-0"
SIGNER = address("alice")


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
        made = MsgBindClient(
            CLIENT, self.there.anchor(at), self.there.update_message(5), self.headers(newest, at), SIGNER
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def bound(self) -> bytes | None:
        return bound(self.here.ticking.chain.state.stores[STORE], CLIENT)

    def refusal(self, message: MsgBindClient, by: str = "alice") -> tuple[int, str]:
        result = self.here.send(message, by=by)
        assert result.codespace == "xname", result.log
        assert self.bound() is None
        return result.code, result.log


def expected(header: comet.Header) -> bytes:
    return identity(header.chain_id, header.height, header_hash(header))


def test_a_consensus_state_of_the_anchors_height_is_enough() -> None:
    world = World()
    anchor = world.there.anchor(5)
    result = world.here.do(world.message(5, newest=None, between=()))
    answer = TxMsgData.decode(result.data).msg_responses[-1].opened_as(MsgBindClientResponse)
    assert world.bound() == answer.identity == expected(anchor)
    assert list(bindings(world.here.ticking.chain.state.stores[STORE])) == [(CLIENT, expected(anchor))]


def test_headers_lead_back_to_an_older_anchor() -> None:
    world = World()
    world.here.do(world.message(1))
    assert world.bound() == expected(world.there.anchor(1))


def test_an_anchor_above_the_client_is_reached_by_an_update() -> None:
    world = World()
    world.here.do(world.message(7))
    assert world.bound() == expected(world.there.anchor(7))


def test_only_the_clients_creator_binds_it() -> None:
    world = World()
    code, _ = world.refusal(world.message(5, signer=address("bob")), by="bob")
    assert code == errors.NOT_CREATOR.code


def test_an_anchor_of_another_chain_is_refused() -> None:
    world = World()
    other = Registrar("other-1")
    other.blocks(8)
    assert "an anchor of chain 'other-1'" in world.refusal(world.message(5, anchor=other.anchor(5)))[1]


def test_a_fork_with_the_same_chain_id_is_refused() -> None:
    world = World()
    twin = Registrar("there-1")
    twin.jump(7)  # blocks of the same heights, at other times
    twin.blocks(8)
    assert "another block of height" in world.refusal(world.message(5, anchor=twin.anchor(5)))[1]
    assert "not the one that header" in world.refusal(world.message(3, anchor=twin.anchor(3)))[1]
    between = tuple(twin.anchor(height) for height in range(twin.height - 1, 3, -1))
    forked = world.message(3, anchor=twin.anchor(3), newest=twin.update_message(5), between=between)
    assert "another block of height 1-5" in world.refusal(forked)[1]  # although the same validators signed it


def test_a_header_that_the_client_has_not_verified_starts_nothing() -> None:
    world = World()
    assert "and no header" in world.refusal(world.message(1, newest=None))[1]
    assert "and no header" in world.refusal(world.message(1, newest=ibc.Header()))[1]
    update = world.there.update_message(5)
    assert update.signed_header is not None
    assert update.signed_header.header is not None
    moved = replace(update.signed_header.header, last_block_id=comet.BlockID(bytes(32)))
    unsigned = replace(update, signed_header=replace(update.signed_header, header=moved))
    assert world.here.send(world.message(1, newest=unsigned)).codespace == "client"
    assert world.bound() is None


def test_a_gap_in_the_headers_is_refused() -> None:
    world = World()
    whole = world.message(1)
    for between in (whole.between[1:], whole.between[:-1], (), whole.between[::-1]):
        assert "not the one that header" in world.refusal(replace(whole, between=between))[1]


def test_many_headers_are_refused_before_they_are_hashed() -> None:
    world = World()
    many = world.message(1, between=(comet.Header(chain_id="there-1"),) * 600)
    assert "at most 512" in world.refusal(many)[1]


def test_an_anchor_must_be_there() -> None:
    world = World()
    assert "no anchor" in world.refusal(world.message(5, anchor=None))[1]
