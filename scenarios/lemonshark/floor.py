"""The floor of round times: how fast rounds could follow each other if links were the only thing that takes time.

Invariant: nothing of the implementation is in it, only delays, so a measured round is never shorter where links are as
slow as asked. An author's block of a round is certified when its header has gone out and the votes of a quorum have
come back; a validator enters the next round when it holds a quorum of certificates, and with a grace then waits so long
for those of the others. So a round is three one-way trips, and its length settles in the recurrence below (it is a mean
over some rounds). Waits for leaders are left out: without faults their blocks come as early as others.
"""

from __future__ import annotations

from collections.abc import Sequence

ROUNDS = 40
SETTLED = 10  # rounds at the beginning that do not count


def round_floor_s(
    delay_s: Sequence[Sequence[float]], quorum: int, absent: frozenset[int] = frozenset(), grace_s: float = 0.0
) -> float:
    """Mean length of a round. `delay_s[a][b]` is the way from a to b, `absent` are validators that do nothing.

    ValueError where fewer than a quorum are there: such a committee has no rounds.
    """
    there = [number for number in range(len(delay_s)) if number not in absent]
    if len(there) < quorum:
        raise ValueError(f"{len(there)} validators of a quorum of {quorum}; wanted a quorum at least")
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
            patient_s = held_s[quorum - 1] + grace_s
            enters_s[b] = patient_s if absent else min(held_s[-1], patient_s)
    return (_mean(enters_s) - settled_s) / (ROUNDS - SETTLED)


def _mean(times_s: dict[int, float]) -> float:
    return sum(times_s.values()) / len(times_s)
