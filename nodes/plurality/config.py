"""Settings of a process that hosts agents of a plurality consensus.

Invariant: an instance makes sense; what does not is refused with "found; expected allowed" before anything starts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from nodes.plurality.core import rule_of


@dataclass(frozen=True, slots=True)
class AgentsConfig:
    """`config` of the program nodes.plurality.process:Agents."""

    counts: list[int]  # agents that begin with opinion 0, 1, …
    agents_per_process: int = 1
    prefix: str = "a"  # the nodes are called prefix0, prefix1, …
    protocol: str = "dejavu"
    h: int = 0  # answers of h-majority; cap of dejavu, 0: none
    own: bool = False  # dejavu counts the agent's own opinion as heard once
    mode: str = "synchronous"  # or "asynchronous"
    interval_s: Duration = 1.0  # asynchronous: mean time between two updates of an agent
    timeout_s: Duration = 2.0  # after which a query counts as lost
    max_rounds: int = 200  # asynchronous: in units of interval
    neighbours: list[list[int]] = field(default_factory=list)  # whom each agent may ask; empty: all others
    port: int = 4300

    def __post_init__(self) -> None:
        if len(self.counts) < 1 or min(self.counts) < 0 or sum(self.counts) < 2:
            raise Unfit(f"`counts` is {self.counts}", "counts of 0 or more, of 2 agents or more in all")
        rule_of(self.protocol, len(self.counts), self.h, self.own)
        if self.mode not in ("synchronous", "asynchronous"):
            raise Unfit(f"`mode` is {self.mode!r}", "'synchronous' or 'asynchronous'")
        for key in ("agents_per_process", "max_rounds"):
            if getattr(self, key) < 1:
                raise Unfit(f"`{key}` is {getattr(self, key)}", "1 or more")
        for key, value in (("interval", self.interval_s), ("timeout", self.timeout_s)):
            if not (isfinite(value) and value > 0):
                raise Unfit(f"`{key}` is {value} s", "more than 0, with an end")
        agents = range(sum(self.counts))
        if self.neighbours and len(self.neighbours) != len(agents):
            raise Unfit(f"`neighbours` has {len(self.neighbours)} lists", f"{len(agents)}, one an agent")
        for agent, near in enumerate(self.neighbours):
            if not near or agent in near or not all(other in agents for other in near):
                raise Unfit(f"`neighbours` of agent {agent} are {near}", "other agents, one or more")
