"""Plans over links that change while chunks are on the way.

One chunk is planned exactly, at the instants at which it crosses (`search`). Several chunks keep a link busy over a
span of time, so each window that begins now and ends at a change is planned on the worst that links are within it; a
plan counts where it is through by the end of its window. Invariant: no plan promises what a link cannot hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from nodes.pipeline.planner.problem import Problem
from nodes.pipeline.planner.search import Found, Infeasible, best

MOST_WINDOWS = 32


def best_of_windows(problem: Problem) -> Found:
    """The best of the plans that keep within their windows. Infeasible where none does."""
    found: Found | None = None
    for until_s in _ends(problem):
        within = replace(
            problem, links={pair: link.worst(problem.start_s, until_s) for pair, link in problem.links.items()}
        )
        try:
            other = best(within)
        except Infeasible:
            continue
        if problem.start_s + other.delay_s <= until_s and (found is None or other.delay_s < found.delay_s):
            found = other
    if found is None:
        raise Infeasible("no plan that is through before its links change", "one or more")
    return found


def _ends(problem: Problem) -> Iterator[float]:
    """Ends of windows: changes of links, and never."""
    changes = {
        span.until_s for link in problem.links.values() for span in link.spans if problem.start_s < span.until_s < inf
    }
    yield from sorted(changes)[: MOST_WINDOWS - 1]
    yield inf
