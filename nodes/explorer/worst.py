"""Exact worst case of a ring with a known schedule: how long T-interval connectivity can delay the best walk.

The adversary chooses, for every step, the missing edge of the ring (none or one), such that T consecutive steps never
miss two different ones. The agent knows the whole schedule and takes the best walk. The search finds the schedule for
which the best walk covers the ring latest. For one schedule all walks are followed at once: the state of a walk is its
position and the arc that it has seen. Published for this problem: Ilcinkas and Wade, "On the power of waiting when
exploring public transportation systems" and "Exploration of the T-interval-connected dynamic graphs: the case of the
ring" (2n - T - Theta(1)). The exact values found here are max(2n-T-1, floor(3(n-1)/2)) for T >= 2, and 2n-3 for T = 1.

Invariant: all walks and all schedules are searched, except dominated ones: a walk that has seen less than another at
the same position, and a schedule that allows the walks all positions that another one allows them, and more.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit

Walk = tuple[int, int, int]  # position, seen to the left, seen to the right; all counted from the start
Walks = frozenset[Walk]


@dataclass(frozen=True, slots=True)
class _Branch:
    """A schedule so far: states of its walks, the last gap, steps for which it must not change, and all gaps."""

    walks: Walks
    gap: int  # -1: none yet
    locked: int  # steps in which no other edge may be missing
    gaps: tuple[int | None, ...]


def worst_ring(nodes: int, interval: int) -> tuple[int, tuple[int | None, ...]]:
    """Steps that the best walk needs under the worst schedule, and that schedule (see `schedules.ring_gap`).

    Node 0 is the start. Gap k is the edge between k and k+1. Fast up to 8 nodes. ValueError for fewer than 3 nodes.
    """
    if nodes < 3:
        raise Unfit(f"ring of {nodes} nodes", "at least 3")
    if interval < 1:
        raise Unfit(f"interval {interval}", "at least 1")
    branches = [_Branch(frozenset({(0, 0, 0)}), -1, 0, ())]
    steps = 0
    while True:
        fresh: dict[tuple[int, int], list[_Branch]] = {}
        for branch in branches:
            for gap in (None, *range(nodes)):
                after = _after(branch, gap, nodes, interval)
                if after is not None:
                    _keep(fresh.setdefault((after.gap, after.locked), []), after)
        if not fresh:
            return steps + 1, branches[0].gaps
        branches = [branch for kept in fresh.values() for branch in kept]
        steps += 1


def _after(branch: _Branch, gap: int | None, nodes: int, interval: int) -> _Branch | None:
    """The branch after one step; None if a walk has then covered the ring, or this edge must not be missing."""
    last, locked = branch.gap, max(0, branch.locked - 1)
    if gap is not None:
        if gap != last and branch.locked:
            return None
        last, locked = gap, interval - 1
    walks = _move(branch.walks, gap, nodes)
    if walks is None:
        return None
    return _Branch(walks, last if locked else -1, locked, (*branch.gaps, gap))


def _move(walks: Walks, gap: int | None, nodes: int) -> Walks | None:
    """All walks after one step, without dominated ones; None if one of them has seen every node."""
    moved: set[Walk] = set()
    for position, left, right in walks:
        moved.add((position, left, right))
        if gap is None or position % nodes != gap:
            moved.add((position + 1, left, max(right, position + 1)))
        if gap is None or (position - 1) % nodes != gap:
            moved.add((position - 1, min(left, position - 1), right))
    if any(right - left >= nodes - 1 for _, left, right in moved):
        return None
    return frozenset(walk for walk in moved if not any(_beats(other, walk) for other in moved))


def _beats(better: Walk, worse: Walk) -> bool:
    return better[0] == worse[0] and better != worse and better[1] <= worse[1] and better[2] >= worse[2]


def _keep(kept: list[_Branch], fresh: _Branch) -> None:
    """Add a branch to those of the same lock unless one of them dominates it; drop those that it dominates."""
    if any(_within(each.walks, fresh.walks) for each in kept):
        return
    kept[:] = [each for each in kept if not _within(fresh.walks, each.walks)]
    kept.append(fresh)


def _within(fewer: Walks, more: Walks) -> bool:
    """Whether `more` has every walk of `fewer`, or a better one."""
    return all(walk in more or any(_beats(other, walk) for other in more) for walk in fewer)
