"""Four validators of a chain as processes on nodes of their own: killed, cut apart, and one chain in the end."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from skyloom_command import skyloom_in_time

from nodes.ibc.chain.consensus import Committee
from nodes.ibc.comet.commits import SignatureCache, verify_commit
from nodes.ibc.comet.json_form import read_signed_header

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

SCENARIO = """
name = "validators"
topology = "topologies.wan"
duration = "16 s"

[wan]
map = "five-regions"
places = { a-0 = "us-east-1", a-1 = "us-west-1", a-2 = "us-east-1", a-3 = "us-west-1", client = "us-east-1" }

[fidelity]
lateness_p99 = "500 ms"

[[program]]
name = "chain-a"
nodes = "a-*"
run = "nodes.ibc.validator.process:Validator"
config = { chain_id = "a-1", validators = ["a-0", "a-1", "a-2", "a-3"], block = "300 ms", round = "50 ms" }
ready = { http = "http://127.0.0.1:26657/health" }

[[action]]
at = "4 s"
do = "crash"
nodes = "a-1"
program = "chain-a"

[[action]]
at = "5 s"
do = "restart"
nodes = "a-1"
program = "chain-a"

[[action]]
at = "7 s"
for = "2 s"
do = "partition"
groups = [["a-0", "a-1"], ["a-2", "a-3"]]

[[action]]
at = "11500 ms"
do = "exec"
nodes = "client"
command = '''sh -c "for node in 0 1 2 3; do for height in 5 10; do curl -s http://a-$node:26657/commit?height=$height; echo; done; done"'''
expect = "exit 0"
"""  # noqa: E501 - a command is one line
CUT_S, HEALED_S = 8.0, 9.0  # no block in between: what was under way when the cut came has arrived by then


def test_validators_have_one_chain_through_kills_and_cuts(tmp_path: Path) -> None:
    scenario = tmp_path / "validators.toml"
    scenario.write_text(SCENARIO)
    ended = skyloom_in_time("run", scenario, "--no-tui", "--runs", tmp_path)
    assert ended.returncode == 0, ended.stdout
    folder = tmp_path / "validators" / "latest"
    events = told(folder)
    (restored,) = [data["height"] for _, node, kind, data in events if (node, kind) == ("a-1", "restored")]
    assert restored > 0
    for node in ("a-0", "a-1", "a-2", "a-3"):
        blocks = [(t_s, data["height"]) for t_s, name, kind, data in events if (name, kind) == (node, "block")]
        known = restored if node == "a-1" else 0  # what was made just before the kill may not have been told
        assert [height for _, height in blocks if height > known] == list(range(known + 1, blocks[-1][1] + 1))
        assert all(lower < higher for (_, lower), (_, higher) in pairwise(blocks)), f"{node} tells a block twice"
        assert not [t_s for t_s, _ in blocks if CUT_S < t_s < HEALED_S]
        assert blocks[-1][0] > HEALED_S + 2
    assert not [data for _, _, kind, data in events if kind == "accused"]
    answers = [json.loads(line) for line in (folder / "logs/client.txt").read_text().splitlines() if "{" in line]
    assert len(answers) == 8
    for height in (5, 10):
        same = [read_signed_header(each["result"]["signed_header"]) for each in answers if of(each) == height]
        assert len(same) == 4
        assert all(each == same[0] for each in same)
        assert same[0].commit is not None
        validators = Committee("a-1", (10,) * 4).at(height).validators
        verify_commit("a-1", validators, same[0].commit, SignatureCache())


def of(answer: Any) -> int:
    return int(answer["result"]["signed_header"]["header"]["height"])


def told(folder: Path) -> list[tuple[float, str, str, Any]]:
    from emulator.record.load import load_run

    rows = load_run(folder).events.select("t_s", "node", "kind", "data").iter_rows()
    return [(t_s, node, kind, json.loads(data or "{}")) for t_s, node, kind, data in rows]
