"""Clients that expire or freeze, and what brings them back: the authority of their chain, and nobody else."""

from __future__ import annotations

import pytest

from nodes.ibc.proto.queries import QueryClientStatusRequest, QueryClientStatusResponse
from nodes.ibc.relayer import control
from nodes.ibc.relayer.calls import Ask
from nodes.ibc.relayer.clients import QUERY, Client
from tests.support.ibc_chain import address
from tests.support.ibc_forged import forged_update
from tests.support.ibc_relayed import Node, World

BOTH = pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])


def world(path: str, authority: str = "relayer-1") -> tuple[World, Client]:
    """Two chains, a relayer, and the client on b, which trusts a for a minute."""
    nodes = {name: Node(name, authority=address(authority)) for name in "ab"}
    net = World(nodes, (path,), trusting_s=60.0)
    net.start("relayer-1")
    net.until(net.is_open)
    _, there = net.ends()
    return net, net.relayers["relayer-1"].clients["b", there.client]


def status(net: World, client: Client) -> str:
    call = Ask(client.host, f"{QUERY}/ClientStatus", QueryClientStatusRequest(client.name), QueryClientStatusResponse)
    return str(net.nodes[client.host].call(call).status)


def expire(net: World, client: Client) -> None:
    """Let more than the trusting period go by while the client's chain cannot be reached."""
    net.cut.add("a")
    net.run(70)
    assert status(net, client) == "Expired"
    net.cut.clear()


@BOTH
def test_an_expired_client_is_recovered_under_its_name_and_what_waited_comes_through(path: str) -> None:
    net, client = world(path)
    here, there = net.ends()
    net.nodes["a"].transfer(here, 7, "stake", net.now_ns, 3600)
    expire(net, client)
    net.run(65)  # it tries to reach a once a minute
    assert net.committed() == 1
    relayer = net.relayers["relayer-1"]
    assert "is expired" in control.answer(relayer, ["status"])[1]
    for name in (client, relayer.clients["a", here.client]):
        assert control.answer(relayer, ["recover", f"{name.host}/{name.name}"])[0]
    net.run(8)
    assert status(net, client) == "Active"
    assert net.ends()[1] == there
    net.nodes["b"].transfer(there, 5, "stake", net.now_ns, 3600)
    net.relay_all()
    net.check_escrow(net.ends())


def test_a_frozen_client_is_recovered() -> None:
    net, client = world("a b")
    net.nodes["b"].send(forged_update(net.nodes["a"], client), name="bob")
    net.run(5)
    assert status(net, client) == "Frozen"
    net.nodes["a"].transfer(net.ends()[0], 7, "stake", net.now_ns, 3600)
    net.relayers["relayer-1"].recover(f"b/{client.name}")
    net.relay_all()
    assert status(net, client) == "Active"


def test_a_relayer_that_is_no_authority_recovers_nothing() -> None:
    net, client = world("a b", authority="bob")
    expire(net, client)
    relayer = net.relayers["relayer-1"]
    relayer.recover(f"b/{client.name}")
    net.until(lambda: relayer.notes[-1][0] == "recover")
    assert f"expected {address('bob')}, got {address('relayer-1')}" in relayer.notes[-1][1]
    assert status(net, client) == "Expired"
    assert not control.answer(relayer, ["recover", "b/07-tendermint-9"])[0]
