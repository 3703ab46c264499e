"""Adversaries by name: "none", "late:edge=0-1,round=2", "random:seed=3,max=2", or a schedule file.

Invariant: the same text on the same graph gives the same adversary, always. `GENERATORS` lists the names; what each
function takes after `graph` and `sources` are its keys. An edge is written "0-1" (or "0>1"), from node 0 to node 1.
"""

from __future__ import annotations

import inspect
import random as randomness
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from emulator.model.errors import Unfit
from emulator.model.inputs import read_text
from nodes.amnesiac.adversary import Adversary, Case, Event, from_json
from nodes.amnesiac.graph import Edge, Graph, check_sources

MAX_STEPS = 100_000  # of a halting program
MAX_MESSAGES = 2_000_000  # of a random table


def none(graph: Graph, sources: Sequence[int]) -> Adversary:
    """Nothing is late."""
    return Adversary()


def fixed(graph: Graph, sources: Sequence[int], edge: Edge | None = None, delay: int = 1) -> Adversary:
    """One edge is slow for ever, in both directions: its messages take 1 + delay rounds."""
    a, b = edge or _first_edge(graph, sources)
    return Adversary(events=(Event(1, (a, b), delay), Event(1, (b, a), delay)))


def late(graph: Graph, sources: Sequence[int], edge: Edge | None = None, round: int = 1, delay: int = 1) -> Adversary:
    """One message is late, once."""
    return Adversary(prefix=round, events=(Event(round, edge or _first_edge(graph, sources), delay),))


def loss(graph: Graph, sources: Sequence[int], edge: Edge | None = None, round: int = 1) -> Adversary:
    """One message is lost, once."""
    return Adversary(prefix=round, events=(Event(round, edge or _first_edge(graph, sources), lost=True),))


def removed(graph: Graph, sources: Sequence[int], edge: Edge | None = None) -> Adversary:
    """One edge is not there from the begin, in either direction; its nodes do not know."""
    return Adversary(events=(Event(1, edge or _first_edge(graph, sources), removed=True),))


def random(
    graph: Graph, sources: Sequence[int], seed: int = 1, max: int = 2, density: float = 0.2, prefix: int = 4,
    period: int = 6,
) -> Adversary:  # fmt: skip
    """Each message of the table is late with chance `density`, by 1 to `max` rounds."""
    if max < 1:
        raise Unfit(f"max is {max}", "1 or more rounds")
    if not 0 <= density <= 1:
        raise Unfit(f"density is {density}", "0 to 1")
    Adversary(prefix, period).check(graph)
    edges = sorted(graph.directed)
    if (prefix + period) * len(edges) > MAX_MESSAGES:
        found = f"prefix and period make {prefix + period} rounds of {len(edges)} messages"
        raise Unfit(found, f"a table of {MAX_MESSAGES} messages at most")
    chance = randomness.Random(f"amnesiac/{seed}")
    rounds = range(1, prefix + period + 1)
    hit = [(round, edge) for round in rounds for edge in edges if chance.random() < density]
    return Adversary(prefix, period, tuple(Event(round, edge, chance.randint(1, max)) for round, edge in hit))


def guard(graph: Graph, sources: Sequence[int]) -> Adversary:
    """On a triangle 0, 1, 2 with source 0: holds 2 to 1 in rounds 2 mod 4 and 0 to 1 in rounds 0 mod 4. Never ends."""
    return Adversary(period=4, events=(Event(2, (2, 1), 1), Event(4, (0, 1), 1)))


def endless(graph: Graph, sources: Sequence[int]) -> Adversary:
    """On any graph with a cycle: a schedule that never lets flooding end and delays one edge a round, by one round.

    With the cycle c0…c(L-1), c0 nearest to the source and first reached in round r0 - 1, only the message from c(i+2)
    to c(i+1) in round r0 + i is late. So c(i+1) hears c(i) alone, and one token runs round the cycle. Derived.
    """
    cycle = graph.cycle()
    length = len(cycle)
    distance = graph.distances(sources)
    start = min(range(length), key=lambda place: distance[cycle[place]])
    cycle = cycle[start:] + cycle[:start]
    first = distance[cycle[0]] + 1
    events = [
        Event((first + step - 1) % length + 1, (cycle[(step + 2) % length], cycle[(step + 1) % length]), 1)
        for step in range(length)
    ]
    return Adversary(period=length, events=tuple(sorted(events, key=lambda event: event.round)))


def program(graph: Graph, sources: Sequence[int], steps: int | None = None, collatz: int | None = None) -> Adversary:
    """The guard of the triangle while a program runs, a step in four rounds; flooding ends in round 4·steps + 3.

    The program halts after `steps` steps, or is Collatz's rule from a number until it reaches 1. The paper's proof that
    termination cannot be decided lets any program take this place.
    """
    if (steps is None) == (collatz is None):
        raise Unfit("program needs to know what runs", "one of steps=10 and collatz=27")
    count = steps if steps is not None else _collatz_steps(collatz or 0)
    if not 0 <= count <= MAX_STEPS:
        raise Unfit(f"program runs for {count} steps", f"0 to {MAX_STEPS}")
    events = []
    for step in range(count):
        events += [Event(4 * step + 2, (2, 1), 1), Event(4 * step + 4, (0, 1), 1)]
    return Adversary(prefix=4 * count, events=tuple(events))


def _collatz_steps(number: int) -> int:
    if number < 1:
        raise Unfit(f"collatz is {number}", "1 or more")
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def _first_edge(graph: Graph, sources: Sequence[int]) -> Edge:
    """From the first source to its first neighbour."""
    source = sources[0]
    if not graph.neighbours[source]:
        raise Unfit(f"node {source} has no neighbours", "a graph with edges")
    return source, graph.neighbours[source][0]


GENERATORS: dict[str, Callable[..., Adversary]] = {
    each.__name__: each for each in (none, fixed, late, loss, removed, random, guard, endless, program)
}  # fmt: skip


def adversary_of(spec: str, graph: Graph, sources: Sequence[int], directory: str | Path = ".") -> Adversary:
    """The adversary that a text names: "name:key=value,key=value", or a schedule file, relative to `directory`.

    ValueError ("<found>; expected <allowed>") for what is unknown, malformed, or does not fit the graph.
    """
    check_sources(graph, sources)
    name, _, rest = spec.partition(":")
    if name not in GENERATORS:
        return _from_file(spec, graph, directory)
    make = GENERATORS[name]
    keys = list(inspect.signature(make).parameters)[2:]
    expected = f"{name}:" + ",".join(f"{key}=…" for key in keys) if keys else f"{name!r} alone"
    values = {}
    for part in filter(None, rest.split(",")):
        key, equals, text = part.partition("=")
        if not equals or key not in keys or key in values:
            raise Unfit(f"{part!r} in the adversary {spec!r}", expected)
        values[key] = _value(key, text)
    try:
        return make(graph, sources, **values).check(graph)
    except ValueError as error:
        raise ValueError(f"adversary {spec!r}: {error}") from None


def _value(key: str, text: str) -> int | float | Edge:
    try:
        if key == "edge":
            match = re.fullmatch(r"(\d+)[->](\d+)", text)
            if not match:
                raise ValueError
            return int(match[1]), int(match[2])
        return float(text) if key == "density" else int(text)
    except ValueError:
        expected = {"edge": "two nodes such as 0-1", "density": "a number from 0 to 1"}.get(key, "a whole number")
        raise Unfit(f"{key}={text}", expected) from None


def _from_file(spec: str, graph: Graph, directory: str | Path) -> Adversary:
    path = Path(directory) / spec
    if not path.is_file():
        close = get_close_matches(spec.partition(":")[0], GENERATORS, 1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise Unfit(f"no adversary and no file {spec!r}{hint}", f"{', '.join(GENERATORS)}, or a JSON file")
    case = read_case(path)
    if isinstance(case.graph, Graph) and case.graph != graph:
        found = f"{path}: graph of {case.graph.nodes} nodes and {len(case.graph.edges)} edges"
        raise Unfit(found, "the graph that is played, or no graph in the file")
    try:
        return case.adversary.check(graph)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_case(path: Path) -> Case:
    """What a schedule file holds. ValueError names the file, and the place in it."""
    try:
        return from_json(read_text(path))
    except OSError as error:
        raise Unfit(f"{path}: {error.strerror}", "an adversary file") from None
    except UnicodeDecodeError as error:
        raise Unfit(f"{path}: byte {error.start} is no UTF-8", "an adversary file") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
