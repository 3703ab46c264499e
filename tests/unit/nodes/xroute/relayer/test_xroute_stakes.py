"""Stakes of relayers, as blocks say."""

from __future__ import annotations

from nodes.ibc.core.events import Event, event
from nodes.ibc.relayer.calls import Block, TxResult
from nodes.xroute.relayer.stakes import Stakes

KEY = bytes(31) + b"k"


def saw(stakes: Stakes, chain: str, *events: Event) -> int:
    return stakes.saw(chain, Block(1, 10**18, (TxResult(0, "", "", 0, events),)))


def test_who_was_slashed_on_one_chain_has_no_weight_on_any() -> None:
    stakes = Stakes()
    for chain in "ab":
        assert not saw(stakes, chain, event("xroute_stake", relayer=KEY.hex(), amount=1000))
    assert stakes.weights == {KEY: 2000}
    saw(stakes, "a", event("xroute_slash", relayer=KEY.hex(), amount=1000))
    assert (stakes.weights, dict(stakes.on("a")), dict(stakes.on("b"))) == ({}, {}, {KEY: 1000})


def test_events_that_are_out_of_form_are_left_out_and_counted() -> None:
    stakes = Stakes()
    bad = (
        event("xroute_stake", relayer="key", amount=1),
        event("xroute_slash", amount=1),
        event("xroute_stake", relayer=KEY.hex()),
    )
    assert saw(stakes, "a", *bad, event("xroute_stake", relayer=KEY.hex(), amount=1000)) == 3
    assert stakes.weights == {KEY: 1000}
