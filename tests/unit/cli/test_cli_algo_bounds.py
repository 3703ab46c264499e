"""`skyloom algo` on files that are large, endless or hostile: answers in seconds and bounded memory, or an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
sys.argv = ["skyloom", "algo", *sys.argv[1:]]
from emulator.cli import main
main()
"""
MANY = 100_000
ADVERSARY = {"format": "skyloom-adversary/1"}


def algo(*words: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`skyloom algo WORDS` within 1 GiB of memory and a minute."""
    command = [sys.executable, "-c", BOUNDED, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def said(*words: str | Path) -> str:
    done = algo(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*words: str | Path) -> str:
    done = algo(*words)
    assert done.returncode == 65, done.stderr
    assert done.stderr.startswith("skyloom: ")
    assert "; expected " in done.stderr
    assert len(done.stderr) < 2000
    return done.stderr


def written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(json.dumps(document))
    return path


def rdaf(path: Path, edges: list[tuple[int, int]], **more: Any) -> Path:
    return written(path / "case.json", {**ADVERSARY, "graph": {"edges": edges}, **more})


def test_a_graph_of_a_thousand_million_nodes_in_a_small_file(tmp_path: Path) -> None:
    edges = [(0, 10**9)]
    assert "graph.nodes is 1000000001; expected 1 to 100000" in refused("rdaf", "decide", rdaf(tmp_path, edges))
    huge = {**ADVERSARY, "graph": {"nodes": 10**9, "edges": [[0, 1]]}}
    assert "graph.nodes is 1000000000" in refused("rdaf", "decide", written(tmp_path / "huge.json", huge))
    schedule = {"nodes": 10**9, "snapshots": [[]]}
    assert "expected a whole number, 1 to 100000" in refused("tinterval", written(tmp_path / "t.json", schedule))


def test_flooding_of_a_large_cycle(tmp_path: Path) -> None:
    """As many rounds as nodes, two messages in each: quadratic memory and time where each edge has a mask of bits."""
    odd = MANY - 1
    edges = [(node, (node + 1) % odd) for node in range(odd)]
    assert said("rdaf", "decide", rdaf(tmp_path, edges)) == f"terminates at round {odd}, {2 * odd} messages\n"
    late = [{"round": 1, "edge": [0, 1], "delay": 10_000}]  # as late as a message may be
    assert said("rdaf", "decide", rdaf(tmp_path, edges, prefix=1, events=late)).startswith("terminates")


def test_flooding_of_a_large_star_and_tree(tmp_path: Path) -> None:
    star = [(0, leaf) for leaf in range(1, MANY)]
    assert said("rdaf", "decide", rdaf(tmp_path, star)) == f"terminates at round 1, {MANY - 1} messages\n"
    assert said("rdaf", "decide", rdaf(tmp_path, star, sources=[7])) == f"terminates at round 2, {MANY - 1} messages\n"
    everybody = list(range(MANY))
    assert said("rdaf", "decide", rdaf(tmp_path, star, sources=everybody)).startswith("terminates at round 1,")


def test_a_repeated_edge_among_many(tmp_path: Path) -> None:
    path = [(node, node + 1) for node in range(MANY - 1)]
    twice = [*path, (MANY - 1, MANY - 2)]
    assert f"edges[{MANY - 1}] joins {MANY - 1} and {MANY - 2} once" in refused("rdaf", "decide", rdaf(tmp_path, twice))
    schedule = {"nodes": MANY, "snapshots": [twice]}
    found = refused("tinterval", written(tmp_path / "t.json", schedule))
    assert f"$.snapshots[0][{MANY - 1}]: edge [{MANY - 2}, {MANY - 1}] a second time" in found


def test_an_edge_that_is_none_of_a_hub(tmp_path: Path) -> None:
    star = [(0, leaf) for leaf in range(1, MANY)]
    events = [{"round": 1, "edge": [0, 0], "delay": 1}]
    assert "(0 has the neighbours 1, 2," in refused("rdaf", "decide", rdaf(tmp_path, star, events=events))


def test_order_of_messages_over_many_rounds(tmp_path: Path) -> None:
    """Each edge late for long, and a period as long as there may be."""
    path = [(node, node + 1) for node in range(MANY - 1)]
    events = [{"round": 1, "edge": edge, "delay": 10_000} for edge in path]
    case = rdaf(tmp_path, path, period=1_000_000, events=events, fifo=True)
    assert "events[0].delay lets round 2 overtake round 1 on 0 to 1" in refused("rdaf", "decide", case)


def test_flooding_without_an_end_is_given_up(tmp_path: Path) -> None:
    """A large graph, each message lost by chance: so many messages that no memory and nobody's patience holds them."""
    side = 100
    grid = [(node, node + 1) for node in range(side**2) if (node + 1) % side]
    grid += [(node, node + side) for node in range(side**2 - side)]
    events = [{"round": 1 + place % 997, "edge": edge, "delay": 1 + place % 7} for place, edge in enumerate(grid)]
    case = rdaf(tmp_path, grid, period=997, events=events)
    command = "from nodes.amnesiac import engine; engine.MOST_MESSAGES = 300_000"  # so that the test takes seconds
    done = subprocess.run(
        [sys.executable, "-c", f"{command}\n{BOUNDED}", "rdaf", "decide", str(case)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "within 300,000 messages; expected a smaller graph" in done.stdout


@pytest.mark.parametrize("period", [0, 1, 1000])
def test_a_million_equal_steps(tmp_path: Path, period: int) -> None:
    edges = [(node, node + 1) for node in range(9_999)]
    steps = 1_000_000
    schedule = {"nodes": 10_000, "edges": edges, "steps": steps, "events": [], "period": period}
    answer = json.loads(said("tinterval", written(tmp_path / "t.json", schedule), "--json"))
    assert (answer["steps"], answer["finite_t"], answer["periodic_t"]) == (steps, steps, None)
    events = [
        {"step": steps // 2, "edge": [0, 2], "present": True},
        {"step": steps - 1, "edge": [0, 1], "present": False},
    ]
    schedule |= {"events": events}
    answer = json.loads(said("tinterval", written(tmp_path / "t.json", schedule), "--json"))
    assert answer["finite_t"] == steps // 2


def test_many_nodes_and_edges_of_a_schedule(tmp_path: Path) -> None:
    path = [(node, node + 1) for node in range(MANY - 1)]
    schedule = {"nodes": MANY, "snapshots": [path, [*path, (0, MANY - 1)], path[1:]]}
    answer = json.loads(said("tinterval", written(tmp_path / "t.json", schedule), "--json"))
    assert (answer["edges"], answer["finite_t"], answer["periodic_t"]) == (MANY, 0, 0)


def test_too_many_edges_over_all_steps(tmp_path: Path) -> None:
    """A small file of edges and events, each of which would make a snapshot of its own."""
    path = [(node, node + 1) for node in range(MANY - 1)]
    events = [{"step": step, "edge": [0, 2], "present": step % 2 == 1} for step in range(1, 1000)]
    schedule = {"nodes": MANY, "edges": path, "steps": 1000, "events": events}
    assert "more than 2000000 edges" in refused("tinterval", written(tmp_path / "t.json", schedule))


def test_a_graph_file_of_millions_of_edges(tmp_path: Path) -> None:
    file = tmp_path / "many.edges"
    file.write_text("".join(f"{node} {node + 1}\n" for node in range(2_000_000)))
    assert "more than 1,000,000 lines of edges" in refused("rdaf", "decide", "--graph", file)


@pytest.mark.parametrize("words", [("rdaf", "decide"), ("tinterval",)], ids=" ".join)
def test_a_file_without_an_end(words: tuple[str, ...]) -> None:
    assert "more than 50,000,000 bytes" in refused(*words, "/dev/zero")


@pytest.mark.parametrize("words", [("rdaf", "decide"), ("tinterval",)], ids=" ".join)
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\xff\xfe", "byte 0 is no UTF-8"),
        (b"[" * 1_000_000, "nested too deep"),
        (b'{"nodes": ' + b"1" * 5000 + b"}", "a number of more than 4300 digits"),
        (b'{"nodes": 1, "nodes": 2}', 'key "nodes" stands twice in one object'),
        (b'{"graph": {"a": {"n": 1, "x": 0, "n": 1}}}', 'key "n" stands twice'),
        (b'{"nodes": NaN}', "NaN; expected numbers that JSON has"),
        (b'{"nodes": 1e999, "snapshots": [], "format": "skyloom-adversary/1"}', "; expected "),
        (b"", "line 1, character 1: Expecting value; expected JSON"),
    ],
)  # fmt: skip
def test_what_is_no_json_of_ours(tmp_path: Path, words: tuple[str, ...], data: bytes, found: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(data)
    assert found in refused(*words, file)
