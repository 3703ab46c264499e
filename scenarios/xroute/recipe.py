"""Recipe of the scenario `xroute`: chains, clients between them, relayers, messages by a policy, and an audit.

Invariant: each pair of clients is made by exactly one relayer, and no two relayers have an account in common.
"""

from __future__ import annotations

from string import ascii_lowercase
from typing import Any

from emulator.model.tables import ParameterError, RecipeOptions
from emulator.model.units import show
from nodes.xroute.adversary.forgeries import FORGERIES
from nodes.xroute.module.terms import LEAST_VOTES
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from scenarios.xroute.graph import Pair, hub, mesh, way
from scenarios.xroute.parameters import Parameters

__all__ = ["Parameters", "compose"]

LATENESS = "10 ms"  # packets may leave this late (p99): a block keeps a core of a small machine busy for that long
REGIONS = ("us-east-1", "eu-north-1", "ap-southeast-2", "us-west-1", "ap-northeast-1")
POWERS, WEAK_POWERS = [10, 10, 10, 10], [1000, 1, 1, 1]  # of validators
UNPROVED = ("quorum", "zk-model")
EQUIVOCATOR = "nodes.xroute.adversary.process:Equivocator"
ATTACKER, FORK = "attacker", "fork"  # nodes; the first is an account, too
ATTACKS = len(FORGERIES) + 10
FRESH = 4.0, 10  # what a state may be old by the attacker's policy: seconds, and blocks beside them
LATE = 5.0, 20  # when a message of its own times out
ORACLE = "oracle"  # the key of mode zk-model, a model
AUDIT_S = 2.0  # before the end by which the audit has told
HARMS = ("violations", "lost", "duplicated", "forged", "wrongly_refunded", "stuck", "unread_blocks", "panics")


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError names the parameter that cannot be."""
    _check(parameters, options)
    chains = [f"{letter}-0" for letter in ascii_lowercase[: parameters.chains]]
    relayers = [f"relayer-{number + 1}" for number in range(parameters.relayers)]
    others = [FORK, ATTACKER] if parameters.faults.attacks else []
    is_hub = parameters.baseline == "hub"
    pairs = hub(len(chains)) if is_hub else mesh(len(chains), parameters.neighbours)
    places = {
        node: REGIONS[place % len(REGIONS)] for nodes in (chains, relayers, others) for place, node in enumerate(nodes)
    }
    return {
        "analysis": "scenarios.xroute.analysis",
        "topology": "topologies.wan",
        "wan": {"map": "five-regions", "places": places},
        "fidelity": {"lateness_p99": LATENESS},
        "program": [
            *_chains(parameters, chains, relayers),
            *_relayers(parameters, chains, relayers, pairs),
            *_loads(parameters, options, chains, pairs),
            *(_attacks(parameters, chains) if parameters.faults.attacks else ()),
            _audit(parameters, options, chains),
        ],
        "expect": [
            {"figure": "summary.delivered", "at_least": 1},
            *({"figure": f"summary.{harm}", "equals": 0} for harm in HARMS),
            *_asked_of_faults(parameters),
        ],
    }


def _check(parameters: Parameters, options: RecipeOptions) -> None:
    load, faults = parameters.load, parameters.faults
    try:
        parse(parameters.policy)
    except PolicyError as error:
        raise ParameterError("policy", parameters.policy, f"a policy: {error}") from None
    if parameters.baseline == "hub" and parameters.mode in UNPROVED:
        raise ParameterError(
            "mode", parameters.mode, '"hop" or "e2e" where `baseline` is "hub", which is used by "hop"'
        )
    if parameters.mode == "quorum" and (parameters.relayers < LEAST_VOTES or not parameters.stake):
        raise ParameterError("mode", "quorum", f"at least {LEAST_VOTES} `relayers`, with a `stake`")
    if parameters.neighbours == 4 and parameters.chains < 6:
        raise ParameterError("neighbours", "4", "2 where there are fewer than 6 chains")
    if load.start_s + load.drain_s >= options.duration_s:
        most = show(max(0.0, options.duration_s - load.start_s), "duration")
        raise ParameterError(
            "load.drain", show(load.drain_s, "duration"), f"less than {most}, what is left after `load.start`"
        )
    for key, found in (("weak", parameters.weak), ("faults.chains", faults.chains)):
        if found >= parameters.chains:
            raise ParameterError(key, str(found), f"fewer than the {parameters.chains} chains")
    if faults.liars >= parameters.relayers or (faults.liars and not parameters.stake):
        raise ParameterError("faults.liars", str(faults.liars), "fewer than the `relayers`, which have a `stake`")
    plain = (parameters.neighbours, parameters.weak, parameters.mode, parameters.baseline) == (2, 1, "e2e", "none")
    if faults.attacks and not (plain and parameters.chains >= 5):
        raise ParameterError("faults.attacks", "true", "a ring of 5 chains or more, one weak, in mode e2e")
    if faults.chains and faults.at_s + faults.length_s > options.duration_s:
        raise ParameterError(
            "faults.at", show(faults.at_s, "duration"), "a time, and a `faults.length`, within the run"
        )


def _asked_of_faults(parameters: Parameters) -> list[dict[str, Any]]:
    asked = []
    if parameters.faults.liars:
        asked.append({"figure": "summary.slashed", "equals": parameters.faults.liars * parameters.chains})
    if parameters.faults.attacks:
        asked += [{"figure": "summary.attacks", "equals": ATTACKS}, {"figure": "summary.attacks_wrong", "equals": 0}]
    return asked


def _attacks(parameters: Parameters, chains: list[str]) -> list[dict[str, Any]]:
    """A chain with the id of the first one, and a relayer that forges messages from the first to the last but one."""
    fork, source, destination = _program(FORK), chains[0], chains[-2]
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
            "after": [*(_program(chain) for chain in chains), fork],
            "config": config,
        },
    ]  # fmt: skip


def _span(parameters: Parameters, span_s: float, blocks: int) -> str:
    return show(span_s + blocks * parameters.block_s, "duration")


def _chains(parameters: Parameters, chains: list[str], relayers: list[str]) -> list[dict[str, Any]]:
    """A program for each chain, as they start apart."""
    faults, programs = parameters.faults, []
    apart_s = parameters.block_s / len(chains)  # so that blocks are not made all at once
    halt = {"halt": show(faults.at_s, "duration"), "halt_for": show(faults.length_s, "duration")}
    for number, node in enumerate(chains):
        config = {
            "block": show(parameters.block_s, "duration"),
            "accounts": ["alice", "bob", ATTACKER, *(key for relayer in relayers for key in _keys(relayer))],
            "powers": WEAK_POWERS if number >= len(chains) - parameters.weak else POWERS,
            **(halt if number < faults.chains else {}),
            **_terms(parameters),
        }
        programs.append(
            {
                "name": _program(node),
                "nodes": node,
                "run": "nodes.xroute.chain:Chain",
                "start": show(number * apart_s, "duration"),
                "config": config,
                "ready": {"http": "http://127.0.0.1:26657/health"},
            }
        )
    return programs


def _terms(parameters: Parameters) -> dict[str, Any]:
    """What a chain has to say to modes in which nothing is proved: that its receivers take them."""
    if parameters.mode not in UNPROVED:
        return {}
    terms = {"minimum": f"xroute/1; require mode {{{parameters.mode}}}"}
    if parameters.mode == "quorum":
        return terms | {"challenge": show(parameters.challenge_s, "duration")}
    return terms | {"model_key": ORACLE}


def _program(chain: str) -> str:
    return f"chain-{chain.removesuffix('-0')}"


def _keys(relayer: str) -> list[str]:
    """Names of a relayer's keys: with two, two rounds to a chain are under way at once."""
    return [relayer, f"{relayer}-b"]


def _relayers(
    parameters: Parameters, chains: list[str], relayers: list[str], pairs: list[Pair]
) -> list[dict[str, Any]]:
    """A program for each relayer; in a circle, each tells the next what it measures."""
    faults = parameters.faults
    model = (
        {"model_key": ORACLE, "prove": show(parameters.prove_s, "duration")} if parameters.mode == "zk-model" else {}
    )
    return [
        {
            "name": relayer,
            "nodes": relayer,
            "run": EQUIVOCATOR if number >= len(relayers) - faults.liars else "nodes.xroute.relayer.process:Relayer",
            "after": [_program(chain) for chain in chains],
            "config": {
                "chains": chains,
                "opens": [f"{chains[a]} {chains[b]}" for a, b in pairs[number :: len(relayers)]],
                "accounts": _keys(relayer),
                "neighbours": sorted({relayers[number - 1], relayers[(number + 1) % len(relayers)]} - {relayer}),
                "relayers": relayers,
                "stake": parameters.stake,
                **model,
                **({"equivocate": show(faults.at_s, "duration")} if number >= len(relayers) - faults.liars else {}),
                "stall": show(2 * parameters.block_s, "duration"),
            },
        }
        for number, relayer in enumerate(relayers)
    ]


def _loads(
    parameters: Parameters, options: RecipeOptions, chains: list[str], pairs: list[Pair]
) -> list[dict[str, Any]]:
    """Who sends on each chain: to the others in turn, from the next one on."""
    load = parameters.load
    by_hops = parameters.mode == "hop" or parameters.baseline == "hub"
    weak = range(len(chains) - parameters.weak, len(chains))
    return [
        {
            "name": f"load-{node.removesuffix('-0')}",
            "nodes": node,
            "run": "nodes.xroute.load:Load",
            "after": [_program(chain) for chain in chains],
            "config": {
                "to": [
                    _words(chains, pairs, number, (number + step) % len(chains), weak) if by_hops
                    else chains[(number + step) % len(chains)]
                    for step in range(1, len(chains))
                ],
                "policy": parameters.policy,
                "mode": "hop" if by_hops else parameters.mode,
                "messages_per_second": load.messages_per_s / len(chains),
                "start": show(load.start_s, "duration"),
                "stop": show(options.duration_s - load.drain_s, "duration"),
            },
        }
        for number, node in enumerate(chains)
    ]  # fmt: skip


def _words(chains: list[str], pairs: list[Pair], source: int, destination: int, weak: range) -> str:
    """An entry of `to` in mode hop."""
    transits = way(pairs, source, destination, weak)
    if transits is None:
        raise ParameterError(
            "weak",
            str(len(weak)),
            f"fewer: {chains[destination]} is reached from {chains[source]} over weak chains only",
        )
    return (
        f"{chains[destination]} via {' '.join(chains[each] for each in transits)}" if transits else chains[destination]
    )


def _audit(parameters: Parameters, options: RecipeOptions, chains: list[str]) -> dict[str, Any]:
    return {
        "name": "audit",
        "nodes": chains[0],
        "run": "scenarios.xroute.audit:Audit",
        "after": [_program(chain) for chain in chains],
        "config": {
            "chains": chains,
            "at": show(options.duration_s - parameters.load.drain_s, "duration"),
            "until": show(options.duration_s - AUDIT_S, "duration"),
        },
    }
