"""Recipe of the scenario `amnesiac`: graph and adversary become link schedules, and the outcome is predicted.

Invariant: what runs and what is predicted come from one adversary. The links make its delays (slot r of the links is
round r), the nodes know them only to say when each message is due, and the prediction is of the offline engine.
"""

from __future__ import annotations

from typing import Any

from emulator.model.errors import found_and_expected
from emulator.model.tables import ParameterError, RecipeOptions, Table
from emulator.model.units import Duration
from nodes.amnesiac.adversary import LOST, Adversary
from nodes.amnesiac.engine import Decision, decide, play
from nodes.amnesiac.generators import adversary_of
from nodes.amnesiac.graph import Graph, check_sources
from topologies.graph import graph_of

START_S = 0.5  # begin of round 0, in which nothing happens
MOST_ROUNDS = 1000  # that are played where `last_round` does not say more
MOST_DECIDED = 200_000  # rounds that are looked at before the end is left open
MOST_DELAYS = 3000  # in the table: all nodes are told of them in one message each
ANALYSIS = "scenarios.amnesiac.analysis"


class Parameters(Table):
    """What can be set of the scenario `amnesiac`."""

    graph: str = "petersen"
    """Graph by name ("cycle:6", "grid:4x4", "nx.…"), or a file."""
    sources: tuple[int, ...] = (0,)
    """Numbers of the nodes that send in round 1."""
    adversary: str = "none"
    """none, fixed, late, loss, removed, random, guard, endless, program, with keys ("late:delay=2"); or a JSON file."""
    slot_s: Duration = 0.04
    """Length of a round. A message without delay takes a quarter of it."""
    last_round: int | None = None
    """The last round in which messages are sent; by default enough to see that the prediction holds, up to 1,000."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError for graphs, sources and adversaries that cannot be."""
    graph = _graph(parameters, options)
    try:
        check_sources(graph, parameters.sources)
    except ValueError as error:
        raise _amiss("sources", error) from None
    try:
        adversary = adversary_of(parameters.adversary, graph, parameters.sources, options.directory)
    except ValueError as error:
        raise _amiss("adversary", error) from None
    if parameters.slot_s <= 0:
        raise ParameterError("slot", "0 s", "more than 0")
    decision = decide(graph, parameters.sources, adversary, limit=MOST_DECIDED)
    last = _last_round(parameters, decision)
    over = last + 1 + adversary.max_delay  # the round by which everything has arrived
    prediction = predict(graph, parameters.sources, adversary, decision, last)
    edges = [[f"n{a}", f"n{b}"] for a, b in graph.edges]
    slot = f"{parameters.slot_s!r} s"
    return {
        "duration": f"{START_S + (over + 2) * parameters.slot_s + 1.0:.3f} s",
        "ends": "programs",
        "topology": "topologies.graph",
        "routing": "neighbours",
        "analysis": ANALYSIS,
        "graph": {"spec": parameters.graph, "delay": f"{parameters.slot_s / 4!r} s", "overtake": True},
        **link_schedule(adversary, slot),
        "program": [
            {
                "name": "flood",
                "nodes": ["n[0-9]*"],
                "run": "nodes.amnesiac.process:Flood",
                "expect": "exit 0",
                "config": {
                    "edges": edges,
                    "sources": [f"n{source}" for source in parameters.sources],
                    "rounds": last,
                    "slot": slot,
                    "start": f"{START_S!r} s",
                    "prefix": adversary.prefix,
                    "period": adversary.period,
                    "delays": delays(adversary),
                },
            }
        ],
        "rounds": {"max_rounds": over + 1, "max_messages": 2 * int(prediction["messages"]) + 100},
        "fidelity": {
            "lateness_p99": f"{parameters.slot_s / 2!r} s"
        },  # a message may be 3/4 of a slot late, and in time
        "prediction": prediction,
        "expect": [
            *({"figure": f"summary.{name}", "equals": value} for name, value in prediction.items()),
            {"figure": "rounds.counts_agree", "equals": True},  # what the nodes sent is what their interfaces sent
        ],
    }


def _graph(parameters: Parameters, options: RecipeOptions) -> Graph:
    try:
        found = graph_of(parameters.graph, options.seed, options.directory)
        return Graph.of(len(found), list(found.edges))
    except ValueError as error:
        raise _amiss("graph", error) from None


def _amiss(key: str, error: ValueError) -> ParameterError:
    found, expected = found_and_expected(error)
    return ParameterError(key, found, expected or "another value")


def _last_round(parameters: Parameters, decision: Decision) -> int:
    """Rounds to play: three quiet ones after the end, or two cycles and two rounds, unless the user says."""
    if parameters.last_round is not None:
        if parameters.last_round < 1:
            raise ParameterError("last_round", str(parameters.last_round), "1 or more")
        return parameters.last_round
    if decision.verdict == "endless":
        return min(decision.first_seen + 2 * decision.cycle + 2, MOST_ROUNDS)
    return min(decision.round + 3, MOST_ROUNDS)


def predict(
    graph: Graph, sources: tuple[int, ...], adversary: Adversary, decision: Decision, last: int
) -> dict[str, bool | int | str]:
    """What a run of `last` rounds will show, by the names of the summary: of the end only what can be seen in them."""
    played = play(graph, sources, adversary, last)
    seen: dict[str, bool | int | str] = {}
    if decision.verdict == "terminates" and decision.round < last:
        seen = {"terminates": True, "round": decision.round}
    elif decision.verdict == "endless" and decision.first_seen + 2 * decision.cycle <= last:
        seen = {"terminates": False, "cycle": decision.cycle}
    return {**seen, "messages": played.messages, "trace": played.trace}


def link_schedule(adversary: Adversary, slot: str) -> dict[str, Any]:
    """The table `slots` of topologies.graph, or nothing where nothing happens. Slot 0 comes before round 1."""
    if not adversary.events:
        return {}
    events: list[dict[str, Any]] = []
    for event in adversary.events:
        effect = {"down": True} if event.removed else {"lost": True} if event.lost else {"delay_rounds": event.delay}
        if event.removed or event.lost or event.delay:
            events.append({"round": event.round, "edge": [f"n{node}" for node in event.edge], **effect})
    repeats = any(event.round > adversary.prefix for event in adversary.events)
    period = adversary.period if repeats else 0
    start = f"{START_S!r} s"
    return {
        "slots": {"start": start, "length": slot, "prefix": adversary.prefix + 1, "period": period, "events": events}
    }


def delays(adversary: Adversary) -> list[list[int | str]]:
    """The delays as the node program takes them: round of the table, from, to, rounds."""
    rows: list[list[int | str]] = [
        [event.round, f"n{edge[0]}", f"n{edge[1]}", fate]
        for event in adversary.events
        for edge, fate in event.fates()
        if fate not in (0, LOST)
    ]
    if len(rows) > MOST_DELAYS:
        raise ParameterError("adversary", f"{len(rows)} delays in the table", f"{MOST_DELAYS} at most over sockets")
    return rows
