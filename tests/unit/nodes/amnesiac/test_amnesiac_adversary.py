"""Adversaries by name and by file: what they are, and what is said of those that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.model.errors import Unfit
from nodes.amnesiac.adversary import FORMAT, LOST, Adversary, Event, from_json, to_json
from nodes.amnesiac.engine import decide
from nodes.amnesiac.generators import GENERATORS, adversary_of
from nodes.amnesiac.graph import Graph

SQUARE = Graph.of(4, [(0, 1), (1, 2), (2, 3), (3, 0)])
TRIANGLE = Graph.of(3, [(0, 1), (0, 2), (1, 2)])
EVENT = {"round": 1, "edge": [0, 1], "delay": 1}


def document(**changes: Any) -> dict[str, Any]:
    graph = {"nodes": 3, "edges": [[0, 1], [1, 2], [2, 0]]}
    return {"format": FORMAT, "graph": graph, "sources": [0], "prefix": 0, "period": 4, "events": [EVENT]} | changes


def events(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [EVENT | change for change in changes]


@pytest.mark.parametrize(
    ("changes", "found", "expected"),
    [
        ({"format": "rdaf"}, "format is 'rdaf'", FORMAT),
        ({"period": 0}, "period is 0", "1 or more"),
        ({"period": 1.5}, "period is 1.5", "whole number"),
        ({"period": True}, "period is True", "whole number"),
        ({"prefix": -1}, "prefix is -1", "0 or more"),
        ({"prefix": 10**6}, "1000004 rounds", "1000000 at most"),
        ({"fifo": 1}, "fifo is 1", "true or false"),
        ({"speed": 2}, "speed is unknown", "period"),
        ({"events": {}}, "events is an object", "a list"),
        ({"events": [7]}, "events[0] is 7", "an object"),
        ({"events": [{"round": 1, "delay": 1}]}, "events[0] has no edge", "round, edge"),
        ({"events": [{"round": 1, "edge": [0, 1]}]}, "events[0] has no effect", "one of delay"),
        ({"events": events({"lost": True})}, "delay and lost", "one of delay"),
        ({"events": [{"round": 1, "edge": [0, 1], "lost": False}]}, "events[0].lost is False", "true"),
        ({"events": events({"delay": -1})}, "events[0].delay is -1", "0 or more"),
        ({"events": events({"delay": 10**9})}, "events[0].delay", "0 to 10000"),
        ({"events": events({"delay": "1 s"})}, "events[0].delay is '1 s'", "whole number"),
        ({"events": events({}, {"round": 2, "edge": [0, 3]})}, "events[1].edge is [0, 3]", "neighbours 1, 2"),
        ({"events": events({"edge": [7, 0]})}, "events[0].edge is [7, 0]", "an edge of the graph"),
        ({"events": events({"edge": [0, 1, 2]})}, "events[0].edge", "two nodes"),
        ({"events": events({"round": 0})}, "events[0].round is 0", "1 to 4"),
        ({"events": events({"round": 5})}, "events[0].round is 5", "1 to 4"),
        ({"events": events({}, {"delay": 2})}, "events[1] decides on 0 to 1 in round 1, as events[0]", "one event"),
        ({"events": [EVENT, {"round": 1, "edge": [1, 0], "removed": True}]}, "events[1] decides", "one event"),
        ({"events": events({"delay": 2}), "fifo": True}, "events[0].delay lets round 2 overtake round 1", "never to"),
        ({"graph": {"nodes": 2, "edges": [[0, 1], [1, 2]]}}, "graph.edges[1] names node 2", "from 0 to 1"),
        ({"graph": {"nodes": 3, "edges": [[0, 1], [1, 0]]}}, "graph.edges[1] joins 1 and 0 once more", "once"),
        ({"graph": {"nodes": 3, "edges": [[1, 1]]}}, "graph.edges[0] joins node 1 to itself", "two nodes"),
        ({"graph": {"nodes": 4, "edges": [[0, 1], [2, 3]]}}, "to 2 of 4 nodes", "a connected graph"),
        ({"graph": {"nodes": 0, "edges": []}}, "graph.nodes is 0", "1 to 100000"),
        ({"graph": {}}, "graph.edges is missing", "a list"),
        ({"graph": 3}, "graph is 3", "an object"),
        ({"sources": []}, "sources is empty", "at least one"),
        ({"sources": [3]}, "sources[0] is 3", "0 to 2"),
        ({"sources": [1, 1]}, "sources[1] is 1 once more", "once"),
        ({"sources": ["0"]}, "sources[0] is '0'", "whole number"),
    ],
)  # fmt: skip
def test_files_that_cannot_be(changes: dict[str, Any], found: str, expected: str) -> None:
    with pytest.raises(ValueError, match="; expected ") as caught:
        from_json(json.dumps(document(**changes)))
    said, _, asked = str(caught.value).partition("; expected ")
    assert found in said
    assert expected in asked


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_what_is_no_file_at_all(text: str) -> None:
    with pytest.raises(ValueError, match="; expected "):
        from_json(text)


def test_a_file_is_read_as_documented() -> None:
    events = [
        {"round": 2, "edge": [2, 1], "delay": 1},
        {"round": 3, "edge": [0, 2], "lost": True},
        {"round": 4, "edge": [0, 1], "removed": True},
    ]
    case = from_json(json.dumps(document(events=events)))
    assert case.graph == TRIANGLE
    assert case.adversary.table == {2: {(2, 1): 1}, 3: {(0, 2): LOST}, 4: {(0, 1): LOST, (1, 0): LOST}}
    assert [case.adversary.phase(round) for round in (1, 4, 5, 8, 9)] == [1, 4, 1, 4, 1]
    assert case.adversary.fate(6, (2, 1)) == 1
    assert case.adversary.fate(6, (1, 2)) == 0
    assert from_json(to_json(case.adversary, TRIANGLE, case.sources)) == case


def test_rounds_of_the_prefix_are_played_once() -> None:
    adversary = Adversary(prefix=3, period=2)
    assert [adversary.phase(round) for round in range(1, 9)] == [1, 2, 3, 4, 5, 4, 5, 4]


def test_a_graph_may_be_a_name_in_a_file() -> None:
    assert from_json(json.dumps(document(graph="cycle:6"))).graph == "cycle:6"


@pytest.mark.parametrize("delay", [0, 1])
def test_messages_that_come_together_do_not_overtake(delay: int) -> None:
    Adversary(period=2, events=(Event(1, (0, 1), delay),), fifo=True).check(SQUARE)


def test_a_slow_edge_is_in_order_although_all_its_messages_are_late() -> None:
    Adversary(period=1, events=(Event(1, (0, 1), 5),), fifo=True).check(SQUARE)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_makes_what_can_be_played_and_filed(name: str) -> None:
    adversary = adversary_of(f"{name}:steps=2" if name == "program" else name, TRIANGLE, [0])
    assert GENERATORS[name].__doc__
    assert from_json(to_json(adversary, TRIANGLE, [0])).adversary == adversary
    assert decide(TRIANGLE, [0], adversary).verdict in ("terminates", "endless")


def test_keys_of_generators() -> None:
    assert adversary_of("late:edge=1-2,round=3,delay=2", SQUARE, [0]).events == (Event(3, (1, 2), 2),)
    assert adversary_of("loss:edge=1>2", SQUARE, [0]).events == (Event(1, (1, 2), lost=True),)
    assert adversary_of("late", SQUARE, [2]).events == (Event(1, (2, 1), 1),)
    one, same, other = (adversary_of(f"random:seed={seed}", SQUARE, [0]) for seed in (3, 3, 4))
    assert one == same != other
    assert adversary_of("random:seed=1,max=1,density=1,prefix=0,period=1", SQUARE, [0]).events == tuple(
        Event(1, edge, 1) for edge in sorted(SQUARE.directed)
    )


@pytest.mark.parametrize(
    ("spec", "found", "expected"),
    [
        ("endles", "no adversary and no file 'endles' (did you mean 'endless'?)", "random"),
        ("", "no adversary", "none"),
        ("late:speed=3", "'speed=3' in the adversary", "late:edge=…,round=…,delay=…"),
        ("late:delay", "'delay' in the adversary", "late:"),
        ("late:delay=1,delay=2", "'delay=2' in the adversary", "late:"),
        ("late:delay=-1", "delay is -1", "0 to"),
        ("late:delay=x", "delay=x", "a whole number"),
        ("late:edge=0", "edge=0", "two nodes such as 0-1"),
        ("late:edge=0-2", "edge is [0, 2]", "neighbours 1, 3"),
        ("late:round=0", "round is 0", "a round of the table"),
        ("fixed:edge=1-3", "events[0].edge is [1, 3]", "an edge of the graph"),
        ("random:density=2", "density is 2.0", "0 to 1"),
        ("random:max=0", "max is 0", "1 or more"),
        ("random:period=0", "period is 0", "1 or more"),
        ("random:prefix=400000", "400006 rounds of 8 messages", "2000000 messages at most"),
        ("program", "needs to know", "steps=10"),
        ("program:steps=1,collatz=3", "needs to know", "one of"),
        ("program:collatz=0", "collatz is 0", "1 or more"),
        ("program:steps=100001", "100001 steps", "0 to 100000"),
        ("none:delay=1", "'delay=1'", "'none' alone"),
    ],
)  # fmt: skip
def test_names_that_cannot_be(spec: str, found: str, expected: str) -> None:
    with pytest.raises(ValueError, match="; expected ") as caught:
        adversary_of(spec, SQUARE, [0])
    said, _, asked = str(caught.value).partition("; expected ")
    assert found in said
    assert expected in asked


def test_a_tree_has_no_endless_schedule() -> None:
    with pytest.raises(ValueError, match="a tree of 3 nodes; expected a graph with a cycle"):
        adversary_of("endless", Graph.of(3, [(0, 1), (1, 2)]), [0])


def test_files_by_path(tmp_path: Path) -> None:
    guard = adversary_of("guard", TRIANGLE, [0])
    (tmp_path / "guard.json").write_text(to_json(guard))
    (tmp_path / "square.json").write_text(to_json(Adversary(), SQUARE, [0]))
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    assert adversary_of("guard.json", TRIANGLE, [0], tmp_path) == guard
    with pytest.raises(
        ValueError, match=r"square\.json: graph of 4 nodes and 4 edges; expected the graph that is played"
    ):
        adversary_of("square.json", TRIANGLE, [0], tmp_path)
    with pytest.raises(ValueError, match=r"bad\.json: "):
        adversary_of("bad.json", TRIANGLE, [0], tmp_path)
    with pytest.raises(ValueError, match=r"guard\.json: events\[1\]\.edge"):
        adversary_of("guard.json", Graph.of(3, [(0, 2), (1, 2)]), [0], tmp_path)


def test_a_key_that_stands_twice_is_told_with_both_halves() -> None:
    with pytest.raises(Unfit) as caught:
        from_json('{"prefix": 1, "prefix": 2}')
    assert caught.value.found == 'key "prefix" stands twice in one object'
    assert caught.value.expected.startswith("each key once, an adversary file")
