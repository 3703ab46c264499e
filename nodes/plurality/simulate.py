"""Plurality consensus on an in-memory network: the same core as the processes, in rounds or by Poisson clocks.

Invariant: a synchronous simulation takes the same streams as a run over sockets, so that with the same seed both give
the same rounds, samples and winner, exactly (as long as the run loses no message).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from nodes.plurality.core import Rule, Stream, Update, consensus, deal


@dataclass(slots=True)
class Outcome:
    """How a simulation ended, and what it cost all agents together."""

    winner: int | None = None  # None: no consensus within the limit
    rounds: int = 0
    time: float = 0.0  # parallel time: in units of the mean time between two updates of an agent
    samples: int = 0
    updates: int = 0
    critical_trips: int = 0  # sum over rounds of the trips of the agent that waited for most
    tallies: list[list[int]] = field(default_factory=list)  # opinion counts before round 1, after round 1, …


def tally_of(opinions: Sequence[int], kinds: int) -> list[int]:
    """How many agents hold each opinion."""
    tally = [0] * kinds
    for opinion in opinions:
        tally[opinion] += 1
    return tally


def synchronous(
    rule: Rule,
    counts: Sequence[int],
    seed: int,
    *,
    neighbours: Sequence[Sequence[int]] | None = None,
    max_rounds: int = 10_000,
) -> Outcome:
    """Rounds until consensus: everybody asks for opinions at the round's start and adopts at its end."""
    opinions, kinds = deal(counts, seed), len(counts)
    count = len(opinions)
    outcome = Outcome(consensus(counts, kinds), tallies=[tally_of(opinions, kinds + 1)])
    while outcome.winner is None and outcome.rounds < max_rounds:
        outcome.rounds += 1
        after, most = [], 0
        for agent in range(count):
            stream = Stream(f"{seed}/{agent}/{outcome.rounds}")
            near = None if neighbours is None else neighbours[agent]
            update = Update(rule, agent, opinions[agent], count, stream, near)
            finish(update, opinions)
            after.append(update.adopted)
            outcome.samples += update.samples
            most = max(most, update.trips)
        opinions = after
        outcome.updates += count
        outcome.critical_trips += most
        outcome.tallies.append(tally_of(opinions, kinds + 1))
        outcome.winner = consensus(outcome.tallies[-1], kinds)
    outcome.time = float(outcome.rounds)
    return outcome


def poisson(
    rule: Rule,
    counts: Sequence[int],
    seed: int,
    *,
    neighbours: Sequence[Sequence[int]] | None = None,
    max_time: float = 10_000.0,
) -> Outcome:
    """Every agent updates at the ticks of its own Poisson clock of rate 1; an update takes no time."""
    opinions, kinds = deal(counts, seed), len(counts)
    count = len(opinions)
    clocks = [Stream(f"{seed}/{agent}/clock") for agent in range(count)]
    ticks = [(clock.exponential(), agent) for agent, clock in enumerate(clocks)]
    heapq.heapify(ticks)
    made = [0] * count
    tally = tally_of(opinions, kinds + 1)
    outcome = Outcome(consensus(tally, kinds), tallies=[list(tally)])
    while outcome.winner is None and ticks[0][0] < max_time:
        outcome.time, agent = ticks[0]
        heapq.heapreplace(ticks, (outcome.time + clocks[agent].exponential(), agent))
        made[agent] += 1
        near = None if neighbours is None else neighbours[agent]
        update = Update(rule, agent, opinions[agent], count, Stream(f"{seed}/{agent}/{made[agent]}"), near)
        finish(update, opinions)
        outcome.samples += update.samples
        outcome.updates += 1
        if update.adopted != opinions[agent]:
            tally[opinions[agent]] -= 1
            tally[update.adopted] += 1
            opinions[agent] = update.adopted
            outcome.winner = consensus(tally, kinds) if tally[update.adopted] == count else None
        if outcome.updates % count == 0:
            outcome.tallies.append(list(tally))
    outcome.rounds = round(outcome.time)
    return outcome


def finish(update: Update, opinions: Sequence[int]) -> None:
    """Carry an update through on a network without delay."""
    while query := update.ask():
        number, agent = query
        update.hear(number, opinions[agent])
