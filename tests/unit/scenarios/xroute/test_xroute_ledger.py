"""The audit of chains in memory: what it counts, and that each harm that chains could do fails the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from emulator.model.tables import RecipeOptions
from emulator.record.verdict.judge import evaluate
from nodes.ibc.core.commitments import UNIVERSAL_ERROR
from nodes.ibc.proto.channel_v2 import Acknowledgement
from nodes.ibc.relayer.calls import Block, BlockAt, TransactionsAt
from nodes.xroute.module.messages import Answer
from nodes.xroute.module.terms import Terms
from nodes.xroute.policy.parser import parse
from nodes.xroute.proofs.messages import Mode
from nodes.xroute.routes.graph import Graph
from scenarios.xroute.analysis import summarise
from scenarios.xroute.ledger import Ledger
from scenarios.xroute.recipe import Parameters, compose
from tests.support.xroute_relayed import Net

Doctor = Callable[[Block], Block]
LINE = (("a", "b"), ("b", "c"))
SQUARE = (("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"))
STRONG = "xroute/1; require each transit nakamoto >= 2; limit hops 3"


def carried(edges: tuple[tuple[str, str], ...], *messages: tuple[str, str], **terms: Any) -> Net:
    """Chains between which these messages were carried, and settled."""
    net = Net(edges)
    net.until(net.is_ready)
    for source, destination in messages:
        net.send(source, destination, **{"policy": STRONG} | terms)
    net.step()
    net.until(net.settled, 80)
    net.step()
    return net


def audited(net: Net, doctor: Doctor = lambda block: block, graph: Graph | None = None) -> dict[str, Any]:
    """The figures of a run whose audit read these chains."""
    ledger = Ledger(graph or net.core.network.own)
    for name, node in net.nodes.items():
        for height in range(1, node.chain.height + 1):
            transactions = node.call(TransactionsAt(name, height))
            ledger.read(name, doctor(node.call(BlockAt(name, height))), transactions)
    told = ledger.figures(ledger.acknowledged) | {"violations": len([*ledger.violations()]), "unread_blocks": 0}
    return summarised(told)


def summarised(told: dict[str, Any], *others: tuple[float, str, str, dict[str, Any]]) -> dict[str, Any]:
    """The summary of what the audit has told, and of other events."""
    events = pl.DataFrame(
        [(t_s, node, kind, json.dumps(data)) for t_s, node, kind, data in ((1.0, "a-0", "audit", told), *others)],
        schema={"t_s": pl.Float64, "node": pl.String, "kind": pl.String, "data": pl.String},
        orient="row",
    )
    samples = pl.DataFrame(
        {"node": ["relayer-1", "relayer-1", "relayer-2"], "name": ["rerouted"] * 3, "value": [1.0, 2.0, 1.0]}
    )
    run: Any = SimpleNamespace(events=events, samples=samples)
    return summarise(run)


def failed(summary: dict[str, Any]) -> set[str]:
    """The figures of which the scenario's expectations do not hold."""
    expected = compose(Parameters.model_validate({"baseline": "none"}), RecipeOptions(1, 60.0, "."))["expect"]
    return {each.figure.removeprefix("summary.") for each in evaluate(expected, {"summary": summary}) if not each.holds}


@pytest.fixture(scope="module")
def line() -> Net:
    """Four messages over a transit, and two without one."""
    return carried(LINE, *[("a", "c")] * 3, ("c", "a"), ("a", "b"), ("b", "c"))


def test_what_was_carried_is_counted_once(line: Net) -> None:
    summary = audited(line)
    assert failed(summary) == set()
    assert (summary["sent"], summary["delivered"], summary["acknowledged"]) == (6, 6, 6)
    assert (summary["top_transit"], summary["top_transit_share"], summary["mean_hops"]) == ("b", 0.6667, 1.667)
    assert 0 < summary["p50_ms"] <= summary["p95_ms"]
    assert summary["delivered_per_s"] > 0
    assert summary["rerouted"] == 3


def test_in_mode_hop_a_route_is_put_together_of_what_each_chain_accepted() -> None:
    summary = audited(carried(LINE, ("a", "c"), mode=Mode.HOP, transits=("b",)))
    assert failed(summary) == set()
    assert (summary["delivered"], summary["top_transit"], summary["mean_hops"]) == (1, "b", 2.0)


def test_a_message_of_disjoint_routes_has_all_of_them() -> None:
    summary = audited(carried(SQUARE, ("a", "d"), policy="xroute/1; require disjoint 2"))
    assert (failed(summary), summary["delivered"]) == (set(), 1)


def test_what_a_model_of_proofs_delivered_is_counted_apart(line: Net) -> None:
    opted_in = Terms(minimum={"transfer": parse("xroute/1; require mode {zk-model}")}, model_key=b"oracle")
    net = Net(LINE[:1], terms={"b": opted_in}, model_key=b"oracle")
    net.until(net.is_ready)
    net.send("a", "b", mode=Mode.ZK_MODEL)
    net.step()
    net.until(net.settled, 80)
    net.step()
    summary = audited(net)
    assert (summary["delivered"], summary["delivered_by_model"], net.core.jobs.delivered_by_model) == (1, 1, 1)
    assert "delivered_by_model" not in audited(line)


def test_a_message_that_timed_out_is_settled() -> None:
    net = Net(LINE)
    net.until(net.is_ready)
    net.halted.add("b")
    net.send("a", "c", timeout_s=10)
    for _ in range(15):
        net.step()
    net.halted.clear()
    net.until(net.settled, 80)
    net.step()
    summary = audited(net)
    assert (summary["timed_out"], summary["delivered"]) == (1, 0)
    assert failed(summary) == {"delivered"}


def test_a_transit_that_is_weaker_than_the_chains_said_is_a_violation(line: Net) -> None:
    graph = line.core.network.own
    weak = Graph([replace(each, nakamoto=1) if each.name == "b" else each for each in graph.chains], graph.edges)
    summary = audited(line, graph=weak)
    assert summary["violations"] == 4, "of messages that passed it; not of those that it sent or took"
    assert failed(summary) == {"violations"}


def test_a_route_over_a_client_that_no_chain_has_is_a_violation(line: Net) -> None:
    graph = line.core.network.own
    lacking = Graph(graph.chains, [each for each in graph.edges if each.verifier != line.identities["c"]])
    assert audited(line, graph=lacking)["violations"] == 4, "three from a, and one from b"


def without(kind: str) -> Doctor:
    """Chains that keep the events of a kind of the first message to themselves."""
    return _changed(lambda event: [] if _is(event, kind) else [event])


def twice(kind: str) -> Doctor:
    return _changed(lambda event: [event] * (1 + _is(event, kind)))


def instead(kind: str, other: str) -> Doctor:
    return _changed(lambda event: [replace(event, type=other) if _is(event, kind) else event])


def failing() -> Doctor:
    """The application of the first message's destination answers with an error."""

    def change(event: Any) -> list[Any]:
        if not _is(event, "xroute_answer"):
            return [event]
        answer = Answer(Acknowledgement((UNIVERSAL_ERROR,))).encode().hex()
        return [
            replace(
                event, attributes=tuple((key, answer if key == "answer" else value) for key, value in event.attributes)
            )
        ]

    return _changed(change)


def _is(event: Any, kind: str) -> bool:
    return bool(event.type == kind and ("packet_sequence", "2") in event.attributes)


def _changed(change: Callable[[Any], list[Any]]) -> Doctor:
    def doctor(block: Block) -> Block:
        results = (
            replace(result, events=tuple(each for event in result.events for each in change(event)))
            for result in block.results
        )
        return replace(block, results=tuple(results))

    return doctor


@pytest.mark.parametrize(
    ("doctor", "harms"),
    [
        (without("xroute_deliver"), {"lost"}),
        (without("xroute_acknowledge"), {"stuck"}),
        (without("xroute_send"), {"forged"}),
        (failing(), {"failed"}),
        (twice("xroute_send"), {"duplicated"}),
        (twice("xroute_deliver"), {"duplicated"}),
        (twice("xroute_acknowledge"), {"duplicated"}),
        (instead("xroute_acknowledge", "xroute_timeout"), {"wrongly_refunded"}),
    ],
)
def test_a_doctored_chain_fails_the_run(line: Net, doctor: Doctor, harms: set[str]) -> None:
    assert failed(audited(line, doctor)) == harms


@pytest.mark.parametrize("harm", ["violations", "unread_blocks"])
def test_what_the_audit_tells_fails_the_run(line: Net, harm: str) -> None:
    assert failed(audited(line) | {harm: 1}) == {harm}


def test_a_baseline_has_its_figures_under_its_name() -> None:
    other = {"sent": 5, "delivered": 3, "lost": 0, "busy_s": 2.0}
    summary = summarised({"sent": 5, "delivered": 5, "busy_s": 1.0}, (1.0, "hub-a-0", "audit", other))
    assert (summary["delivered"], summary["delivered_per_s"]) == (5, 5.0)
    assert summary["hub"] == {"sent": 5, "delivered": 3, "lost": 0, "delivered_per_s": 1.5}


def test_the_time_to_another_route_counts_from_the_last_block_before_the_halt() -> None:
    blocks = [
        (t_s, node, "block", {"chain": node, "height": height, "txs": 0, "failed": 0, "panics": 0, "asked_s": 1.0})
        for node, times in (("a-0", (1.0, 2.0, 9.0)), ("b-0", (1.5, 2.5, 3.5, 4.5)))
        for height, t_s in enumerate(times, 1)
    ]
    changes = [
        (1.2, "relayer-1", "rerouted", {}),
        (3.9, "relayer-2", "rerouted", {}),
        (2.1, "hub-relayer-1", "rerouted", {}),
    ]
    assert summarised({}, *blocks, *changes)["reroute_s"] == 1.9
    assert "reroute_s" not in summarised({}, *blocks[3:], *changes)
    assert "reroute_s" not in summarised({}, *blocks, (9.3, "relayer-1", "rerouted", {}))  # the halt is over


def test_a_run_without_an_audit_fails() -> None:
    assert "delivered" in failed({})


def test_clients_that_were_made_since_the_audit_began_are_no_violation() -> None:
    net = carried(LINE, ("a", "c"))
    whole = net.core.network.own
    ledger = Ledger(Graph(whole.chains, ()))
    for name, node in net.nodes.items():
        for height in range(1, node.chain.height + 1):
            ledger.read(name, node.call(BlockAt(name, height)), node.call(TransactionsAt(name, height)))
    assert len([*ledger.violations()]) == 1
    ledger.learn(whole)
    assert not [*ledger.violations()]
