"""Two chains over a wide-area network, by the command line: blocks, RPC from another node, a chain that is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyloom_command import skyloom_in_time

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

KILLED = """
[[action]]
at = "7 s"
do = "crash"
nodes = "a-0"
program = "chain-a"

[[action]]
at = "8 s"
do = "restart"
nodes = "a-0"
program = "chain-a"

[[action]]
at = "10 s"
do = "exec"
nodes = "b-0"
command = '''python3 -c "import urllib.request as u; print(u.urlopen('http://a-0:26657/block?height=2').read()[:60])"'''
expect = "exit 0"
"""
SHORT = (
    "--duration", "20s", "--set", "block=300ms", "--set", "load.drain=10s",
    "--set", "program.relayer-1.config.confirm=3s",  # the mempool of a chain that is killed is lost
)  # fmt: skip


def test_a_chain_that_is_killed_goes_on(tmp_path: Path) -> None:
    """Its blocks are on disk before anybody hears of them; another node asks for one of those afterwards."""
    text = (Path(__file__).parents[3] / "scenarios/ibc/scenario.toml").read_text()
    scenario = tmp_path / "ibc.toml"
    scenario.write_text(text + KILLED)
    ended = skyloom_in_time("run", scenario, *SHORT, "--no-tui", "--runs", tmp_path)
    folder = tmp_path / "ibc" / "latest"
    assert ended.returncode == 0, ended.stdout
    heights, restored = heights_and_restored(folder)
    assert restored > 0
    assert heights == list(range(1, len(heights) + 1))  # none is lost, none is made twice
    assert len(heights) > restored


def heights_and_restored(folder: Path) -> tuple[list[int], int]:
    """Heights of the blocks of a-0 in the order of time, and the height at which it went on."""
    from emulator.record.load import load_run

    rows = load_run(folder).events.filter(node="a-0").select("kind", "data").iter_rows()
    heights, restored = [], 0
    for kind, data in rows:
        if kind == "block":
            heights.append(json.loads(data)["height"])
        elif kind == "restored":
            restored = json.loads(data)["height"]
    return heights, restored
