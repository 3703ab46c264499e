"""The floor of round times: how fast rounds could follow each other if links were the only thing that takes time.

Invariant: nothing of the implementation is in it, only delays, so a measured round is never shorter where links are as
slow as asked. An author's block of a round is certified when its header has gone out and the votes of a quorum have
come back; a validator enters the next round when it holds a quorum of certificates. So a round is three one-way trips,
and its length settles in the recurrence below (it is a mean over some rounds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emulator.model.errors import Unfit

ROUNDS = 40
SETTLED = 10  # rounds at the beginning that do not count


def delays_of(wan: Mapping[str, Any], directory: str) -> list[list[float]]:
    """The way from each host to each other one, in seconds, from the table `[wan]` of `topologies.wan`."""
    from topologies.wan import Config, map_of

    table = Config.model_validate({"wan": wan}).wan
    map = map_of(table, directory)
    site = [host % len(map.sites) for host in range(table.hosts)]
    return [[map.one_way_s(a, b) or (table.local_s if a == b else 0.0) for b in site] for a in site]


def round_floor_s(delay_s: Sequence[Sequence[float]], quorum: int, absent: frozenset[int] = frozenset()) -> float:
    """Mean length of a round. `delay_s[a][b]` is the way from a to b, `absent` are validators that do nothing.

    ValueError where fewer than a quorum are there: such a committee has no rounds.
    """
    there = [number for number in range(len(delay_s)) if number not in absent]
    if len(there) < quorum:
        raise Unfit(f"{len(there)} validators of a quorum of {quorum}", "a quorum at least")
    votes_s = {
        a: sorted(delay_s[a][b] + delay_s[b][a] if b != a else 0.0 for b in there)[quorum - 1] for a in there
    }  # from header to certificate
    enters_s = dict.fromkeys(there, 0.0)
    settled_s = 0.0
    for round in range(ROUNDS):
        if round == SETTLED:
            settled_s = _mean(enters_s)
        certified_s = {a: enters_s[a] + votes_s[a] for a in there}
        for b in there:
            held_s = sorted(certified_s[a] + (delay_s[a][b] if a != b else 0.0) for a in there)
            enters_s[b] = held_s[quorum - 1]
    return (_mean(enters_s) - settled_s) / (ROUNDS - SETTLED)


def _mean(times_s: dict[int, float]) -> float:
    return sum(times_s.values()) / len(times_s)
