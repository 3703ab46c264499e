"""Recipe of the scenario `xroute`: chains, clients between them, relayers, messages by a policy, and an audit; beside
them a baseline with as many of each.

Invariant: each pair of clients is made by exactly one relayer, and no two relayers have an account in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.model.tables import ParameterError, RecipeOptions
from emulator.model.units import show
from nodes.xroute.adversary.forgeries import FORGERIES
from nodes.xroute.module.terms import LEAST_VOTES
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.proofs.names import names_in
from scenarios.xroute.faults import LASTING
from scenarios.xroute.graph import unreached
from scenarios.xroute.parameters import Parameters
from scenarios.xroute.registry import name_of
from scenarios.xroute.side import (
    ATTACKER,
    AUDIT_S,
    CHORDS,
    FORK,
    POWERS,
    REGIONS,
    UNPROVED,
    WEAK_POWERS,
    Side,
    baseline_of,
    drain_of,
    neighbours_of,
    xroute_of,
)

__all__ = ["Parameters", "compose"]

LATENESS = "10 ms"  # packets may leave this late (p99): a block keeps a core of a small machine busy for that long
ATTACKS = len(FORGERIES) + 10
FRESH = 4.0, 10  # what a state may be old by the attacker's policy: seconds, and blocks beside them
LATE = 5.0, 20  # when a message of its own times out
LEAST_DRAIN_BLOCKS = 8  # in which a message of one hop and its answer arrive where nothing is in their way
LEAST_GAS = 300_000  # of a block: for four new clients in one transaction
WRONGS = ("violations", "lost", "duplicated", "forged", "wrongly_refunded")
HARMS = (*WRONGS, "failed", "stuck", "unread_blocks", "panics")


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError names the parameter that cannot be."""
    _check(parameters, options)
    _check_use(parameters)
    xroute, baseline = xroute_of(parameters, options.duration_s), baseline_of(parameters, options.duration_s)
    _check_reach(parameters, parse(xroute.policy), xroute)
    sides = [xroute, *([baseline] if baseline else [])]
    wrong = [action for side in sides for action in side.actions()]
    others = [FORK, ATTACKER] if parameters.faults.attacks else []
    places = {node: region for side in sides for node, region in side.places().items()}
    places |= dict(zip(others, REGIONS, strict=False))
    return {
        "analysis": "scenarios.xroute.analysis",
        "topology": "topologies.wan",
        "wan": {"map": "five-regions", "places": places},
        "fidelity": {"lateness_p99": LATENESS},
        "program": [
            *(program for side in sides for program in side.programs()),
            *(_attacks(parameters, xroute) if others else ()),
        ],
        **({"action": wrong} if wrong else {}),
        "expect": [
            *_asked_of(xroute, HARMS),
            *(_asked_of(baseline, WRONGS) if baseline else ()),
            *_asked_of_names(parameters),
            *_asked_of_faults(parameters),
        ],
    }


def _check(parameters: Parameters, options: RecipeOptions) -> None:
    load, faults = parameters.load, parameters.faults
    try:
        names = names_in(parse(parameters.policy))
    except PolicyError as error:
        raise ParameterError("policy", parameters.policy, f"a policy: {error}") from None
    if names and not (parameters.names and parameters.baseline in ("none", "forward")):  # others have no registry
        raise ParameterError(
            "policy", parameters.policy, 'one without names of chains, or `names`, and `baseline` "none" or "forward"'
        )
    if parameters.mode == "quorum" and (parameters.relayers < LEAST_VOTES or not parameters.stake):
        raise ParameterError("mode", "quorum", f"at least {LEAST_VOTES} `relayers`, with a `stake`")
    if parameters.neighbours == 4 and parameters.chains < CHORDS:
        raise ParameterError("neighbours", "4", f"2 where there are fewer than {CHORDS} chains")
    if 0 <= parameters.block_gas < LEAST_GAS:
        raise ParameterError("block_gas", str(parameters.block_gas), f"at least {LEAST_GAS:,}, or -1")
    least_s = AUDIT_S + LEAST_DRAIN_BLOCKS * parameters.block_s
    if load.drain_s < least_s or load.start_s + drain_of(parameters) >= options.duration_s:
        waits_s = drain_of(parameters) - load.drain_s
        most = show(max(0.0, options.duration_s - load.start_s - waits_s), "duration")
        raise ParameterError(
            "load.drain",
            show(load.drain_s, "duration"),
            f"{show(least_s, 'duration')} at least, in which the last messages are answered and audited, and less than "
            f"{most}, what is left after `load.start`",
        )
    for key, found in (("weak", parameters.weak), ("faults.chains", faults.chains)):
        if found >= parameters.chains:
            raise ParameterError(key, str(found), f"fewer than the {parameters.chains} chains")
    if faults.liars >= parameters.relayers or (faults.liars and not parameters.stake):
        raise ParameterError("faults.liars", str(faults.liars), "fewer than the `relayers`, which have a `stake`")
    plain = (neighbours_of(parameters), parameters.weak, parameters.mode) == (2, 1, "e2e")
    if faults.attacks and not (plain and parameters.chains >= 5 and parameters.block_gas < 0):
        raise ParameterError(
            "faults.attacks", "true", "a ring of 5 chains or more, one weak, in mode e2e, with `block_gas` -1"
        )
    if faults.relayers > parameters.relayers:
        raise ParameterError("faults.relayers", str(faults.relayers), f"at most the {parameters.relayers} relayers")
    happens = faults.chains or faults.relayers or faults.apart
    if happens and faults.at_s + faults.length_s > options.duration_s:
        raise ParameterError(
            "faults.at", show(faults.at_s, "duration"), "a time, and a `faults.length`, within the run"
        )
    if parameters.names and (parameters.mode != "e2e" or not parameters.weak or faults.attacks or faults.liars):
        raise ParameterError("names", "true", 'mode "e2e", a `weak` chain, and neither `faults.attacks` nor `liars`')


def _check_use(parameters: Parameters) -> None:
    """ParameterError for one that is not its default, and that the others leave without any effect."""
    faults, mode = parameters.faults, parameters.mode
    happens = (faults.chains and faults.kind not in LASTING) or faults.relayers or faults.apart
    takes_turns = mode not in UNPROVED or parameters.baseline != "none"
    wanted = {
        "turn": (parameters, takes_turns, 'mode "e2e" or "hop", or a `baseline`'),
        "challenge": (parameters, mode == "quorum", 'mode "quorum"'),
        "prove": (parameters, mode == "zk-model", 'mode "zk-model"'),
        "faults.at": (faults, happens or faults.liars, "a fault that begins: of `chains`, `relayers` …"),
        "faults.length": (faults, happens, "a fault that ends: `faults.chains`, `relayers` or `apart`"),
    }
    for key, (table, is_used, expected) in wanted.items():
        field = f"{key.rpartition('.')[2]}_s"
        if table.differs(field) and not is_used:
            raise ParameterError(key, show(getattr(table, field), "duration"), expected)
    if faults.differs("kind") and not faults.chains:
        raise ParameterError("faults.kind", faults.kind, "`faults.chains`: how many chains it hits")


def _asked_of(side: Side, harms: Sequence[str]) -> list[dict[str, Any]]:
    """That a side delivers, and none of these harms."""
    within = f"summary.{side.name}".removesuffix(".")
    found = [harm for harm in harms if (harm, side.mode) != ("violations", "zk-model")]  # there nothing is proved
    return [
        {"figure": f"{within}.delivered", "at_least": 1},
        *({"figure": f"{within}.{harm}", "equals": 0} for harm in found),
    ]


def _asked_of_names(parameters: Parameters) -> list[dict[str, Any]]:
    if not parameters.names:
        return []
    of_all = [{"figure": f"summary.{each}", "equals": parameters.chains} for each in ("names", "names_renewed")]
    return [*of_all, {"figure": "summary.by_name", "at_least": 1}]


def _asked_of_faults(parameters: Parameters) -> list[dict[str, Any]]:
    asked = []
    if parameters.faults.liars:
        asked.append({"figure": "summary.slashed", "equals": parameters.faults.liars * parameters.chains})
    if parameters.faults.attacks:
        asked += [{"figure": "summary.attacks", "equals": ATTACKS}, {"figure": "summary.attacks_wrong", "equals": 0}]
    return asked


def _attacks(parameters: Parameters, side: Side) -> list[dict[str, Any]]:
    """A chain with the id of the first one, and a relayer that forges messages from the first to the last but one."""
    chains, fork = side.chains, f"chain-{FORK}"
    source, destination = chains[0], chains[-2]
    config = {
        "chains": [*chains, FORK], "opens": [f"{FORK} {destination}"], "source": source, "destination": destination,
        "fork": FORK, "fresh": _span(parameters, *FRESH), "late": _span(parameters, *LATE), "account": ATTACKER,
        "stall": show(4 * parameters.block_s, "duration"),
    }  # fmt: skip
    return [
        {
            "name": fork,
            "nodes": FORK,
            "run": "nodes.xroute.chain:Chain",
            "config": {
                "chain_id": f"{source}-1", "block": show(parameters.block_s, "duration"), "accounts": [ATTACKER],
            },
            "ready": {"http": "http://127.0.0.1:26657/health"},
        },
        {
            "name": "attacker",
            "nodes": ATTACKER,
            "run": "nodes.xroute.adversary.process:Attacker",
            "after": [*map(side.program, chains), fork],
            "config": config,
        },
    ]  # fmt: skip


def _span(parameters: Parameters, span_s: float, blocks: int) -> str:
    return show(span_s + blocks * parameters.block_s, "duration")


def _check_reach(parameters: Parameters, policy: Policy, side: Side) -> None:
    """ParameterError where a chain would send messages that no route can carry."""
    powers = [WEAK_POWERS if place in side.weak else POWERS for place in range(parameters.chains)]
    names = [name_of(chain) for chain in side.chains] if side.has_names else side.chains
    lost = unreached(names, side.pairs, powers, policy)
    if lost is not None:
        raise ParameterError(
            "policy",
            parameters.policy,
            f"one by which each chain reaches each other one: {lost[1]} is not reached from {lost[0]} (more "
            f"`neighbours`, fewer `weak` chains, or fewer `chains` may do, too)",
        )
