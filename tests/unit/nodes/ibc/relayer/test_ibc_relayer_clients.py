"""Clients that a relayer keeps: refreshed in time, led by headers between where need be, all frozen by evidence."""

from __future__ import annotations

import pytest

from nodes.ibc.chain.consensus import Churn
from nodes.ibc.proto.queries import QueryClientStatusRequest, QueryClientStatusResponse
from nodes.ibc.relayer import clients as relayer_clients
from nodes.ibc.relayer import control
from nodes.ibc.relayer.calls import Ask
from tests.support.ibc_chain import SECOND_NS
from tests.support.ibc_forged import forged_update, true_update
from tests.support.ibc_relayed import Node, World


def opened(**changes: object) -> World:
    """Two chains, and a relayer that has opened a path between them."""
    net = World({name: Node(name) for name in "ab"}, **changes)  # type: ignore[arg-type]
    net.start("relayer-1")
    net.until(net.is_open)
    return net


def statuses(net: World) -> dict[str, str]:
    """The status of each client of `a`, by its host."""
    found = {}
    for (host, name), client in net.relayers["relayer-1"].clients.items():
        if client.subject == "a":
            asked = QueryClientStatusRequest(name)
            call = Ask(host, "/ibc.core.client.v1.Query/ClientStatus", asked, QueryClientStatusResponse)
            found[host] = net.nodes[host].call(call).status
    return found


@pytest.mark.parametrize("known", [False, True], ids=["new height", "height that the client knows"])
def test_equivocation_that_one_client_was_told_freezes_every_client_of_the_chain(known: bool) -> None:
    net = World({name: Node(name) for name in "abc"}, ("a b", "a c", "b c"))
    net.start("relayer-1")
    net.until(net.is_open)
    net.nodes["a"].transfer(net.ends("a:b")[0], 3, "stake", net.now_ns, 3600)
    net.relay_all()
    relayer = net.relayers["relayer-1"]
    client = relayer.clients["b", net.ends("a:b")[1].client]
    update = forged_update(net.nodes["a"], client, client.latest if known else 0)
    net.nodes["b"].send(update, name="bob")
    net.run(6)
    assert statuses(net) == {"b": "Frozen", "c": "Frozen"}
    assert any("was told another block" in text for _, text in relayer.notes)
    net.nodes["a"].transfer(net.ends("a:b")[0], 3, "stake", net.now_ns, 3600)
    net.run(5)
    assert "frozen" in control.answer(relayer, ["status"])[1]


def test_equivocation_is_told_once_a_chain_that_was_cut_off_is_back() -> None:
    net = opened()
    relayer = net.relayers["relayer-1"]
    client = relayer.clients["b", net.ends()[1].client]
    net.nodes["b"].send(forged_update(net.nodes["a"], client), name="bob")
    net.tick()
    net.block("b")
    net.cut.add("a")
    net.run(3)
    assert statuses(net) == {"b": "Active"}
    net.cut.clear()
    net.run(8)
    assert statuses(net) == {"b": "Frozen"}
    assert any(kind == "watch" for kind, _ in relayer.notes)


def test_the_age_of_a_client_that_somebody_else_updates_is_known() -> None:
    net = opened(trusting_s=600.0)
    client = net.relayers["relayer-1"].clients["b", net.ends()[1].client]
    net.run(20)
    net.nodes["b"].send(true_update(net.nodes["a"].chain, client), name="bob")
    height = net.nodes["a"].chain.height
    net.run(3)
    assert client.latest == height
    entry = net.nodes["a"].chain.ledger[height]
    assert entry is not None
    assert client.newest_ns == entry.block.time_ns


def test_what_is_remembered_of_a_client_is_bounded() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relayer_clients, "_MOST_HEIGHTS", 5)
        net = opened(trusting_s=12.0)
        net.run(60)
        for client in net.relayers["relayer-1"].clients.values():
            assert client.updates > 10
            assert (len(client.heights), len(client.own)) == (5, 5)
            assert client.heights[-1] == client.latest
        net.nodes["a"].transfer(net.ends()[0], 3, "stake", net.now_ns, 3600)
        net.relay_all()


def test_full_turnover_of_validators_forces_bisection() -> None:
    nodes = {name: Node(name, powers=(1,) * 4, churn=Churn(4, 1)) for name in ("a", "b")}
    net = World(nodes)
    net.start("relayer-1")
    net.until(net.is_open)
    here, _ = net.ends()
    net.run(40)  # no validator of the clients' heights is left
    client = net.relayers["relayer-1"].clients["b", net.ends()[1].client]
    before = client.updates
    net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 3600)
    net.relay_all()
    assert client.updates > before + 1


def test_clients_are_refreshed_without_traffic_at_a_third_of_the_trusting_period() -> None:
    net = opened(trusting_s=60.0)
    net.run(200)
    for client in net.relayers["relayer-1"].clients.values():
        assert net.now_ns - client.newest_ns < 30 * SECOND_NS
        assert 7 <= client.updates <= 14
    here, _ = net.ends()
    net.nodes["a"].transfer(here, 3, "stake", net.now_ns, 3600)
    net.relay_all()


def test_a_client_of_a_halted_chain_is_refreshed_once_it_has_blocks_again() -> None:
    net = opened(trusting_s=60.0)
    here, _ = net.ends()
    client = net.relayers["relayer-1"].clients["a", here.client]
    for _ in range(40):  # of b there is no block to refresh with, although it is time to
        net.tick()
        net.block("a")
        net.settle()
    assert net.now_ns > client.refresh_due_ns
    net.run(3)
    assert net.now_ns < client.refresh_due_ns


def test_a_refresh_that_the_chain_did_not_get_is_tried_again_before_the_next_is_due() -> None:
    net = opened(trusting_s=60.0)
    here, _ = net.ends()
    client = net.relayers["relayer-1"].clients["a", here.client]
    net.until(lambda: client.refresh_due_ns - net.now_ns < 2 * SECOND_NS)
    before = client.latest
    net.cut.add("a")
    net.run(5)
    net.cut.clear()
    net.run(12)
    assert client.latest > before
