"""One of the two networks of a run: the chains that xRoute joins, or those of the baseline beside them.

Invariant: both have the same chains, limits, load and faults in the same regions; they differ in who has clients of
whom, in the mode and in names, and no two nodes, programs or keys of a run are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

from emulator.model.tables import ParameterError
from emulator.model.units import show
from scenarios.xroute.faults import actions_of_fault, keys_of_fault
from scenarios.xroute.graph import Pair, hub, mesh, way
from scenarios.xroute.parameters import Parameters
from scenarios.xroute.registry import OWNERS, PROGRAM, REGISTRY, ZONE, programs_of, with_names

__all__ = ["Side", "baseline_of", "drain_of", "neighbours_of", "xroute_of"]

REGIONS = ("us-east-1", "eu-north-1", "ap-southeast-2", "us-west-1", "ap-northeast-1")
POWERS, WEAK_POWERS = [10, 10, 10, 10], [1000, 1, 1, 1]  # of validators
UNPROVED = ("quorum", "zk-model")
EQUIVOCATOR = "nodes.xroute.adversary.process:Equivocator"
ATTACKER, FORK = "attacker", "fork"  # nodes; the first is an account, too
ORACLE = "oracle"  # the key of mode zk-model, a model
AUDIT_S = 2.0  # before the end by which the audit has told
CHORDS = 6  # chains, from which on there is room for chords
CONFIRM = "20 s"  # how long a transaction may wait where blocks are full


@dataclass(frozen=True)
class Side:
    """Chains, relayers, senders and an audit; `name` is "" for those of xRoute."""

    name: str
    parameters: Parameters
    duration_s: float
    mode: str
    policy: str
    pairs: tuple[Pair, ...]
    neighbours_only: bool = False  # messages go to chains that the sender's has clients of

    @property
    def _prefix(self) -> str:
        return f"{self.name}-" if self.name else ""

    @property
    def chains(self) -> list[str]:
        """Nodes of the chains."""
        return [f"{self._prefix}{letter}-0" for letter in ascii_lowercase[: self.parameters.chains]]

    @property
    def relayers(self) -> list[str]:
        """Nodes of the relayers."""
        return [f"{self._prefix}relayer-{number + 1}" for number in range(self.parameters.relayers)]

    @property
    def weak(self) -> range:
        """The chains that no policy of these runs lets messages pass over."""
        return range(self.parameters.chains - self.parameters.weak, self.parameters.chains)

    def places(self) -> dict[str, str]:
        """The region of each node."""
        others = [REGISTRY, OWNERS] if self.has_names else []
        return {
            node: REGIONS[place % len(REGIONS)]
            for nodes in (self.chains, self.relayers, others)
            for place, node in enumerate(nodes)
        }

    def programs(self) -> list[dict[str, Any]]:
        """All that runs."""
        return [
            *self._registry_programs(), *self._chain_programs(), *self._relayer_programs(), *self._load_programs(),
            self._audit(),
        ]  # fmt: skip

    def actions(self) -> list[dict[str, Any]]:
        """What goes wrong with nodes while it runs."""
        return actions_of_fault(self.parameters.faults, self.chains, self.relayers, self.program)

    def program(self, chain: str) -> str:
        """The name of a chain's program."""
        return f"{self._prefix}chain-{self._letter(chain)}"

    def _letter(self, chain: str) -> str:
        return chain.removeprefix(self._prefix).removesuffix("-0")

    @property
    def has_names(self) -> bool:
        """Whether there is a registry: beside a baseline there is none."""
        return self.parameters.names and not self.name

    @property
    def _read(self) -> list[str]:
        """Nodes of the chains that relayers and the audit read."""
        return [*self.chains, *([REGISTRY] if self.has_names else [])]

    @property
    def _opened(self) -> list[str]:
        """Pairs of chains that have clients of each other."""
        pairs = [f"{self.chains[a]} {self.chains[b]}" for a, b in self.pairs]
        return pairs + [f"{chain} {REGISTRY}" for chain in self.chains if self.has_names]

    def _registries(self) -> dict[str, Any]:
        return {"registries": [f"{ZONE} {REGISTRY}"]} if self.has_names else {}

    def _registry_programs(self) -> list[dict[str, Any]]:
        if not self.has_names:
            return []
        start_s, stop_s = self.parameters.load.start_s, self.duration_s - drain_of(self.parameters)
        keys = [key for relayer in self.relayers for key in _keys(relayer)]
        return programs_of(self.chains, keys, self.parameters.block_s, (start_s + stop_s) / 2)

    def _chain_programs(self) -> list[dict[str, Any]]:
        """A program for each chain, as they start apart."""
        parameters, programs = self.parameters, []
        apart_s = parameters.block_s / parameters.chains  # so that blocks are not made all at once
        for number, node in enumerate(self.chains):
            config = {
                "block": show(parameters.block_s, "duration"),
                "block_gas": parameters.block_gas,
                "accounts": ["alice", "bob", ATTACKER, *(key for relayer in self.relayers for key in _keys(relayer))],
                "powers": WEAK_POWERS if number in self.weak else POWERS,
                **(keys_of_fault(parameters.faults) if number < parameters.faults.chains else {}),
                **self._terms(),
                **self._registries(),
            }
            programs.append(
                {
                    "name": self.program(node),
                    "nodes": node,
                    "run": "nodes.xroute.chain:Chain",
                    **({"after": [PROGRAM]} if self.has_names else {}),
                    "start": show(number * apart_s, "duration"),
                    "config": config,
                    "ready": {"http": "http://127.0.0.1:26657/health"},
                }
            )
        return programs

    def _terms(self) -> dict[str, Any]:
        """What a chain has to say to modes in which nothing is proved: that its receivers take them."""
        if self.mode not in UNPROVED:
            return {}
        terms = {"minimum": f"xroute/1; require mode {{{self.mode}}}"}
        if self.mode == "quorum":
            return terms | {"challenge": show(self.parameters.challenge_s, "duration")}
        return terms | {"model_key": ORACLE}

    def _relayer_programs(self) -> list[dict[str, Any]]:
        """A program for each relayer."""
        return [
            {
                "name": relayer,
                "nodes": relayer,
                "run": EQUIVOCATOR if self._is_liar(number) else "nodes.xroute.relayer.process:Relayer",
                "after": [self.program(chain) for chain in self.chains],
                "config": self._relayer_config(number),
            }
            for number, relayer in enumerate(self.relayers)
        ]

    def _is_liar(self, relayer: int) -> bool:
        """Whether a relayer is one of the last, which lie; beside a baseline none does."""
        return not self.name and relayer >= len(self.relayers) - self.parameters.faults.liars

    def _relayer_config(self, number: int) -> dict[str, Any]:
        """In a circle, each relayer tells the next what it measures."""
        parameters, relayers, relayer = self.parameters, self.relayers, self.relayers[number]
        config: dict[str, Any] = {
            "chains": self._read,
            "opens": self._opened[number :: len(relayers)],
            **self._registries(),
            "accounts": _keys(relayer),
            "neighbours": sorted({relayers[number - 1], relayers[(number + 1) % len(relayers)]} - {relayer}),
            "relayers": relayers,
            "turn": show(0.0 if self.mode in UNPROVED else parameters.turn_s, "duration"),
            "block_gas": max(0, parameters.block_gas),
            "confirm": CONFIRM,
            "stake": parameters.stake,
            "stall": show(2 * parameters.block_s, "duration"),
        }
        if self.mode == "zk-model":
            config |= {"model_key": ORACLE, "prove": show(parameters.prove_s, "duration")}
        if self._is_liar(number):
            config["equivocate"] = show(parameters.faults.at_s, "duration")
        return config

    def _load_programs(self) -> list[dict[str, Any]]:
        """Who sends on each chain: to the others in turn, from the next one on."""
        load, chains = self.parameters.load, self.chains
        return [
            {
                "name": f"{self._prefix}load-{self._letter(node)}",
                "nodes": node,
                "run": "nodes.xroute.load:Load",
                "after": [self.program(chain) for chain in chains],
                "config": {
                    "to": [self._words(source, destination) for destination in self._destinations(source)],
                    "policy": self.policy,
                    "mode": self.mode,
                    "messages_per_second": load.messages_per_s / len(chains),
                    "start": show(load.start_s, "duration"),
                    "stop": show(self.duration_s - drain_of(self.parameters), "duration"),
                },
            }
            for source, node in enumerate(chains)
        ]

    def _destinations(self, source: int) -> list[int]:
        count = len(self.chains)
        others = [(source + step) % count for step in range(1, count)]
        joined = [each for each in others if {(source, each), (each, source)} & {*self.pairs}]
        return joined if self.neighbours_only else others

    def _words(self, source: int, destination: int) -> str:
        """An entry of `to`; in mode hop with the way, which is a shortest one without weak chains."""
        chains = self.chains
        if self.mode != "hop":
            return chains[destination]
        transits = way(self.pairs, source, destination, self.weak)
        if transits is None:
            raise ParameterError(
                "weak",
                str(len(self.weak)),
                f"fewer: {chains[destination]} is reached from {chains[source]} over weak chains only",
            )
        return " ".join([chains[destination], *(["via"] if transits else []), *(chains[each] for each in transits)])

    def _audit(self) -> dict[str, Any]:
        return {
            "name": f"{self._prefix}audit",
            "nodes": self.chains[0],
            "run": "scenarios.xroute.audit:Audit",
            "after": [self.program(chain) for chain in self.chains],
            "config": {
                "chains": self._read,
                **({"registry": REGISTRY} if self.has_names else {}),
                "at": show(self.duration_s - drain_of(self.parameters), "duration"),
                "until": show(self.duration_s - AUDIT_S, "duration"),
            },
        }


def xroute_of(parameters: Parameters, duration_s: float) -> Side:
    """The chains that xRoute joins."""
    pairs = tuple(mesh(parameters.chains, neighbours_of(parameters)))
    side = Side("", parameters, duration_s, parameters.mode, parameters.policy, pairs)
    if not side.has_names:
        return side
    return replace(side, policy=with_names(side.policy, [side.chains[place] for place in side.weak]))


def baseline_of(parameters: Parameters, duration_s: float) -> Side | None:
    """The chains beside them; None where there are none."""
    name, policy = parameters.baseline, parameters.policy
    pairs: Sequence[Pair] = mesh(parameters.chains, neighbours_of(parameters))
    match name:
        case "hub":
            return Side(name, parameters, duration_s, "hop", policy, tuple(hub(parameters.chains)))
        case "direct":
            return Side(name, parameters, duration_s, "e2e", policy, tuple(pairs), neighbours_only=True)
        case "forward":
            return Side(name, parameters, duration_s, "hop", "xroute/1", tuple(pairs))
    return None


def drain_of(parameters: Parameters) -> float:
    """How long before the end the load stops, in seconds: earlier where each message waits before it is delivered."""
    waits = {"quorum": parameters.challenge_s, "zk-model": parameters.prove_s}
    return parameters.load.drain_s + waits.get(parameters.mode, 0.0)


def neighbours_of(parameters: Parameters) -> int:
    """Chains that each chain of the mesh has clients of."""
    return parameters.neighbours or (4 if parameters.chains >= CHORDS else 2)


def _keys(relayer: str) -> list[str]:
    """Names of a relayer's keys: with two, two rounds to a chain are under way at once."""
    return [relayer, f"{relayer}-b"]
