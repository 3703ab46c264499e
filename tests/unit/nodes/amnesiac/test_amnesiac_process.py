"""The flooding node without a network: all nodes of a graph joined by a loop, their records read as those of a run."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest

from emulator.record.load import Run
from emulator.runtime.programs.node_runner import configure
from emulator.scenario import Scenario, load
from emulator.scenario.toml.writer import scenario_toml
from emulator.sdk.node import Peer
from emulator.sdk.rounds import Arrival
from nodes.amnesiac.adversary import LOST, Adversary
from nodes.amnesiac.generators import adversary_of
from nodes.amnesiac.graph import Graph
from nodes.amnesiac.process import Flood
from scenarios.amnesiac.analysis import figures, summarise
from topologies.graph import graph_of

Act = Callable[[int, list[Arrival]], None]


class Medium:
    """Carries messages between rounds as the adversary says, and keeps the events of all nodes."""

    def __init__(self, adversary: Adversary) -> None:
        self.adversary = adversary
        self.acts: dict[str, Act] = {}
        self.last = 0
        self.arrivals: dict[tuple[int, str], list[Arrival]] = defaultdict(list)
        self.events: list[tuple[float, str, str, str, str]] = []

    def play(self) -> None:
        for round in range(1, self.last + 1):
            for name, act in self.acts.items():
                act(round, self.arrivals[round - 1, name])

    def carry(self, sender: str, to: str, round: int, due: int) -> None:
        fate = self.adversary.fate(round, (int(sender[1:]), int(to[1:])))
        if fate != LOST:
            arrived = round + fate
            self.arrivals[arrived, to].append(Arrival(sender, round, due, arrived, b"M", 0.0))


class Socket:
    """A RoundSocket whose rounds the medium plays."""

    refused = 0

    def __init__(self, medium: Medium, name: str) -> None:
        self.medium, self.name = medium, name

    async def play(self, first: int, last: int, act: Act) -> None:
        assert first == 1
        self.medium.acts[self.name] = act
        self.medium.last = last

    def send(self, peer: str, round: int, due: int, payload: bytes) -> bool:
        self.medium.carry(self.name, peer, round, due)
        return True

    def close(self) -> None:
        pass


class Context:
    def __init__(self, medium: Medium, name: str, peers: list[str]) -> None:
        self.medium, self.name = medium, name
        self.peers = {peer: Peer(peer, "host", "") for peer in peers if peer != name}

    def emit(self, kind: str, **fields: Any) -> None:
        self.medium.events.append((0.0, self.name, "flood", kind, json.dumps(fields)))


def played(scenario: Scenario, medium: Medium) -> Run:
    """The scenario's programs in one process, and what they recorded as a run."""
    document = tomllib.loads(scenario_toml(scenario))
    (program,) = scenario.programs
    names = sorted({name for edge in document["program"][0]["config"]["edges"] for name in edge})
    nodes = []
    for name in names:
        context: Any = Context(medium, name, names)
        node = Flood(configure(Flood.Config, program.config_values), context)
        node.socket = Socket(medium, name)  # type: ignore[assignment]
        asyncio.run(node.run())
        nodes.append(node)
    medium.play()
    for node in nodes:
        node._tell()
    run = Run(Path(), scenario_toml(scenario), None)
    columns = ["t_s", "node", "program", "kind", "data"]
    run.__dict__["events"] = polars.DataFrame(medium.events, schema=columns, orient="row")
    return run


def amnesiac(graph: str, adversary: str, *more: str) -> tuple[Scenario, Adversary]:
    scenario = load("amnesiac", overrides=(f"graph={graph}", f"adversary={adversary}", *more))
    found = graph_of(graph, scenario.seed, ".")
    return scenario, adversary_of(adversary, Graph.of(len(found), list(found.edges)), [0])


CASES = [
    ("petersen", "none"),
    ("petersen", "endless"),
    ("petersen", "random:seed=3,density=0.4,max=4"),
    ("cycle:6", "late"),
    ("cycle:6", "loss"),
    ("cycle:6", "removed"),
    ("cycle:7", "late:delay=3"),
    ("cycle:3", "guard"),
    ("cycle:3", "program:collatz=27"),
    ("karate", "none"),
    ("grid:4x4", "fixed:delay=3"),
]


@pytest.mark.parametrize(("graph", "adversary"), CASES)
def test_what_is_predicted_is_what_the_nodes_do(graph: str, adversary: str) -> None:
    scenario, table = amnesiac(graph, adversary)
    summary = summarise(played(scenario, Medium(table)))
    assert {name: summary.get(name) for name in scenario.prediction} == scenario.prediction
    assert summary["round_fidelity"] == 1.0
    assert summary["trace_equal"]


def test_an_adversary_that_was_not_foreseen_shows() -> None:
    """One late message that the prediction knows nothing of: the verdict turns, and fidelity says why."""
    scenario, _ = amnesiac("cycle:6", "none")
    _, late = amnesiac("cycle:6", "late")
    summary = summarise(played(scenario, Medium(late)))
    assert summary["predicted"] == "terminates at round 3, 6 messages"
    assert summary["observed"] == "still flooding after 6 rounds"
    assert not summary["terminates"]
    assert not summary["trace_equal"]
    assert summary["round_fidelity"] == pytest.approx(10 / 11)


def test_an_odd_cycle_is_found_where_there_is_one() -> None:
    for graph, odd in (("petersen", True), ("cycle:6", False)):
        scenario, table = amnesiac(graph, "none")
        summary = summarise(played(scenario, Medium(table)))
        assert summary["odd_cycle_found"] is odd
        assert summary["receptions_max"] == 1 + odd


def test_rounds_may_be_fewer_than_needed() -> None:
    """What a short run cannot show is not predicted of it."""
    scenario, table = amnesiac("petersen", "endless", "last_round=20")
    assert set(scenario.prediction) == {"messages", "trace"}
    summary = summarise(played(scenario, Medium(table)))
    assert summary["trace_equal"]
    assert summary["predicted"] == "more rounds than are played"


@pytest.mark.parametrize(
    ("graph", "adversary", "names"),
    [
        ("petersen", "none", ["space-time"]),
        ("cycle:6", "loss", ["space-time", "verdict-map"]),
        ("cycle:3", "program:steps=2", ["space-time", "verdict-map", "program-line"]),
    ],
)
def test_drawings_of_a_run(graph: str, adversary: str, names: list[str]) -> None:
    from emulator.report.drawing import svg

    scenario, table = amnesiac(graph, adversary)
    made = figures(played(scenario, Medium(table)))
    assert [drawing.name for drawing in made] == names
    assert all("<svg" in svg(drawing.figure) for drawing in made)


def test_strangers_are_not_heard() -> None:
    """A message by a node that is no neighbour is counted and changes nothing."""
    medium = Medium(Adversary())
    context: Any = Context(medium, "n0", ["n0", "n1", "n2"])
    node = Flood(Flood.Config(edges=[("n0", "n1")], sources=[], rounds=3, slot_s=0.04), context)
    node.socket = Socket(medium, "n0")  # type: ignore[assignment]
    asyncio.run(node.run())
    medium.acts["n0"](2, [Arrival("n2", 1, 1, 1, b"M", 0.0)])
    node._tell()
    records = [(kind, json.loads(data)) for _, _, _, kind, data in medium.events]
    assert records == [
        ("flood", {"round": 2, "to": [], "heard": [], "received": 1, "in_slot": 1}),
        ("flood-refused", {"count": 1}),
    ]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"rounds": 0}, "rounds 0"),
        ({"slot_s": 0.0}, "`slot` is 0"),
        ({"port": 70000}, "port 70000"),
        ({"period": 0}, "period 0"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], found: str) -> None:
    settings: dict[str, Any] = {"edges": [], "sources": [], "rounds": 3, "slot_s": 0.04} | changes
    with pytest.raises(ValueError, match=f"{found}.*; expected "):
        Flood.Config(**settings)
