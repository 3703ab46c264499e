"""Identities of chains: what is bound, and what is refused."""

from __future__ import annotations

from hashlib import sha256

import pytest

from emulator.model.errors import Unfit
from nodes.ibc.core.identifiers import check_client, is_generated_client
from nodes.xroute.identity import SOURCE_CLIENT, application_client, checked, destination_client, identity

ANCHOR = sha256(b"header").digest()


def test_identity_binds_chain_id_height_and_header() -> None:
    of = identity("a-1", 1, ANCHOR)
    assert of == sha256(b"xroute-chain-1" + b"a-1" + bytes(7) + b"\x01" + ANCHOR).digest()
    assert len({of, identity("a-2", 1, ANCHOR), identity("a-1", 1, of)}) == 3


def test_names_of_virtual_clients_are_names_of_clients() -> None:
    name = destination_client(identity("a-1", 1, ANCHOR))
    assert check_client(name) == name
    assert len(name) == 43
    assert is_generated_client(application_client(identity("a-1", 1, ANCHOR)))
    assert check_client(SOURCE_CLIENT) == SOURCE_CLIENT


@pytest.mark.parametrize(("height", "anchor"), [(0, ANCHOR), (2, ANCHOR), (1, b""), (1, ANCHOR + b"\0")])
def test_an_anchor_that_is_none_is_refused(height: int, anchor: bytes) -> None:
    with pytest.raises(Unfit):
        identity("a-1", height, anchor)


def test_bytes_of_another_length_are_no_identity() -> None:
    assert checked(ANCHOR) == ANCHOR
    with pytest.raises(Unfit):
        checked(ANCHOR[:-1])
