"""Recipe of the scenario `explore`: graph, schedule and agent become hosts and a conductor, and the way is predicted.

Invariant: what is predicted and what is run have the same agent, the same seed and the same edges in every step, so the
figures of the prediction are expected to be equal, not close.
"""

from __future__ import annotations

import random
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from emulator.model.errors import Unfit, found_and_expected
from emulator.model.tables import ParameterError, RecipeOptions, Table
from emulator.model.units import Duration, show
from nodes.explorer import files
from nodes.explorer.adversary import RingAdversary
from nodes.explorer.core import WALK, Agent
from nodes.explorer.engine import Edges, Play, play
from nodes.explorer.schedules import Footprint, Schedule, block_trees, ring_gap, static
from nodes.explorer.worst import worst_ring
from topologies.graph import graph_of

BY_INTERVAL = ("adversary", "worst", "blocks")  # schedules that are made for the parameter `interval`
MOST_NODES = 512
MOST_TOLD = 6000  # edges and toggles that the conductor is told in one message
MOST_EVENTS = 20_000  # of links, in mode slotted
MOST_WORST = 7  # nodes of a ring whose worst schedule is found within seconds
SPARE_STEPS = 8  # after the predicted end: a run that differs is to end soon, and to be seen to differ
START_S = 0.5  # begin of slot 0
SLOWEST_STEP_S = 0.5  # in mode barrier: what a step may take before the run is given up


class Parameters(Table):
    """What can be set of the scenario `explore`."""

    graph: str = "ring:12"
    """Graph by name ("ring:12", "grid:4x4", "complete:16", "nx.…"), or a file: all edges that may ever be there."""
    interval: int = Field(8, ge=1)
    """T: in any T steps in a row, the edges present throughout connect all nodes. Not for static and files."""
    schedule: str = "adversary"
    """adversary or worst (rings only), blocks, blocks:extra=0.1, static, or a JSON file of snapshots or events."""
    visibility: Literal["kt0", "kt1", "walk"] = "kt0"
    """What the agent sees: ports (kt0), also the nodes behind them (kt1); walk: it takes any port."""
    start: int = Field(0, ge=0)
    """The node at which the agent begins."""
    max_steps: int | None = Field(None, ge=1, le=10_000)
    """Steps after which it is given up; by default 4 a node against the adversary, else 400."""
    mode: Literal["barrier", "slotted"] = "barrier"
    """Steps that begin when all are ready, or slots of the shared clock (not for the adversary)."""
    slot_s: Duration = 0.1
    """Length of a step in mode slotted."""
    delay_s: Duration = 0.002
    """Propagation delay of the links."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError for graphs, schedules and starts that cannot be."""
    footprint = _footprint(parameters, options)
    if parameters.start >= footprint.nodes:
        raise ParameterError("start", str(parameters.start), f"a node of 0 … {footprint.nodes - 1}")
    for key, value_s in (("delay", parameters.delay_s), ("slot", parameters.slot_s)):
        if not isfinite(value_s) or (value_s == 0 and key == "slot"):
            raise ParameterError(key, show(value_s, "duration"), "a time with an end, above 0 s for a slot")
    limit = parameters.max_steps or (4 * footprint.nodes if parameters.schedule == "adversary" else 400)
    edges = edges_of(parameters, options, footprint, limit)
    agent = Agent(parameters.visibility, options.seed if parameters.visibility == WALK else 0)
    played = play(footprint, edges, agent, parameters.start, limit)
    last = min(limit, played.steps + SPARE_STEPS) if played.covered else limit
    prediction = predict(played)
    common = {
        "nodes": footprint.nodes,
        "edges": [list(pair) for pair in sorted(footprint.edges)],
        "start": parameters.start,
        "max_steps": last,
    }
    host = {**common, "visibility": parameters.visibility, "agent_seed": agent.seed, "mode": parameters.mode}
    graph = {"spec": parameters.graph, "delay": f"{parameters.delay_s!r} s", "carrier": True}
    composed: dict[str, Any] = {
        "ends": "programs",
        "topology": "topologies.graph",
        "routing": "neighbours",
        "analysis": "scenarios.explore.analysis",
        "graph": graph,
        "program": [_program("host", "n[0-9]*", "nodes.explorer.process:Host", host)],
        "rounds": {"max_rounds": last + 1},
        "prediction": prediction,
        "expect": [
            *({"figure": f"summary.{name}", "equals": value} for name, value in prediction.items()),
            {"figure": "summary.t_measured", "at_least": min(declared(parameters) or 0, played.steps)},
        ],
    }
    if parameters.mode == "slotted":
        slot = f"{parameters.slot_s!r} s"
        host |= {"slots_start": f"{START_S!r} s", "slot": slot}
        composed["slots"] = {"start": f"{START_S!r} s", "length": slot, **_slots(parameters, footprint, edges, last)}
        composed["duration"] = f"{START_S + last * parameters.slot_s + 5.0:.3f} s"
        composed["fidelity"] = {"lateness_p99": f"{parameters.slot_s / 4!r} s"}  # whether a slot was missed is counted
    else:
        graph["extra"] = ["observer"]
        by = _conducted(parameters, footprint, edges, last)
        composed["program"].append(_program("conductor", "observer", "nodes.explorer.conductor:Conductor", common | by))
        composed["duration"] = f"{20.0 + last * SLOWEST_STEP_S:.1f} s"
        composed["fidelity"] = {"lateness_p99": "100 ms"}  # barriers wait for whoever is late
    return composed


def declared(parameters: Parameters) -> int | None:
    """The T that the schedule keeps to by its making; None for a file, and where no edge is ever absent."""
    return parameters.interval if parameters.schedule.partition(":")[0] in BY_INTERVAL else None


def _program(name: str, node: str, run: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "nodes": [node], "run": run, "barrier": "explore", "expect": "exit 0", "config": config}


def predict(played: Play) -> dict[str, bool | int]:
    """What a run will show, by the names of the summary."""
    return {
        "covered": played.covered,
        "seen": played.seen,
        "steps": played.steps,
        "moves": played.moves,
        "waits": played.waits,
        "replans": played.replans,
        "t_measured": played.measured,
    }


def _footprint(parameters: Parameters, options: RecipeOptions) -> Footprint:
    try:
        found = graph_of(parameters.graph, options.seed, options.directory)
        footprint = Footprint.of(len(found), list(found.edges))
    except ValueError as error:
        raise _amiss("graph", error) from None
    if footprint.nodes > MOST_NODES:
        raise ParameterError("graph", f"{footprint.nodes} nodes", f"{MOST_NODES} at most: each is a process")
    if len(footprint.edges) > MOST_TOLD:
        raise ParameterError("graph", f"{len(footprint.edges)} edges", f"{MOST_TOLD} at most over sockets")
    return footprint


def edges_of(parameters: Parameters, options: RecipeOptions, footprint: Footprint, steps: int) -> Edges:
    """Who says which edges are present, for as many steps."""
    kind, _, given = parameters.schedule.partition(":")
    try:
        if kind in ("adversary", "worst") and not footprint.is_ring:
            raise ParameterError("schedule", f"{kind!r} on the graph {parameters.graph!r}", "a ring for that schedule")
        if kind == "adversary" and not given:
            if parameters.mode == "slotted":
                raise ParameterError("mode", "'slotted' with an adversary that looks at the agent", "'barrier'")
            return RingAdversary(footprint.nodes, parameters.interval, parameters.start)
        if kind == "worst" and not given:
            return _worst(parameters, footprint)
        if kind == "static" and not given:
            return static(footprint)
        if kind == "blocks":
            rng = random.Random(f"{options.seed}/explore/blocks")
            return block_trees(footprint, parameters.interval, rng, _extra(given))
    except ParameterError:
        raise
    except ValueError as error:
        raise _amiss("schedule", error) from None
    return _from_file(parameters, options, footprint)


def _worst(parameters: Parameters, footprint: Footprint) -> Schedule:
    if footprint.nodes > MOST_WORST or parameters.start:
        found = f"'worst' with {footprint.nodes} nodes from {parameters.start}"
        raise ParameterError("schedule", found, f"a ring of at most {MOST_WORST} nodes, from node 0")
    return ring_gap(footprint.nodes, worst_ring(footprint.nodes, parameters.interval)[1])


def _extra(given: str) -> float:
    """The chance of "extra=0.1"; 0 where nothing is given."""
    if not given:
        return 0.0
    key, _, text = given.partition("=")
    try:
        extra = float(text)
    except ValueError:
        extra = -1.0
    if key != "extra" or not isfinite(extra) or not 0.0 <= extra <= 1.0:
        raise Unfit(f"'blocks:{given}'", "blocks:extra=0.1, a chance of 0 to 1")
    return extra


def _from_file(parameters: Parameters, options: RecipeOptions, footprint: Footprint) -> Schedule:
    if not parameters.schedule.endswith(".json"):
        found, expected = (
            repr(parameters.schedule),
            "adversary, worst, blocks, blocks:extra=0.1, static, or a .json file",
        )
        raise ParameterError("schedule", found, expected)
    schedule = files.read(Path(options.directory) / parameters.schedule)
    strangers = sorted(frozenset[tuple[int, int]]().union(*schedule.snapshots) - footprint.edges)
    if schedule.nodes != footprint.nodes or strangers:
        found = f"{schedule.nodes} nodes" + (f" and the edge {strangers[0][0]}-{strangers[0][1]}" if strangers else "")
        raise ParameterError("schedule", found, f"{footprint.nodes} nodes and edges of the graph {parameters.graph!r}")
    return schedule


def _conducted(parameters: Parameters, footprint: Footprint, edges: Edges, steps: int) -> dict[str, Any]:
    """What the conductor is told of the edges."""
    if isinstance(edges, RingAdversary):
        return {"adversary_interval": parameters.interval}
    toggles: list[list[int]] = []
    before = footprint.edges
    for step in range(steps):
        present = edges.present(step, -1)
        toggles += [[step, a, b] for a, b in sorted(before ^ present)]
        before = present
    if len(toggles) + len(footprint.edges) > MOST_TOLD:
        found = f"{len(toggles)} changes of {len(footprint.edges)} edges in {steps} steps"
        raise ParameterError("schedule", found, f"{MOST_TOLD} at most together (a larger interval, fewer steps)")
    return {"toggles": toggles}


def _slots(parameters: Parameters, footprint: Footprint, edges: Edges, steps: int) -> dict[str, Any]:
    """What the links do by themselves, slot by slot."""
    if parameters.slot_s < 20 * parameters.delay_s:
        found = f"a slot of {parameters.slot_s:g} s with links of {parameters.delay_s:g} s"
        raise ParameterError("slot", found, "20 times the delay or more: a move is two round trips")
    events = [
        {"round": step, "edge": [f"n{a}", f"n{b}"], "down": True}
        for step in range(steps)
        for a, b in sorted(footprint.edges - edges.present(step, -1))
    ]
    if len(events) > MOST_EVENTS:
        raise ParameterError("schedule", f"{len(events)} absences in {steps} steps", f"{MOST_EVENTS} at most in slots")
    return {"prefix": steps, "events": events}


def _amiss(key: str, error: ValueError) -> ParameterError:
    found, expected = found_and_expected(error)
    return ParameterError(key, found, expected or "another value")
