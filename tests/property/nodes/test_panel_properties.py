"""All panels of our protocols: whatever records come in whatever order, what they show keeps its shape and size."""

from __future__ import annotations

import json
import random
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.sdk.protocol import MOST_CELLS, MOST_POINTS, Panel, PanelContext, load

VIEW_BYTES = 8_000
TIME = st.floats(-1.0, 1e5)
COUNT = st.integers(0, 400)
NODES = tuple(f"n{number}" for number in range(8))
NODE = st.sampled_from([*NODES, "observer", ""])
VALUE = st.floats(0.0, 1e10)


def event(kind: str, **fields: Any) -> Any:
    return st.tuples(st.just("event"), TIME, NODE, st.just(kind), st.fixed_dictionaries(fields))


def sample(*names: str) -> Any:
    return st.tuples(st.just("sample"), TIME, NODE, st.sampled_from(names), VALUE, NODE)


NAMES = st.lists(NODE, max_size=4)
SLOT = st.tuples(COUNT, st.integers(0, 9)).map(list)
RECORDS = {
    "traffic": st.one_of(
        sample("rtt_s", "owd_s", "probe_lost", "goodput_bps", "flow_bytes", "latency_s"),
        event("probe", peer=NODE, sent=COUNT, received=COUNT, lost=COUNT),
        event("flow", peer=NODE, flow=COUNT, bytes=COUNT, duration_s=VALUE, mean_bps=VALUE),
        event("flow-broken", peer=NODE, flow=COUNT, text=st.text(max_size=9)),
        event("request-failed", peer=NODE, text=st.text(max_size=9)),
    ),
    "plurality": st.one_of(
        event("round", round=COUNT, time=st.floats(0, 400), tally=st.lists(COUNT, min_size=4, max_size=4)),
        event("round", round=COUNT, time=VALUE, tally=st.just([3, 0, 0, 1]), samples=COUNT, lost=COUNT),
        event("agents", rounds=st.just([]), samples=COUNT),
    ),
    "amnesiac": st.one_of(
        event("flood", round=st.integers(1, 400), to=NAMES, heard=NAMES, received=COUNT, in_slot=COUNT),
        event("flood-refused", count=COUNT),
    ),
    "explorer": st.one_of(
        event(
            "explore", step=COUNT, node=st.integers(0, 7), seen=COUNT, doors=st.lists(st.integers(0, 7), max_size=3),
            move=st.integers(-1, 7), moves=COUNT, waits=COUNT, replans=COUNT, sweeps=COUNT,
        ),
        event("carried", step=COUNT, by=st.integers(0, 7), in_slot=st.booleans()),
        event("carry-failed", step=COUNT, to=st.integers(0, 7), text=st.text(max_size=9), unsure=st.booleans()),
        event("edges", step=COUNT, present=st.lists(st.just([0, 1]), max_size=2)),
    ),
    "dagbft": st.one_of(
        event("header", round=COUNT, parents=st.lists(st.integers(0, 9), max_size=8)),
        event("advance", round=COUNT),
        event("early", round=COUNT, author=st.integers(0, 9)),
        event(
            "commit", index=COUNT, leader=SLOT, mode=st.sampled_from(["steady", "fallback"]),
            blocks=st.lists(SLOT, max_size=9), transactions=COUNT,
        ),
        event("commit", index=COUNT, leader=SLOT, mode=st.just("steady"), blocks=st.lists(SLOT, max_size=9)),
        event("tally", early_ok=COUNT, early_wrong=COUNT),
        event("tally", counts=st.just({})),
        event("breach", text=st.text(max_size=9)),
        sample("commit_latency_s", "early_latency_s", "spec_latency_s", "link_s", "early_ok", "early_wrong"),
    ),
    "ibc": st.one_of(
        event(
            "block", chain=st.sampled_from(["a-1", "b-1"]), height=COUNT, txs=COUNT, failed=COUNT, gas=COUNT,
            settled=COUNT,
        ),
        event("path", text=st.text(max_size=9)),
        event("misbehaviour", text=st.text(max_size=9)),
        event("audit", sent=COUNT, acknowledged=COUNT, lost=COUNT, stuck=COUNT, escrows=COUNT, escrow_errors=COUNT),
        st.tuples(st.just("sample"), TIME, NODE, st.just("stage_s"), VALUE, st.sampled_from(["event", "proof"])),
        sample("latency_s", "backlog_size", "client_age_s", "parked", "mempool_txs", "block_work_s"),
    ),
    "xroute": st.one_of(
        event("block", chain=st.sampled_from(["a-1", "b-1"]), height=COUNT, txs=COUNT, failed=COUNT, gas=COUNT),
        event("audit", sent=COUNT, delivered=COUNT, violations=COUNT, lost=COUNT, stuck=COUNT),
        sample("latency_s", "jobs", "delivered", "settled", "rerouted"),
    ),
}  # fmt: skip
RING = [[number, (number + 1) % 8] for number in range(8)]
CONFIGS: dict[str, dict[str, Any]] = {
    "traffic": {"flows": ["n0 -> n1", "n2 -> n3"]},
    "plurality": {"counts": [10, 5, 5], "protocol": "dejavu"},
    "amnesiac": {
        "edges": [[f"n{a}", f"n{b}"] for a, b in RING], "sources": ["n0"], "rounds": 300, "prefix": 2, "period": 3,
        "delays": [[1, "n0", "n1", 2]],
    },
    "explorer": {"nodes": 8, "edges": RING, "visibility": "kt0", "max_steps": 100},
    "dagbft": {"validators": list(NODES)},
    "ibc": {"chain_id": "a-1"},
    "xroute": {"chain_id": "a-1"},
}  # fmt: skip
KNOWN = {"round": 3, "messages": 5, "terminates": True, "seen": 3, "moves": 3, "waits": 0, "replans": 0, "steps": 3}


def panel_of(name: str, nodes: tuple[str, ...] = NODES, **given: Any) -> Panel:
    protocol = load(f"nodes.{name}.protocol:PROTOCOL")
    configs = {"a program": given.pop("config", CONFIGS[name])}
    panel = load(protocol.panel)(PanelContext(nodes, configs, {}, (), 60.0, **given))
    assert isinstance(panel, Panel)
    return panel


def feed(panel: Panel, record: tuple[Any, ...]) -> None:
    getattr(panel, record[0])(*record[1:])


def check(panel: Panel, t_s: float) -> None:
    """What `emulator.sdk.protocol` says of widgets."""
    widgets = panel.widgets(t_s)
    assert widgets
    assert len(msgpack.packb(widgets)) <= VIEW_BYTES
    json.dumps(widgets, allow_nan=False)
    for widget in widgets:
        match widget["kind"]:
            case "chart":
                assert 1 <= len(widget["x"]) <= MOST_POINTS
                assert widget["x"] == sorted(set(widget["x"]))
                assert all(len(series["values"]) == len(widget["x"]) for series in widget["series"])
            case "grid":
                assert sum(len(cells) for _, cells in widget["rows"]) <= MOST_CELLS
                assert len({len(cells) for _, cells in widget["rows"]}) == 1
                assert all(len(character) == 1 for character in widget["tones"])
                assert all(character in widget["legend"] for character in widget["tones"] if character.strip())
            case "bars":
                assert all(0.0 <= share <= 1.0 for _, share, _ in widget["rows"])
            case "listing":
                assert all(len(row) == len(widget["columns"]) for row in widget["rows"])
            case "facts":
                assert all(len(row) == 2 for row in widget["rows"])


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_nothing_told_yet(name: str) -> None:
    check(panel_of(name), -1.0)
    check(panel_of(name, config={}), 0.0)


@pytest.mark.parametrize("name", sorted(RECORDS))
@settings(max_examples=30)
@given(data=st.data(), predicted=st.booleans(), known=st.booleans())
def test_any_records_in_any_order(name: str, data: st.DataObject, predicted: bool, known: bool) -> None:
    given: dict[str, Any] = {"prediction": KNOWN} if predicted else {}
    panel = panel_of(name, config=CONFIGS[name] if known else {}, **given)
    for record in data.draw(st.lists(RECORDS[name], max_size=30)):
        feed(panel, record)
    check(panel, data.draw(TIME))


def test_large_traffic() -> None:
    nodes = tuple(f"gs-a-long-name-of-a-station-{number}" for number in range(60))
    flows = [f"{nodes[number]} -> {nodes[number + 1]}" for number in range(0, 40, 2)]
    panel, rng = panel_of("traffic", nodes, config={"flows": flows}), random.Random(1)
    for t_s in range(200):
        for node in nodes[:20]:
            for name in ("rtt_s", "probe_lost", "goodput_bps", "flow_bytes", "latency_s"):
                panel.sample(t_s * 0.5, node, name, rng.random(), rng.choice(nodes))
            panel.sample(t_s * 0.5, nodes[t_s % 20 * 2], "rtt_s", rng.random(), nodes[t_s % 20 * 2 + 1])
    check(panel, 100.0)


def test_large_plurality() -> None:
    panel, rng = panel_of("plurality", config={"counts": [1000] * 600, "protocol": "dejavu"}), random.Random(1)
    for round in range(120):
        tally = [rng.randrange(2000) for _ in range(600)]
        panel.event(round * 0.1, "a0", "round", {"round": round, "time": float(round), "tally": [*tally, 0]})
    check(panel, 50.0)


def test_large_amnesiac() -> None:
    nodes = tuple(f"n{number}" for number in range(500))
    edges = [[node, nodes[number - 1]] for number, node in enumerate(nodes)]
    panel = panel_of("amnesiac", nodes, config={"edges": edges, "sources": ["n0"], "rounds": 1000})
    for round in range(1, 400):
        for number in range(0, 500, 7):
            fields = {
                "round": round,
                "to": [nodes[number - 1]],
                "heard": [nodes[number - 2]],
                "received": 1,
                "in_slot": 1,
            }
            panel.event(round * 0.04, nodes[number], "flood", fields)
    check(panel, 20.0)


def test_large_explorer() -> None:
    edges = [[number, (number + 1) % 512] for number in range(512)]
    panel = panel_of("explorer", config={"nodes": 512, "edges": edges, "visibility": "kt1", "max_steps": 9999})
    for step in range(600):
        node = step % 512
        fields = {"step": step, "node": node, "doors": [(node + 1) % 512], "moves": step, "waits": 0, "replans": 0}
        panel.event(step * 0.1, f"n{node}", "explore", fields)
    check(panel, 60.0)


def test_large_dagbft() -> None:
    nodes = tuple(f"validator-of-a-long-name-{number}" for number in range(100))
    panel, rng = panel_of("dagbft", nodes, config={"validators": list(nodes)}), random.Random(1)
    for round in range(1, 120):
        t_s = round * 0.4
        for number, node in enumerate(nodes):
            panel.event(t_s, node, "header", {"round": round, "parents": list(range(67))})
            if number % 25 == 0:
                blocks = [[round - 3, author] for author in range(100)] if round > 3 else []
                for at, author in blocks:
                    panel.event(t_s, node, "early", {"round": at + 1, "author": author})
                fields = {"index": round, "leader": [round - 3, 1], "mode": "steady", "blocks": blocks}
                panel.event(t_s, node, "commit", {**fields, "transactions": 1000})
            for name in ("commit", "early", "spec"):
                panel.sample(t_s, node, f"{name}_latency_s", rng.random(), "alpha")
    check(panel, 120.0)
