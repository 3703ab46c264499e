"""The metrics of a relayer: each has Hermes' name and labels, and the value that the chains know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nodes.ibc.relayer.meter import Latencies
from nodes.ibc.relayer.metrics import page, readings
from tests.support.ibc_chain import FUNDS, address
from tests.support.ibc_relayed import Node, World

QUERIES = {("a", "status"): 3, ("b", "abci_query"): 5}
RECONNECTS = {"a": 0, "b": 2}
Value = tuple[str, dict[str, str], float]


def values(net: World) -> Iterator[Value]:
    """What a Prometheus reads."""
    relayer = net.relayers["relayer-1"]
    text = page(relayer, readings(relayer, QUERIES, RECONNECTS))
    for family in text_string_to_metric_families(text):
        assert family.documentation
        yield from ((sample.name, dict(sample.labels), sample.value) for sample in family.samples)


def value(net: World, name: str, **labels: str) -> float:
    """The one value of a name that has these labels among its own."""
    (found,) = [each for its, own, each in values(net) if its == name and labels.items() <= own.items()]
    return found


BOTH = pytest.mark.parametrize("path", ["a b", "a b v1 transfer"])


def opened(path: str) -> World:
    net = World({name: Node(name) for name in "ab"}, (path,))
    net.start("relayer-1")
    net.until(net.is_open)
    return net


@BOTH
def test_what_waits_is_the_backlog_of_its_end(path: str) -> None:
    net = opened(path)
    here, there = net.ends()
    labels = {"chain": "a-1", "counterparty": "b-1", "channel": here.channel or here.client, "port": here.port}
    assert value(net, "backlog_size", **labels) == 0
    assert value(net, "backlog_oldest_sequence", **labels) == 0
    net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.relay_all()
    net.cut.add("b")
    for _ in range(3):
        net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.step()
    assert value(net, "backlog_size", **labels) == 3
    assert value(net, "backlog_oldest_sequence", **labels) == 2
    assert value(net, "backlog_size", chain="b-1", port=there.port) == 0


@BOTH
def test_updates_of_clients_and_those_that_were_spared_are_counted(path: str) -> None:
    net = opened(path)
    here, there = net.ends()
    net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.relay_all()
    client = net.relayers["relayer-1"].clients["b", there.client]
    labels = {"src_chain": "a-1", "dst_chain": "b-1", "client": there.client}
    before = value(net, "client_updates_submitted_total", **labels)
    assert before == client.updates > 0
    assert value(net, "client_updates_skipped_total", **labels) == client.spared
    net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.relay_all()
    assert value(net, "client_updates_submitted_total", **labels) > before
    assert 0 <= value(net, "client_age_s", **labels) <= 10


@BOTH
def test_latencies_are_from_the_sight_of_a_packet_to_its_transaction(path: str) -> None:
    net = opened(path)
    here, _ = net.ends()
    net.relayers["relayer-1"].meter.take()
    net.nodes["a"].transfer(here, 1, "stake", net.now_ns, 3600)
    net.relay_all()
    labels = {"chain": "b-1", "counterparty": "a-1"}
    assert value(net, "tx_latency_submitted_count", **labels) == 1
    assert value(net, "tx_latency_confirmed_count", **labels) == 1
    submitted_ms, confirmed_ms = (
        value(net, f"tx_latency_{stage}_sum", **labels) for stage in ("submitted", "confirmed")
    )
    assert 0 <= submitted_ms < confirmed_ms <= 5_000  # blocks are a second apart
    assert value(net, "tx_latency_confirmed_bucket", **labels, le="20000") == 1
    assert value(net, "tx_latency_confirmed_bucket", **labels, le="+Inf") == 1
    taken = net.relayers["relayer-1"].meter.take()
    assert {name for name, _, _ in taken} == {"stage_s", "tx_latency_submitted", "tx_latency_confirmed"}
    assert {key for name, _, key in taken if name == "stage_s"} == {"event", "proof", "submitted", "confirmed"}
    assert not net.relayers["relayer-1"].meter.take()


@BOTH
def test_what_the_connections_count_is_told(path: str) -> None:
    net = opened(path)
    assert value(net, "queries_total", chain="a-1", query_type="status") == 3
    assert value(net, "queries_total", chain="b-1", query_type="abci_query") == 5
    assert value(net, "ws_reconnect_total", chain="b-1") == 2


@BOTH
def test_the_balance_of_each_account_is_asked_for(path: str) -> None:
    net = opened(path)
    net.run(12)
    assert value(net, "wallet_balance", chain="a-1", account=address("relayer-1"), denom="stake") == FUNDS
    net.nodes["a"].pay("alice", "relayer-1", 5)
    net.run(12)
    assert value(net, "wallet_balance", chain="a-1") == FUNDS + 5
    assert value(net, "wallet_balance", chain="b-1") == FUNDS


def test_a_latency_is_counted_in_its_class() -> None:
    found = Latencies(1000)
    for length_ms in (0, 100, 101, 999, 1000, 1001):
        found.add(length_ms)
    assert found.bounds_ms == list(range(100, 1001, 100))
    assert found.counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1]
