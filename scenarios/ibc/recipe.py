"""Recipe of the scenario `ibc`: chains in a row, relayers that share the paths between them, transfers, an audit.

Invariant: each path has a relayer, exactly one of its relayers opens it, and no two relayers have an account in common.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from emulator.model.tables import ParameterError, RecipeOptions
from emulator.model.units import show
from scenarios.ibc.parameters import Parameters
from topologies.leo.stations import SITES

__all__ = ["Parameters", "compose"]

LATE = "10 ms"  # packets may leave this late (p99): a block keeps a core of a small machine busy for that long
REGIONS = ("us-east-1", "eu-north-1", "ap-southeast-2", "us-west-1", "ap-northeast-1")
STATIONS = (
    "new-york", "stockholm", "sydney", "los-angeles", "tokyo", "london", "sao-paulo", "singapore", "delhi",
    "johannesburg",
)  # fmt: skip
"""Places of chains, in turn; the first five stand for the five regions."""
GROUND_RATE = "1 Gbit/s"  # of a ground station, up and down, as of satellites among themselves
POWER = 10  # of each validator
START_S = {"one process": 5.0, "processes": 20.0}  # until relayers begin to open paths, on a busy machine of two cores
OPENING_BLOCKS = {"v2": 5, "v1": 17}  # that opening takes, of however many paths
AUDIT_S = 2.0  # before the end by which the audit has told


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError names the parameter that cannot be."""
    _check(parameters, options)
    prefix = "gs-" if parameters.topology == "leo" else ""
    chains = [f"{prefix}{_letter(number)}-0" for number in range(parameters.chains)]
    paths = [f"{a} {b}" + _version(parameters) for a, b in pairwise(chains)]
    served = shares(len(paths), parameters.relayers)
    relayers = [f"{prefix}relayer-{number + 1}" for number in range(parameters.relayers)]
    committees = [_committee(parameters, node) for node in chains]
    places = {node: at + turn for at, nodes in enumerate(committees) for turn, node in enumerate(nodes)}
    places |= {relayer: first for relayer, (first, *_) in zip(relayers, served, strict=True)}
    data: dict[str, Any] = {
        "analysis": "scenarios.ibc.analysis",
        **(_leo(places) if parameters.topology == "leo" else _wan(places)),
        "fidelity": {"lateness_p99": LATE},
        "program": [
            *_chains(parameters, committees, served),
            *_relayers(relayers, paths, served),
            *_transfers(parameters, options, chains, paths),
        ],
        "expect": _expects(parameters),
    }
    faults = parameters.faults
    if faults.relayers:
        away = {"at": show(faults.at_s, "duration"), "for": show(faults.length_s, "duration")}
        data["action"] = [{"do": "crash", "nodes": relayers[: faults.relayers], **away}]
    return data


def shares(paths: int, relayers: int) -> list[list[int]]:
    """The numbers of the paths that each relayer serves: neighbours, so that it has few chains to read."""
    if relayers > paths:
        return [[number % paths] for number in range(relayers)]
    return [list(range(paths * number // relayers, paths * (number + 1) // relayers)) for number in range(relayers)]


def _check(parameters: Parameters, options: RecipeOptions) -> None:
    load, faults = parameters.load, parameters.faults
    if load.hops > parameters.chains - 1:
        raise ParameterError("load.hops", str(load.hops), f"at most {parameters.chains - 1}, with so many `chains`")
    if parameters.version == "v2" and load.hops > 1:
        raise ParameterError("load.hops", str(load.hops), "1 with IBC v2, whose packets are not forwarded")
    opening = OPENING_BLOCKS["v1" if _version(parameters) else "v2"]
    least_s = START_S[parameters.validators] + opening * parameters.block_s
    if load.drain_s + least_s > options.duration_s:
        raise ParameterError(
            "load.drain",
            show(load.drain_s, "duration"),
            f"{least_s:g} s less than the run of {show(options.duration_s, 'duration')}, in which paths are opened",
        )
    for key, most in (("relayers", parameters.relayers), ("chains", parameters.chains)):
        if (found := getattr(faults, key)) > most:
            raise ParameterError(f"faults.{key}", str(found), f"{most} at most, all there are")
    happens = faults.relayers or faults.chains
    for key in ("at", "length"):
        if faults.differs(f"{key}_s") and not happens:
            found = show(getattr(faults, f"{key}_s"), "duration")
            raise ParameterError(f"faults.{key}", found, "a fault: `faults.relayers` or `faults.chains`")
    if happens and faults.at_s + faults.length_s > options.duration_s:
        raise ParameterError(
            "faults.at", show(faults.at_s, "duration"), "a time, and a `faults.length`, within the run"
        )


def _letter(number: int) -> str:
    return chr(ord("a") + number)


def _version(parameters: Parameters) -> str:
    """What names the version of IBC behind a path's two nodes; nothing for v2."""
    forwards = parameters.load.hops > 1
    return " v1 transfer" if parameters.version == "v1" or forwards else ""


def _wan(places: dict[str, int]) -> dict[str, Any]:
    sites = {node: REGIONS[place % len(REGIONS)] for node, place in places.items()}
    return {"topology": "topologies.wan", "wan": {"map": "five-regions", "places": sites}}


def _leo(places: dict[str, int]) -> dict[str, Any]:
    stations = []
    for node, place in places.items():
        latitude, longitude, altitude = SITES[STATIONS[place % len(STATIONS)]]
        name = node.removeprefix("gs-")
        where = {"lat_deg": latitude, "lon_deg": longitude, "altitude": f"{altitude} m"}
        stations.append({"name": name, **where})
    rates = {"rate_up": GROUND_RATE, "rate_down": GROUND_RATE}
    return {"topology": "topologies.leo", "shell": {"preset": "starlink-1"}, "ground": {"station": stations, **rates}}


def _committee(parameters: Parameters, node: str) -> list[str]:
    """The nodes of a chain's processes; the first has the chain's name."""
    count = parameters.validators_per_chain if parameters.validators == "processes" else 1
    return [f"{node.removesuffix('0')}{number}" for number in range(count)]


def _chains(parameters: Parameters, committees: list[list[str]], served: list[list[int]]) -> list[dict[str, Any]]:
    """A program for each chain, as each has an id of its own."""
    faults, programs = parameters.faults, []
    apart_s = parameters.block_s / parameters.chains  # so that blocks are not made all at once
    halt = {"halt": show(faults.at_s, "duration"), "halt_for": show(faults.length_s, "duration")}
    for number, nodes in enumerate(committees):
        near = [relayer for relayer, paths in enumerate(served) if {number - 1, number} & {*paths}]
        config = {
            "chain_id": f"{_letter(number)}-1",
            "block": show(parameters.block_s, "duration"),
            "accounts": ["alice", "bob", *(key for relayer in near for key in _keys(relayer))],
            "powers": [POWER] * parameters.validators_per_chain,
            **(halt if number < faults.chains else {}),
        }
        run = "nodes.ibc.chain.process:Chain"
        if parameters.validators == "processes":
            config["validators"], run = nodes, "nodes.ibc.validator.process:Validator"
        programs.append(
            {
                "name": f"chain-{_letter(number)}",
                "nodes": nodes,
                "run": run,
                "start": show(number * apart_s, "duration"),
                "config": config,
                "ready": {"http": "http://127.0.0.1:26657/health"},
            }
        )
    return programs


def _keys(relayer: int) -> list[str]:
    """Names of a relayer's keys: with four, four rounds to a chain are under way at once."""
    return [f"relayer-{relayer + 1}{suffix}" for suffix in ("", "-b", "-c", "-d")]


def _relayers(relayers: list[str], paths: list[str], served: list[list[int]]) -> list[dict[str, Any]]:
    """A program for each relayer, as each has paths and accounts of its own."""
    return [
        {
            "name": f"relayer-{number + 1}",
            "nodes": node,
            "run": "nodes.ibc.relayer.process:Relayer",
            "after": [f"chain-{_letter(chain)}" for chain in range(mine[0], mine[-1] + 2)],
            "config": {
                "paths": [paths[path] for path in mine],
                "accounts": _keys(number),
                "opens": number < len(paths),
            },
        }
        for number, (node, mine) in enumerate(zip(relayers, served, strict=True))
    ]


def _transfers(
    parameters: Parameters, options: RecipeOptions, chains: list[str], paths: list[str]
) -> list[dict[str, Any]]:
    """Who sends on each chain, and who looks at the end what became of it."""
    load, after = parameters.load, [f"chain-{_letter(number)}" for number in range(len(chains))]
    end_s = options.duration_s - load.drain_s
    sends = {
        "paths": paths,
        "packets_per_second": load.packets_per_s,
        "hops": load.hops,
        "transfers_per_transaction": load.transfers_per_transaction,
        "stop": show(end_s, "duration"),
    }
    reads = {"paths": paths, "at": show(end_s, "duration"), "until": show(options.duration_s - AUDIT_S, "duration")}
    return [
        {"name": "load", "nodes": chains, "run": "scenarios.ibc.load:Load", "after": after, "config": sends},
        {"name": "audit", "nodes": chains[0], "run": "scenarios.ibc.audit:Audit", "after": after, "config": reads},
    ]


def _expects(parameters: Parameters) -> list[dict[str, Any]]:
    """Some packets must be settled, and none may come to harm."""
    harms = ("failed", "stuck", "lost", "duplicated", "wrongly_refunded", "unread_blocks", "panics")
    figures: list[dict[str, Any]] = [{"figure": f"summary.{name}", "equals": 0} for name in harms]
    if parameters.load.packets_per_s:
        figures.append({"figure": "summary.acknowledged", "at_least": 1})
        figures.append({"figure": "summary.escrow_ok", "equals": True})
    if not parameters.faults.chains:
        figures.append({"figure": "summary.late_blocks_share", "at_most": 0.1})
    return figures
