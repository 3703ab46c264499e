"""Recipe of the scenario `plurality`: agents and opinions become a network, one program, and a prediction.

Invariant: the prediction is of the same core and the same seed as the run. Where links lose nothing and rounds are
synchronous, it is exact: a run that differs from it did not deliver what it should have.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, inf, isfinite, log, sqrt
from typing import Annotated, Any, Literal

from pydantic import Field

from emulator.model.errors import found_and_expected
from emulator.model.tables import ParameterError, RecipeOptions, Table
from emulator.model.units import Duration, Share, show
from nodes.plurality.core import Rule, rule_of
from nodes.plurality.exact import ramanujan_q
from nodes.plurality.simulate import Outcome, synchronous

AGENTS = 32
MOST_AGENTS = 10_000
MOST_ANSWERS = 10_000  # of one update
MOST_PREDICTED = 1_000_000  # updates of a prediction, of ten answers at once or fewer: a few seconds
PATIENCE_S = 2.0  # beyond three round trips, where nothing is lost: a reply late by the machine is not given up
QUICK_S = 0.25  # the same where links lose messages, so that a lost one does not hold its round up for long
LATE_S = 0.005  # packets may leave this late (p99), the ordinary bound of a run
LATE_SHARED_S = 0.1  # the same where agents share processes: such a run counts messages, it does not time them
TICK_TRIPS = 10  # asynchronous: default interval, in times that an update takes


class Parameters(Table):
    """What can be set of the scenario `plurality`."""

    agents: Annotated[int, Field(ge=2, le=MOST_AGENTS)] | None = None
    """How many agents; by default 32, or as many as `counts` add up to, or as the graph has nodes."""
    opinions: Annotated[int, Field(ge=1)] | None = None
    """How many opinions; by default 2, or as many as there are counts."""
    counts: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Agents that begin with each opinion. By default one opinion leads the others, equal ones, by √(n ln n)."""
    protocol: Literal["dejavu", "h-majority", "3-majority", "2-choices", "undecided", "voter"] = "dejavu"
    """The update rule."""
    h: Annotated[int, Field(ge=0, le=MOST_ANSWERS)] = 0
    """Sample size of h-majority (0: as many as dejavu needs at most in the mean); cap of dejavu (0: none)."""
    own: bool = False
    """With dejavu: an agent's own opinion counts as heard once."""
    mode: Literal["synchronous", "asynchronous"] = "synchronous"
    """In rounds, or each agent at the ticks of a Poisson clock of its own."""
    interval_s: Duration = 0.0
    """Asynchronous: mean time between two updates of an agent; 0: ten times what an update takes."""
    agents_per_process: Annotated[int, Field(ge=1)] = 1
    """Agents that share a process and its node; the results are the same."""
    graph: str = "mesh"
    """`mesh`: all reach all, through a hub in each region; else a graph ("regular:64,4") in which neighbours ask."""
    regions: Annotated[int, Field(ge=1, le=100)] = 1
    """Regions of a mesh, each with its share of the agents."""
    latency_s: Duration = 0.010
    """One way, between agents of a region or neighbours of a graph."""
    between_s: Duration = 0.050
    """One way, between two regions, in addition."""
    drift_s: Duration = 0.0
    """By how much `between` of the last region grows in each second."""
    loss: Share = 0.0
    """Messages lost, each on its own."""
    timeout_s: Duration = 0.0
    """After which a query counts as lost and another agent is asked; 0: three round trips and a little."""
    max_rounds: Annotated[int, Field(ge=1)] = 200
    """Rounds without consensus after which the agents give up; asynchronous: in units of `interval`."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError names the parameter that cannot be."""
    neighbours = _neighbours(parameters, options)
    counts = counts_of(parameters, len(neighbours) if neighbours else None)
    rule_name, h, rule = _rule(parameters, len(counts))
    _check_network(parameters)
    rtt_s = round_trip_s(parameters, options.duration_s)
    timeout_s = parameters.timeout_s or 3 * rtt_s + (QUICK_S if parameters.loss else PATIENCE_S)
    if timeout_s <= rtt_s:
        raise ParameterError("timeout", show(timeout_s, "duration"), f"more than a round trip, {rtt_s:g} s")
    answers = min(1 + ramanujan_q(len(counts)), h or inf) if rule.width == 1 else 1.0
    interval_s = parameters.interval_s or max(0.25, TICK_TRIPS * rtt_s * answers)
    known = predicted(parameters, rule, counts, options.seed, neighbours)
    mesh = parameters.graph == "mesh"
    config: dict[str, Any] = {
        "counts": counts,
        "agents_per_process": parameters.agents_per_process,
        "prefix": "a" if mesh else "n",
        "protocol": rule_name,
        "h": h,
        "own": parameters.own,
        "mode": parameters.mode,
        "interval": f"{interval_s!r} s",
        "timeout": f"{timeout_s!r} s",
        "max_rounds": parameters.max_rounds,
    }
    if neighbours:
        config["neighbours"] = neighbours
    program = {
        "name": "agents",
        "nodes": [f"{config['prefix']}[0-9]*"],
        "run": "nodes.plurality.process:Agents",
        "expect": "exit 0",
        "config": config,
    }
    return {
        "duration": f"{_duration_s(parameters, known, rtt_s, interval_s)} s",
        "ends": "programs",
        "analysis": "scenarios.plurality.analysis",
        **(_mesh(parameters, sum(counts)) if mesh else _graph(parameters)),
        "rounds": {"max_rounds": parameters.max_rounds + 1},
        "fidelity": {"lateness_p99": f"{_late_s(parameters)!r} s"},
        "program": [program],
        "expect": [{"figure": "summary.consensus", "equals": True}],
        "prediction": _figures(parameters, known, counts, rtt_s),
    }


def _late_s(parameters: Parameters) -> float:
    """Allowed lateness. Rounds, samples and winner do not depend on it where nothing times out, the time of asking
    does: as much as the latency itself, and more where the agents of a process wait for each other anyway."""
    return max(LATE_S, parameters.latency_s) if parameters.agents_per_process == 1 else LATE_SHARED_S


def counts_of(parameters: Parameters, nodes: int | None) -> list[int]:
    """How many agents begin with each opinion; `nodes` are those of the graph, if there is one."""
    agents, opinions, given = parameters.agents, parameters.opinions, list(parameters.counts)
    if given and opinions is not None and len(given) != opinions:
        raise ParameterError("counts", f"{len(given)} counts for {opinions} opinions", "one for each opinion")
    if nodes is not None and agents not in (None, nodes):
        raise ParameterError("agents", str(agents), f"{nodes}, the nodes of the graph, or no number")
    agents = agents or nodes
    if given and agents not in (None, sum(given)):
        raise ParameterError("counts", f"counts that add up to {sum(given)}", f"{agents}, the number of agents")
    if given:
        if not 2 <= sum(given) <= MOST_AGENTS:
            raise ParameterError("counts", f"{sum(given)} agents in all", f"2 to {MOST_AGENTS}")
        return given
    agents, opinions = agents or AGENTS, opinions or 2
    if opinions > agents:
        raise ParameterError("opinions", f"{opinions} opinions of {agents} agents", "no more opinions than agents")
    rest = max(1, floor((agents - sqrt(agents * log(agents))) / opinions))
    return [agents - rest * (opinions - 1)] + [rest] * (opinions - 1)


def _rule(parameters: Parameters, opinions: int) -> tuple[str, int, Rule]:
    """Protocol and h as the agents are told, and their rule."""
    name, h = parameters.protocol, parameters.h
    if name == "h-majority" and h == 0:
        h = ceil(1 + ramanujan_q(opinions))
    try:
        return name, h, rule_of(name, opinions, h, parameters.own)
    except ValueError as error:
        found, expected = found_and_expected(error)
        raise ParameterError("own" if found.startswith("own") else "h", found, expected) from None


def _neighbours(parameters: Parameters, options: RecipeOptions) -> list[list[int]] | None:
    """Whom each agent may ask, in a graph; None in a mesh."""
    if parameters.graph == "mesh":
        return None
    from topologies.graph import graph_of

    for key in ("regions", "agents_per_process"):
        if getattr(parameters, key) != 1:
            raise ParameterError(key, f"{getattr(parameters, key)} with a graph", "1, or graph = 'mesh'")
    try:
        graph = graph_of(parameters.graph, options.seed, options.directory)
    except ValueError as error:
        found, expected = found_and_expected(error)
        raise ParameterError("graph", found, expected or "'mesh' or a graph") from None
    if len(graph) < 2:
        raise ParameterError("graph", f"a graph of {len(graph)} nodes", "2 nodes or more")
    return [sorted(graph[node]) for node in range(len(graph))]


def _check_network(parameters: Parameters) -> None:
    if parameters.loss >= 1:
        raise ParameterError("loss", show(parameters.loss, "share"), "less than 100 %")
    for key in ("latency", "between", "drift", "timeout", "interval"):
        if not isfinite(getattr(parameters, f"{key}_s")):
            raise ParameterError(key, "unlimited", "a duration with an end")
    if parameters.drift_s and parameters.regions == 1:
        raise ParameterError("drift", f"{show(parameters.drift_s, 'duration')} with one region", "regions = 2 or more")


def round_trip_s(parameters: Parameters, duration_s: float) -> float:
    """The longest round trip between two agents; where a region drifts, that of the run's first minute at most."""
    if parameters.regions == 1:
        return 2 * parameters.latency_s
    return 2 * (parameters.latency_s + parameters.between_s + parameters.drift_s * min(duration_s, 60.0))


def predicted(
    parameters: Parameters, rule: Rule, counts: Sequence[int], seed: int, neighbours: list[list[int]] | None
) -> Outcome | None:
    """How the run will end, exactly; None where that depends on chance outside the agents, or would take too long."""
    if parameters.mode != "synchronous" or parameters.loss:
        return None
    rounds = min(parameters.max_rounds, MOST_PREDICTED // (sum(counts) * ceil(rule.width / 10)))
    known = synchronous(rule, counts, seed, neighbours=neighbours, max_rounds=rounds)
    return known if known.winner is not None or rounds == parameters.max_rounds else None


def _figures(
    parameters: Parameters, known: Outcome | None, counts: Sequence[int], rtt_s: float
) -> dict[str, bool | int | float]:
    """What is known beforehand of the figures of the summary."""
    if known is None:
        return {}
    figures: dict[str, bool | int | float] = {"consensus": known.winner is not None, "rounds": known.rounds}
    if known.winner is not None:
        figures |= {"winner": known.winner, "win": counts[known.winner] == max(counts)}
    figures["samples"] = known.samples
    figures["critical_trips"] = known.critical_trips
    if parameters.regions == 1:
        figures["asking_s"] = round(known.critical_trips * rtt_s, 6)
    return figures


def _duration_s(parameters: Parameters, known: Outcome | None, rtt_s: float, interval_s: float) -> int:
    """Long enough; the run ends with its programs."""
    if parameters.mode == "asynchronous":
        return ceil(60 + min(parameters.max_rounds, 100) * interval_s)
    if known is None:
        return 600
    return ceil(60 + 3 * known.critical_trips * rtt_s + 0.1 * known.rounds)


def _mesh(parameters: Parameters, agents: int) -> dict[str, Any]:
    """Hosts behind hubs. A message crosses two access links, each of which loses some."""
    processes = ceil(agents / parameters.agents_per_process)
    if processes < parameters.regions:
        raise ParameterError("regions", f"{parameters.regions} for {processes} processes", "no more than processes")
    regions: dict[str, Any] = {
        "count": parameters.regions,
        "hosts": processes,
        "latency": f"{parameters.latency_s!r} s",
        "loss": f"{100 * (1 - sqrt(1 - parameters.loss))!r} %",
    }
    if parameters.regions > 1:
        regions |= {"between": f"{parameters.between_s!r} s", "drift": f"{parameters.drift_s!r} s"}
    return {"topology": "topologies.regions", "regions": regions}


def _graph(parameters: Parameters) -> dict[str, Any]:
    table = {"spec": parameters.graph, "delay": f"{parameters.latency_s!r} s", "loss": f"{100 * parameters.loss!r} %"}
    return {"topology": "topologies.graph", "routing": "neighbours", "graph": table}
