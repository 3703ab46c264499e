"""The program of a chain: what its settings switch on."""

from __future__ import annotations

import pytest
from ibc_chain import GENESIS_NS
from sdk_net import context

from emulator.model.errors import Unfit
from nodes.ibc.chain.genesis import Settings, chain_of
from nodes.xroute.chain import Chain
from nodes.xroute.names.labels import STORE, key_of
from nodes.xroute.names.record import Record


def made(*zones: str) -> dict[str, Record]:
    """The zones in the first state of a chain."""
    program = Chain(Chain.Config(zones=zones), context("a"))
    chain = chain_of(Settings("a-1", extensions=program.extensions()), GENESIS_NS)
    store = chain.state.stores[STORE]
    return {record.name: record for _, raw in store.iterate(b"xname/") for record in [Record.decode(raw)]}


def test_a_chain_keeps_the_names_of_its_zones() -> None:
    assert made() == {}
    (zone,) = made("cosmos").values()
    assert (zone.name, zone.is_open, key_of(zone.name)) == ("cosmos", True, b"xname/cosmos")
    for bad in ("bind", "Cosmos", "a.b"):
        with pytest.raises(Unfit):
            made(bad)
