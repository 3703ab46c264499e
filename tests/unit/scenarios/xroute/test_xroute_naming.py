"""Policies by names as the audit judges them: by what the registry's blocks say, whatever was proved to a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nodes.ibc.core.events import Event, event
from nodes.ibc.relayer.calls import BlockAt, TransactionsAt
from nodes.xroute.names.record import REVOKED, Record, identity_of
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.parser import parse
from scenarios.xroute.ledger import Ledger
from scenarios.xroute.naming import Naming
from tests.support.xroute_named import OVER_C, NamedNet
from tests.support.xroute_names import chain_record

A = chain_record("a.mesh", ttl_s=20)
OTHER = replace(A, seq=2, chain_id="other-1")
S = 10**9


def written(record: Record) -> Event:
    return event("xname_record", action="update", name=record.name, record_hex=record.encode().hex())


def naming(*versions: tuple[int, Record]) -> Naming:
    made = Naming()
    for time_s, record in versions:
        made.saw(written(record), time_s * S)
    return made


def route_over(record: Record) -> RouteAttributes:
    hops = HopAttributes(identity_of(record)), HopAttributes(identity_of(replace(record, chain_id="source-1")))
    return RouteAttributes(hops)


@pytest.mark.parametrize(
    ("time_s", "by_first", "by_second"),
    [(5, False, False), (15, True, False), (35, True, True), (49, True, True), (51, False, True)],
)
def test_a_version_counts_until_its_ttl_after_the_next_one(time_s: int, by_first: bool, by_second: bool) -> None:
    made, policy = naming((10, A), (30, OTHER)), parse("xroute/1; require each transit in {a.mesh}")
    found = [made.failing(policy, route_over(each), time_s * S) is None for each in (A, OTHER)]
    assert found == [by_first, by_second]


def test_a_name_of_no_chain_satisfies_nothing() -> None:
    policy = parse("xroute/1; require each transit not in {a.mesh}")
    assert naming().failing(policy, route_over(A), S) == 0
    revoked = naming((10, A), (30, replace(A, seq=2, flags=REVOKED)))
    assert revoked.failing(policy, route_over(OTHER), 40 * S) is None
    assert revoked.failing(policy, route_over(OTHER), 60 * S) == 0
    assert revoked.figures == {"names": 1, "names_renewed": 1}


@pytest.fixture(scope="module")
def net() -> NamedNet:
    made = NamedNet()
    made.carry(OVER_C, 2)
    return made


def audited(net: NamedNet, doctor: Callable[[Event], Event] = lambda event: event) -> tuple[Ledger, dict[str, object]]:
    """What an audit finds that reads these chains, their events changed by a doctor."""
    ledger = Ledger(net.core.network.own, "r")
    for name, node in net.nodes.items():
        for height in range(1, node.chain.height + 1):
            block = node.call(BlockAt(name, height))
            results = tuple(replace(each, events=tuple(map(doctor, each.events))) for each in block.results)
            ledger.read(name, replace(block, results=results), node.call(TransactionsAt(name, height)))
    return ledger, ledger.figures(ledger.acknowledged)


def test_messages_that_names_decided_are_counted(net: NamedNet) -> None:
    ledger, figures = audited(net)
    assert [*ledger.violations()] == []
    assert (figures["names"], figures["names_renewed"], figures["by_name"]) == (2, 0, 2)


def test_a_route_over_a_chain_that_the_registry_calls_otherwise_is_a_violation(net: NamedNet) -> None:
    def moved(each: Event) -> Event:
        held = net.held("c.mesh")
        return written(replace(held, chain_id="other-1")) if each.type == "xname_record" else each

    ledger, _ = audited(net, moved)
    assert [each.reason for each in ledger.violations()] == ["clause 0"] * 2
