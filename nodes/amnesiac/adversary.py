"""Eventually periodic adversaries: which messages are late, lost, or find their edge removed, round by round.

Invariant: rounds count from 1. Rounds 1…prefix of the table are played once, rounds prefix+1…prefix+period again and
again. An event concerns messages *sent* in its round; messages already under way are left alone.

As a file (JSON; `graph` and `sources` are needed by `skyloom algo rdaf decide` only):

    {"format": "skyloom-adversary/1",
     "graph": {"nodes": 3, "edges": [[0, 1], [1, 2], [2, 0]]},    or a name: "cycle:6"
     "sources": [0],
     "prefix": 0, "period": 4,
     "fifo": false,                                               true: refuse schedules in which messages overtake
     "events": [{"round": 2, "edge": [2, 1], "delay": 1},         sent 2 to 1 in round 2: received in round 3, not 2
                {"round": 3, "edge": [0, 2], "lost": true},
                {"round": 4, "edge": [0, 1], "removed": true}]}   both directions
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from emulator.model.errors import Unfit, found_and_expected
from emulator.model.inputs import parse_json
from nodes.amnesiac.graph import Edge, Graph, check_sources

FORMAT = "skyloom-adversary/1"
LOST = -1  # stands for a delay
MAX_ROUNDS = 1_000_000  # of prefix and period together
MAX_DELAY = 10_000  # rounds
MOST_NAMED = 20  # neighbours in an error


@dataclass(frozen=True, slots=True)
class Event:
    """What happens to the messages that one edge takes up in one round of the table."""

    round: int
    edge: Edge  # from, to
    delay: int = 0  # whole rounds beside the round in which it was sent
    lost: bool = False
    removed: bool = False  # the edge, so messages of both directions

    def fates(self) -> list[tuple[Edge, int]]:
        """The directed edges concerned, each with the delay of its message, or LOST."""
        a, b = self.edge
        if self.removed:
            return [((a, b), LOST), ((b, a), LOST)]
        return [((a, b), LOST if self.lost else self.delay)]


@dataclass(frozen=True)
class Adversary:
    """An eventually periodic table of events. `check` says whether it fits a graph."""

    prefix: int = 0
    period: int = 1
    events: tuple[Event, ...] = ()
    fifo: bool = False  # whether messages of one direction must arrive in the order of sending, as over TCP

    def phase(self, round: int) -> int:
        """The round of the table that holds in a round of the run."""
        if round <= self.prefix:
            return round
        return self.prefix + 1 + (round - self.prefix - 1) % self.period

    @cached_property
    def table(self) -> dict[int, dict[Edge, int]]:
        """By round of the table and directed edge: the delay of the message sent then, or LOST."""
        table: dict[int, dict[Edge, int]] = {}
        for event in self.events:
            table.setdefault(event.round, {}).update(event.fates())
        return table

    def fate(self, round: int, edge: Edge) -> int:
        """Delay in rounds of the message sent over a directed edge in a round of the run, or LOST."""
        return self.table.get(self.phase(round), {}).get(edge, 0)

    @property
    def max_delay(self) -> int:
        return max((event.delay for event in self.events), default=0)

    def check(self, graph: Graph) -> Adversary:
        """Itself. ValueError, with the JSON path, for whatever cannot be on this graph."""
        self._check_rounds()
        seen: dict[tuple[int, Edge], int] = {}
        for place, event in enumerate(self.events):
            self._check_event(place, event, graph)
            for edge, _fate in event.fates():
                before = seen.setdefault((event.round, edge), place)
                if before != place:
                    found = f"events[{place}] decides on {edge[0]} to {edge[1]} in round {event.round}"
                    raise Unfit(f"{found}, as events[{before}] does", "one event at most")
        if self.fifo:
            self._check_order()
        return self

    def _check_rounds(self) -> None:
        if self.prefix < 0:
            raise Unfit(f"prefix is {self.prefix}", "0 or more rounds")
        if self.period < 1:
            raise Unfit(f"period is {self.period}", "1 or more rounds (1, without events in it: nothing more)")
        if self.prefix + self.period > MAX_ROUNDS:
            found = f"prefix and period make {self.prefix + self.period} rounds"
            raise Unfit(found, f"{MAX_ROUNDS} at most")

    def _check_event(self, place: int, event: Event, graph: Graph) -> None:
        last = self.prefix + self.period
        if not 1 <= event.round <= last:
            raise Unfit(f"events[{place}].round is {event.round}", f"a round of the table, 1 to {last}")
        if event.edge not in graph.directed:
            a, b = event.edge
            names = graph.neighbours[a] if 0 <= a < graph.nodes else ()
            near = ", ".join(map(str, names[:MOST_NAMED])) + " …" * (len(names) > MOST_NAMED)
            expected = f"an edge of the graph ({a} has the neighbours {near})" if near else "an edge of the graph"
            raise Unfit(f"events[{place}].edge is [{a}, {b}]", expected)
        if not 0 <= event.delay <= MAX_DELAY:
            raise Unfit(f"events[{place}].delay is {event.delay}", f"0 to {MAX_DELAY} whole rounds")
        if (event.delay > 0) + event.lost + event.removed > 1:
            raise Unfit(f"events[{place}] has several effects", "one of delay, lost, removed")

    def _check_order(self) -> None:
        """Round of arrival must not fall from one message of a direction to the next."""
        decided: dict[Edge, list[tuple[int, int, int]]] = {}  # by edge: round of the run, fate, place of its event
        for place, event in enumerate(self.events):
            again = event.round > self.prefix  # two periods show each message beside the one after it
            for edge, fate in event.fates():
                rows = decided.setdefault(edge, [])
                rows += [(event.round + turn * self.period, fate, place) for turn in range(1 + again)]
        for edge, rows in decided.items():
            rows.sort()
            if rows[-1][0] <= self.prefix:
                rows.append((self.prefix + self.period + 1, LOST, -1))  # after its last event all are on time
            sent = due = looked_at = 0  # round and arrival of the latest message; the round looked at before
            by = -1  # place of its event
            for round, fate, place in rows:
                on_time = looked_at + 1  # the first message between the two, if there is any
                for later, arrival in ((on_time, on_time if on_time < round else due), (round, round + fate)):
                    if arrival < due and (later < round or fate != LOST):
                        found = f"events[{by}].delay lets round {later} overtake round {sent}"
                        raise Unfit(
                            f"{found} on {edge[0]} to {edge[1]}", "round + delay never to fall, since `fifo` is true"
                        )
                if fate != LOST:
                    sent, due, by = round, round + fate, place
                looked_at = round


@dataclass(frozen=True)
class Case:
    """What an adversary file holds. `graph` may be a name, to be resolved by who knows names, or not be there."""

    adversary: Adversary
    graph: Graph | str | None = None
    sources: tuple[int, ...] = field(default=(0,))


def to_json(adversary: Adversary, graph: Graph | None = None, sources: Sequence[int] = ()) -> str:
    """The file that `from_json` reads back to the same case."""
    document: dict[str, Any] = {"format": FORMAT}
    if graph is not None:
        document["graph"] = {"nodes": graph.nodes, "edges": graph.edges}
        document["sources"] = list(sources)
    document |= {"prefix": adversary.prefix, "period": adversary.period, "fifo": adversary.fifo}
    head = json.dumps(document)[:-1]
    lines = [json.dumps(_plain(event)) for event in adversary.events]
    body = "\n  " + ",\n  ".join(lines) + "\n" if lines else ""
    return f'{head}, "events": [{body}]}}\n'


def _plain(event: Event) -> dict[str, Any]:
    effect = {"removed": True} if event.removed else {"lost": True} if event.lost else {"delay": event.delay}
    return {"round": event.round, "edge": list(event.edge), **effect}


def from_json(text: str) -> Case:
    """Read a file. ValueError says what was found where, and what was wanted.

    Where the file holds its graph, adversary and sources are checked against it; else that is left to the caller.
    """
    try:
        document = parse_json(text)
    except ValueError as error:
        found, expected = found_and_expected(error)
        raise Unfit(found, f"{expected}, an adversary file of the format {FORMAT}") from None
    top = _table(document, "", {"format", "graph", "sources", "prefix", "period", "fifo", "events", "name"})
    if top.get("format") != FORMAT:
        raise Unfit(f"format is {top.get('format')!r}", f"{FORMAT!r}")
    fifo = top.get("fifo", False)
    if not isinstance(fifo, bool):
        raise Unfit(f"fifo is {fifo!r}", "true or false")
    events = tuple(
        _event(item, f"events[{place}]") for place, item in enumerate(_list(top.get("events", []), "events"))
    )
    adversary = Adversary(_whole(top.get("prefix", 0), "prefix"), _whole(top.get("period", 1), "period"), events, fifo)
    graph = top.get("graph")
    if graph is not None and not isinstance(graph, str):
        graph = _graph(_table(graph, "graph", {"nodes", "edges"}))
    sources = tuple(
        _whole(item, f"sources[{place}]") for place, item in enumerate(_list(top.get("sources", [0]), "sources"))
    )
    if isinstance(graph, Graph):
        adversary.check(graph)
        check_sources(graph, sources)
    return Case(adversary, graph, sources)


def _graph(table: dict[str, Any]) -> Graph:
    edges = [
        _pair(item, f"graph.edges[{place}]") for place, item in enumerate(_list(table.get("edges"), "graph.edges"))
    ]
    nodes = _whole(table["nodes"], "graph.nodes") if "nodes" in table else max(map(max, edges), default=0) + 1
    try:
        return Graph.of(nodes, edges)
    except ValueError as error:
        raise ValueError(f"graph.{error}") from None


def _event(item: Any, path: str) -> Event:
    table = _table(item, path, {"round", "edge", "delay", "lost", "removed"})
    for key in ("round", "edge"):
        if key not in table:
            raise Unfit(f"{path} has no {key}", "round, edge and one of delay, lost, removed")
    effects = [key for key in ("delay", "lost", "removed") if key in table]
    if len(effects) != 1:
        raise Unfit(f"{path} has {' and '.join(effects) or 'no effect'}", "one of delay, lost, removed")
    for key in ("lost", "removed"):
        if table.get(key, True) is not True:
            raise Unfit(f"{path}.{key} is {table[key]!r}", "true, or no such key")
    delay = _whole(table.get("delay", 0), f"{path}.delay")
    if delay < 0:
        raise Unfit(f"{path}.delay is {delay}", "0 or more whole rounds")
    edge = _pair(table["edge"], f"{path}.edge")
    return Event(_whole(table["round"], f"{path}.round"), edge, delay, "lost" in table, "removed" in table)


def _table(value: Any, path: str, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit(f"{path or 'the file'} is {_kind(value)}", f"an object with {', '.join(sorted(allowed))}")
    for key in value:
        if key not in allowed:
            raise Unfit(f"{f'{path}.' if path else ''}{key} is unknown", f"{', '.join(sorted(allowed))}")
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit(f"{path} is {_kind(value)}", "a list")
    return value


def _whole(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unfit(f"{path} is {_kind(value)}", "a whole number")
    return value


def _pair(value: Any, path: str) -> Edge:
    if not isinstance(value, list) or len(value) != 2:
        raise Unfit(f"{path} is {_kind(value)}", "two nodes such as [2, 1]")
    return _whole(value[0], f"{path}[0]"), _whole(value[1], f"{path}[1]")


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list of another form"
    return repr(value)[:60]
