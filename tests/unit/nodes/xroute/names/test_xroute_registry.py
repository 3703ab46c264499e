"""The module `xname` on a chain: who may write which record, when, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ibc_chain import FUNDS, GENESIS_NS, SECOND_NS, Ticking, address
from xroute_names import OTHER, OWNER, TERMS, ZONE, ZONE_OWNER, Registrar, chain_record

from nodes.ibc.chain.results import TxResult
from nodes.xroute.keys import Key
from nodes.xroute.names import errors
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.messages import MsgCommit
from nodes.xroute.names.record import REVOKED, Kind, Record, RecordError
from nodes.xroute.names.registry import commitment

OSMOSIS = chain_record("osmosis.cosmos")
APP = replace(
    OSMOSIS, name="swap.osmosis.cosmos", kind=Kind.APP, chain_id="", anchor_height=0, anchor_hash=b"", client_type="",
    merkle_prefix=(), port="swap",
)  # fmt: skip


def held(registrar: Registrar, name: str) -> Record | None:
    raw = registrar.ticking.chain.state.stores[STORE].get(key_of(name))
    return None if raw is None else Record.decode(raw)


def refused(result: TxResult, kind: errors.ErrorKind) -> str:
    assert (result.codespace, result.code) == (kind.codespace, kind.code), result.log
    return result.log


def registered() -> Registrar:
    """A registry that has a chain's record."""
    registrar = Registrar()
    registrar.register(OSMOSIS)
    return registrar


def test_a_name_is_committed_to_and_revealed() -> None:
    registrar = Registrar()
    registrar.commit(OSMOSIS)
    result = registrar.do(registrar.reveal(OSMOSIS))
    assert held(registrar, "osmosis.cosmos") == OSMOSIS
    assert registrar.ticking.balances()["alice"] == FUNDS - TERMS.deposit
    (told,) = (each for each in result.events if each.type == "xname_record")
    attributes = dict(told.attributes)
    assert attributes["action"] == "register"
    assert bytes.fromhex(attributes["record_hex"]) == OSMOSIS.encode()


def test_a_reveal_needs_a_commitment_that_is_old_enough_and_not_too_old() -> None:
    registrar = Registrar(terms=replace(TERMS, wait_blocks=5))
    refused(registrar.send(registrar.reveal(OSMOSIS)), errors.COMMITMENT_NOT_FOUND)
    registrar.commit(OSMOSIS)
    refused(registrar.send(registrar.reveal(OSMOSIS)), errors.REVEAL_TOO_EARLY)
    registrar.blocks(TERMS.reveal_blocks)
    refused(registrar.send(registrar.reveal(OSMOSIS)), errors.COMMITMENT_NOT_FOUND)


def test_a_commitment_is_used_once_and_is_not_made_young_again() -> None:
    registrar = Registrar()
    registrar.commit(OSMOSIS)
    again = MsgCommit(commitment("osmosis.cosmos", b"salt", OWNER.public), address("bob"))
    refused(registrar.send(again, by="bob"), errors.INVALID_COMMITMENT)
    registrar.do(registrar.reveal(OSMOSIS))
    refused(registrar.send(registrar.reveal(OSMOSIS)), errors.COMMITMENT_NOT_FOUND)
    refused(registrar.send(MsgCommit(b"short", address("bob")), by="bob"), errors.INVALID_COMMITMENT)


def test_who_sees_a_reveal_cannot_take_the_name() -> None:
    registrar = Registrar()
    registrar.commit(OSMOSIS)
    stolen = replace(OSMOSIS, owner=OTHER.public)
    refused(registrar.send(registrar.reveal(stolen, OTHER, by="bob"), by="bob"), errors.COMMITMENT_NOT_FOUND)
    refused(registrar.send(registrar.reveal(OSMOSIS, OTHER, by="bob"), by="bob"), errors.INVALID_SIGNATURE)
    registrar.do(registrar.reveal(OSMOSIS))
    registrar.commit(stolen, by="bob")
    refused(registrar.send(registrar.reveal(stolen, OTHER, by="bob"), by="bob"), errors.NAME_TAKEN)


def test_a_signature_serves_on_one_registry_alone() -> None:
    registrar = Registrar()
    registrar.commit(OSMOSIS)
    elsewhere = replace(registrar.reveal(OSMOSIS), signature=Registrar("other-1").signature(OSMOSIS, OWNER))
    refused(registrar.send(elsewhere), errors.INVALID_SIGNATURE)


def test_an_update_has_the_next_seq_and_the_owners_signature() -> None:
    registrar = registered()
    second = replace(OSMOSIS, seq=2, endpoints=("tcp://10.0.0.1:26657",))
    refused(registrar.send(registrar.update(second, OTHER)), errors.INVALID_SIGNATURE)
    for seq in (1, 3):
        refused(registrar.send(registrar.update(replace(second, seq=seq))), errors.WRONG_SEQ)
    registrar.do(registrar.update(second, by="bob"), by="bob")  # any account may bring it
    assert held(registrar, "osmosis.cosmos") == second
    refused(registrar.send(registrar.update(second)), errors.WRONG_SEQ)
    other_kind = replace(second, seq=3, kind=Kind.ALIAS, delegate="hub.cosmos", chain_id="", anchor_height=0)
    refused(registrar.send(registrar.update(other_kind)), errors.INVALID_RECORD)
    unknown = replace(OSMOSIS, name="juno.cosmos", seq=1)
    refused(registrar.send(registrar.update(unknown)), errors.NAME_NOT_FOUND)


def test_a_transfer_takes_the_name_from_its_owner() -> None:
    registrar = registered()
    given = replace(OSMOSIS, seq=2, owner=OTHER.public)
    result = registrar.do(registrar.update(given))
    assert any(("action", "transfer") in each.attributes for each in result.events)
    refused(registrar.send(registrar.update(replace(given, seq=3))), errors.INVALID_SIGNATURE)
    registrar.do(registrar.update(replace(given, seq=3), OTHER))


def test_a_revocation_is_final_and_gives_the_deposit_back() -> None:
    registrar = registered()
    gone = replace(OSMOSIS, seq=2, flags=REVOKED)
    registrar.do(registrar.update(gone, by="bob"), by="bob")
    assert registrar.ticking.balances()["alice"] == FUNDS
    refused(registrar.send(registrar.update(replace(OSMOSIS, seq=3))), errors.NAME_REVOKED)


def test_a_term_ends_and_after_grace_the_name_is_free() -> None:
    registrar = registered()
    registrar.jump(510)
    taken = chain_record("osmosis.cosmos", at_s=700, owner=OTHER.public, seq=2)
    registrar.commit(taken, by="bob")
    refused(registrar.send(registrar.reveal(taken, OTHER, by="bob"), by="bob"), errors.NAME_TAKEN)
    registrar.jump(100)
    late = chain_record("osmosis.cosmos", at_s=700, seq=2)
    refused(registrar.send(registrar.update(late)), errors.NAME_NOT_FOUND)
    first = replace(taken, seq=1)
    refused(registrar.send(registrar.reveal(first, OTHER, by="bob"), by="bob"), errors.WRONG_SEQ)
    registrar.do(registrar.reveal(taken, OTHER, by="bob"), by="bob")
    assert held(registrar, "osmosis.cosmos") == taken
    assert registrar.ticking.balances()["alice"] == FUNDS
    assert registrar.ticking.balances()["bob"] == FUNDS - TERMS.deposit


def test_an_owner_may_renew_within_grace() -> None:
    registrar = registered()
    registrar.jump(550)
    registrar.do(registrar.update(chain_record("osmosis.cosmos", at_s=600, seq=2)))


def test_a_term_has_an_end_that_is_near_enough() -> None:
    registrar = Registrar()
    now_s = GENESIS_NS // SECOND_NS
    for end_s in (0, now_s, now_s + TERMS.longest_s + 60):
        record = replace(OSMOSIS, not_after_s=end_s, ttl_s=50)
        registrar.commit(replace(record, name="osmosis.cosmos"))
        refused(registrar.send(registrar.reveal(record)), errors.INVALID_TERM)
        registrar.blocks(TERMS.reveal_blocks)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (replace(OSMOSIS, name="new"), "zone of its own"),
        (replace(OSMOSIS, name="osmosis.other"), "other is not registered"),
        (APP, "osmosis.cosmos is not registered"),
        (replace(APP, name="swap.cosmos"), "APP under ZONE"),
    ],
)
def test_a_name_lies_under_one_that_allows_it(record: Record, words: str) -> None:
    registrar = Registrar()
    registrar.commit(record)
    assert words in refused(registrar.send(registrar.reveal(record)), errors.PARENT_REFUSES)


def test_under_a_name_that_is_not_open_its_owner_signs_too() -> None:
    registrar = registered()
    app = replace(APP, owner=OTHER.public)
    registrar.commit(app)
    refused(registrar.send(registrar.reveal(app, OTHER, parent=OTHER)), errors.PARENT_REFUSES)
    registrar.do(registrar.reveal(app, OTHER, parent=OWNER))
    assert held(registrar, "swap.osmosis.cosmos") == app


def test_nothing_is_registered_under_a_zone_that_is_delegated() -> None:
    registrar = Registrar()
    given = replace(ZONE, seq=2, delegate="hub.zone")
    registrar.do(registrar.update(given, ZONE_OWNER))
    registrar.commit(OSMOSIS)
    assert "kept by" in refused(registrar.send(registrar.reveal(OSMOSIS)), errors.PARENT_REFUSES)


def test_a_zone_of_the_genesis_has_no_end_and_changes_by_its_owner() -> None:
    registrar = Registrar()
    refused(registrar.send(registrar.update(replace(ZONE, seq=2))), errors.INVALID_SIGNATURE)
    ends = replace(ZONE, seq=2, not_after_s=GENESIS_NS // SECOND_NS + 9)
    refused(registrar.send(registrar.update(ends, ZONE_OWNER)), errors.INVALID_TERM)
    registrar.do(registrar.update(replace(ZONE, seq=2, flags=0), ZONE_OWNER))
    registrar.commit(OSMOSIS)
    refused(registrar.send(registrar.reveal(OSMOSIS, parent=Key.named("x"))), errors.PARENT_REFUSES)


def test_a_genesis_holds_zones_alone() -> None:
    with pytest.raises(RecordError, match="a zone of one label"):
        Registrar(zones=(OSMOSIS,))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": Kind.UNSPECIFIED},
        {"seq": 0},
        {"ttl_s": 0},
        {"owner": b"short"},
        {"chain_id": ""},
        {"anchor_hash": b""},
        {"client_type": ""},
        {"port": "transfer"},
        {"flags": 4},
        {"delegate": "osmosis.cosmos"},
        {"name": "Osmosis.cosmos"},
        {"name": "osmosis.bind"},
        {"name": "a.b.c.d.e"},
        {"endpoints": ("x",) * 9},
        {"bech32_prefix": "x" * 5000},
    ],
)
def test_a_record_fits_its_kind(change: dict[str, object]) -> None:
    registrar = Registrar()
    record = replace(OSMOSIS, **change)  # type: ignore[arg-type]
    registrar.commit(record)
    refused(registrar.send(registrar.reveal(record)), errors.INVALID_RECORD)


def test_a_record_has_one_encoding() -> None:
    registrar = Registrar()
    registrar.commit(OSMOSIS)
    data = OSMOSIS.encode() + b"\x98\x06\x01"  # a field that is not declared
    message = replace(registrar.reveal(OSMOSIS), record=data)
    refused(registrar.send(message), errors.INVALID_RECORD)


def test_a_chain_without_the_setting_knows_nothing_of_names() -> None:
    plain = Ticking()
    data = plain.tx("alice", MsgCommit(bytes(32), address("alice")), gas=10_000_000)
    assert "no message handler" in plain.chain.submit(data).log
    assert STORE not in plain.chain.state.stores
