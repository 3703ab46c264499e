"""Drawings of amnesiac flooding: the run in space and time, and what the offline engine knows about its surroundings.

Invariant: what was observed and what was computed are told apart in every drawing, by marker and legend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from emulator.report.drawing import PALETTE, Drawing, new
from nodes.amnesiac.adversary import Adversary
from nodes.amnesiac.engine import decide
from nodes.amnesiac.generators import adversary_of
from nodes.amnesiac.graph import Graph
from nodes.amnesiac.oracle import termination_round
from topologies.graph import graph_of

if TYPE_CHECKING:
    import polars

    from scenarios.amnesiac.observed import Observed

BLUE, RED, GREEN = PALETTE[:3]
MOST_ROUNDS = 48  # that a drawing shows
MOST_NODES = 64
MOST_LINES = 300
NAMED = (
    "path:5", "star:5", "cycle:4", "cycle:6", "cycle:8", "grid:4x4", "cycle:3", "complete:4", "cycle:5", "petersen",
    "karate", "torus:5x5", "cycle:7",
)  # fmt: skip
TRIANGLE = Graph.of(3, [(0, 1), (0, 2), (1, 2)])


def is_cycle(graph: Graph) -> bool:
    return graph.nodes >= 3 and all(len(names) == 2 for names in graph.neighbours)


def space_time(seen: Observed) -> Drawing:
    """Messages as lines from the begin of the round in which they were sent to the end of that in which they came."""
    from matplotlib.collections import LineCollection

    rounds = min(MOST_ROUNDS, max(seen.last_active, 1))
    while rounds > 4 and sum(len(edges) for round, edges in seen.sends.items() if round <= rounds) > MOST_LINES:
        rounds -= 1
    nodes = min(MOST_NODES, seen.graph.nodes)
    lines: dict[str, list[list[tuple[float, float]]]] = {"in time": [], "late": [], "not heard": []}
    for round, edges in seen.sends.items():
        for a, b in edges:
            if round > rounds or max(a, b) >= nodes:
                continue
            delay = seen.adversary.fate(round, (a, b))
            came = (a, b) in seen.heard.get(round + delay, [])
            kind = "not heard" if not came else "late" if delay else "in time"
            part = 0.5 if kind == "not heard" else 1.0  # what did not come ends half-way
            lines[kind].append([(round, a), (round + part * (1 + delay), a + part * (b - a))])
    figure, axes = new(7.0, max(2.4, min(7.0, 0.28 * nodes + 1.2)))
    looks = {"in time": (BLUE, "solid"), "late": (RED, "solid"), "not heard": ("#8a8a8a", "dotted")}
    for kind, (colour, dash) in looks.items():
        if lines[kind]:
            axes.add_collection(LineCollection(lines[kind], colors=colour, linestyles=dash, linewidths=1.2, label=kind))
    axes.set(xlim=(0.8, rounds + 2.2), ylim=(nodes - 0.6, -0.4), xlabel="begin of round", ylabel="node")
    if nodes <= 16:
        axes.set_yticks(range(nodes))
    if sum(map(bool, lines.values())) > 1:
        axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.14))
    cut = f" The first {rounds} rounds of {seen.last_active}." if rounds < seen.last_active else ""
    caption = f"Each line is one message, as the nodes recorded it: {seen.messages} in all.{cut}"
    return Drawing("space-time", "The run in space and time", caption, figure)


def verdict_map(nodes: int) -> Drawing:
    """On a cycle of `nodes`, one message late, once: rounds until the end, by when it was sent and how late it came."""
    graph = Graph.of(nodes, [(node, (node + 1) % nodes) for node in range(nodes)])
    starts = range(1, max(2, termination_round(graph, [0]) // (1 + nodes % 2) + 1))
    delays = range(nodes + 1)
    figure, axes = new(7.0, 0.3 * len(starts) + 1.6)
    for start in starts:
        a, b = (start - 1) % nodes, start % nodes
        for delay in delays:
            decision = decide(graph, [0], adversary_of(f"late:edge={a}-{b},round={start},delay={delay}", graph, [0]))
            never = decision.verdict == "endless"
            axes.fill_between(
                [delay - 0.5, delay + 0.5], start - 0.5, start + 0.5, color=RED if never else "#cfe3f1", lw=0
            )
            word, ink = ("never", "white") if never else (str(decision.round), "#262626")
            axes.text(delay, start, word, ha="center", va="center", color=ink, fontsize=8.5)
    axes.grid(visible=False)
    axes.set(xlim=(-0.5, nodes + 0.5), ylim=(starts[-1] + 0.5, 0.5), xticks=delays, yticks=starts)
    axes.set(xlabel="rounds by which it is late", ylabel="sent in round")
    caption = (
        f"Cycle of {nodes}, source 0: the message that goes round by 0, 1, 2, … is late once. The number is the round "
        "in which flooding ends. Computed by the offline engine."
    )
    return Drawing("verdict-map", "One late message", caption, figure)


def program_line(observed: Mapping[int, int]) -> Drawing:
    """Round of the end against the steps of the program that the adversary runs; `observed`: steps to round."""
    most = max([12, *observed])
    steps = range(most + 1)
    ends = [decide(TRIANGLE, [0], adversary_of(f"program:steps={step}", TRIANGLE, [0])).round for step in steps]
    figure, axes = new()
    axes.plot([0, most], [3, 4 * most + 3], color="#8a8a8a", label="4 · steps + 3")
    axes.plot(steps, ends, "o", color=BLUE, label="offline engine")
    if observed:
        axes.plot(
            list(observed), list(observed.values()), "o", mfc="none", ms=9, color=RED, label="observed over sockets"
        )
    axes.set(xlabel="steps of the program", ylabel="round of the end")
    axes.legend(loc="best")
    caption = (
        "On the triangle the adversary holds messages while a program runs: who knows the end knows that it halts."
    )
    return Drawing("program-line", "Flooding ends when a program halts", caption, figure)


def bounds(observed: Mapping[str, list[tuple[Graph, int]]]) -> Drawing:
    """Round of the end between e and e + D + 1, without an adversary; `observed`: graphs and rounds by name."""
    computed = {name: graph for name in NAMED if (graph := _named(name, 1)) is not None}
    computed |= {name: rows[0][0] for name, rows in observed.items() if rows}
    names = sorted(computed, key=lambda name: (termination_round(computed[name], [0]), name))
    figure, axes = new(7.0, 3.6)
    for place, name in enumerate(names):
        graph = computed[name]
        low = graph.eccentricity([0])
        axes.plot([place, place], [low, low + graph.diameter + 1], color="#b8b8b8", lw=5, solid_capstyle="butt",
                  label="from e to e + D + 1" if not place else None)  # fmt: skip
    ends = [decide(computed[name], [0], Adversary()).round for name in names]
    axes.plot(range(len(names)), ends, "o", color=BLUE, label="offline engine")
    seen = [(names.index(name), round) for name, rows in observed.items() for _, round in rows]
    if seen:
        axes.plot(*zip(*seen, strict=True), "o", mfc="none", ms=9, color=RED, label="observed over sockets")
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_ylabel("round of the end")
    axes.legend(loc="best")
    caption = "Source 0, nothing late. Bipartite graphs end in round e, the source's eccentricity, others by e + D + 1."
    return Drawing("bounds", "When flooding ends", caption, figure)


def of_sweep(table: polars.DataFrame) -> list[Drawing]:
    """Drawings of a sweep's table: over `graph` without an adversary, over `adversary` with programs that halt."""
    made = []
    rows = [row for row in table.iter_rows(named=True) if row.get("round") is not None]
    if "graph" in table.columns and table["graph"].n_unique() > 1 and "sources" not in table.columns:
        by_name: dict[str, list[tuple[Graph, int]]] = {}
        for row in rows:
            graph = _named(row["graph"], row.get("seed") or 1)
            if graph is not None and row.get("adversary", "none") == "none":
                by_name.setdefault(row["graph"], []).append((graph, int(row["round"])))
        made.append(bounds(by_name))
    if "adversary" in table.columns:
        programs = [row for row in rows if str(row["adversary"]).startswith("program:")]
        ends = {adversary_of(row["adversary"], TRIANGLE, [0]).prefix // 4: int(row["round"]) for row in programs}
        if ends:
            made.append(program_line(dict(sorted(ends.items()))))
    return made


def _named(spec: str, seed: int) -> Graph | None:
    """The graph of a name; None for files, which are relative to a place that a sweep's table does not tell."""
    try:
        found = graph_of(spec, seed, ".")
        return Graph.of(len(found), list(found.edges))
    except ValueError:
        return None
