"""Latencies of blocks: from their making to an answer, at four places, for commit and for early finality.

Invariant: both rules are measured over the same blocks, those that were committed there, and an answer is the earlier
of the two: a block that is early is answered then, one that is not waits for its commit. So the ratio of the two means
says what early finality is worth to all transactions, not only to the lucky ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from statistics import fmean

from scenarios.lemonshark.observed import Observed, Slot

PLACES = ("earliest", "author", "f_plus_1", "last")
"""At the validator that knows first, at the block's author, when f + 1 know, and when all correct validators do."""


def at_author(seen: Observed) -> Iterator[tuple[Slot, float, float]]:
    """Of each block that its author has committed: the block, its latency to an answer and to its commit."""
    for block, made_s in seen.made.items():
        committed_s = seen.committed.get(block, {}).get(block[1])
        if committed_s is not None and block[1] in seen.correct:
            answered_s = min(committed_s, seen.early.get(block, {}).get(block[1], inf))
            yield block, answered_s - made_s, committed_s - made_s


def places(seen: Observed) -> dict[str, tuple[float, float]]:
    """By place: mean latency to an answer and to the commit, in seconds, over the blocks that were committed there.

    Only correct validators count. A place at which no block was committed is left out.
    """
    values: dict[str, list[tuple[float, float]]] = {place: [] for place in PLACES}
    values["author"] = [(answered_s, committed_s) for _, answered_s, committed_s in at_author(seen)]
    for block, made_s in seen.made.items():
        there = seen.committed.get(block, {})
        early = seen.early.get(block, {})
        commits_s = sorted(there[node] - made_s for node in seen.correct if node in there)
        answers_s = sorted(
            min(there[node], early.get(node, inf)) - made_s for node in seen.correct if node in there
        )  # over the same validators as the commits
        for place, at in (("earliest", 0), ("f_plus_1", seen.faults), ("last", len(seen.correct) - 1)):
            if 0 <= at < len(commits_s):
                values[place].append((answers_s[at], commits_s[at]))
    return {
        place: (fmean(answer for answer, _ in pairs), fmean(commit for _, commit in pairs))
        for place, pairs in values.items()
        if pairs
    }


def leader_commits_s(seen: Observed) -> list[float]:
    """Of each committed leader of a correct validator: from its making to its commit, at that validator."""
    leaders = [entry.leader for entry in seen.log().values() if entry.leader in seen.made]
    return [
        seen.committed[leader][leader[1]] - seen.made[leader]
        for leader in leaders
        if leader[1] in seen.correct and leader[1] in seen.committed[leader]
    ]


def percentile(values: Sequence[float], share: int) -> float:
    """The value below which so many of a hundred lie, between neighbours where it falls between two."""
    ordered, place = sorted(values), (len(values) - 1) * share / 100
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def early_share(seen: Observed) -> float | None:
    """Share of the blocks committed by their author that were early-final there before that."""
    found = [answered_s < committed_s for _, answered_s, committed_s in at_author(seen)]
    return fmean(found) if found else None


def round_s(seen: Observed) -> float | None:
    """Mean time between two own headers of consecutive rounds, over the correct validators, the first fifth left out:
    connections are made in it."""
    lengths = []
    for node in seen.correct:
        headers = sorted(seen.headers.get(node, []))
        headers = headers[len(headers) // 5 :]
        if len(headers) > 1 and headers[-1][1] > headers[0][1]:
            lengths.append((headers[-1][0] - headers[0][0]) / (headers[-1][1] - headers[0][1]))
    return fmean(lengths) if lengths else None
