"""Validators sign two blocks of a height, and one client is told the wrong one: a relayer freezes all of that chain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

ROOT = Path(__file__).parents[3]
HEIGHT = 40
FORGER = f"""
[[program]]
name = "forger"
nodes = "a-0"
run = "ibc_forger:Forger"
config = {{ paths = ["a-0 b-0"], height = {HEIGHT} }}

[[action]]
at = "13 s"
do = "exec"
nodes = "relayer-1"
command = "status"
expect = "exit 0"
"""
SETTINGS = {
    "chains": 3, "block": "200ms", "load.drain": "3s", "program.chain-b.config.equivocate_height": HEIGHT,
    "wan.places.b-0": "us-east-1", "wan.places.c-0": "us-east-1",
}  # fmt: skip


def test_equivocation_freezes_every_client_of_the_chain(tmp_path: Path) -> None:
    scenario = tmp_path / "ibc.toml"
    scenario.write_text((ROOT / "scenarios/ibc/scenario.toml").read_text() + FORGER)
    shutil.copy(ROOT / "tests/support/ibc_forger.py", tmp_path)
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    ended = skyloom("run", scenario, "--duration", "15s", *words, "--no-tui", "--runs", tmp_path)
    events = load_run(tmp_path / "ibc" / "latest").events
    told = [json.loads(data)["text"] for data in events.filter(events["kind"] == "misbehaviour")["data"]]
    assert any(text.endswith(f"was told another block {HEIGHT}") for text in told), ended.stdout
    (answer,) = [json.loads(data)["output"] for data in events.filter(events["kind"] == "exec-ended")["data"]]
    for chain in ("a-0", "c-0"):  # the clients of b
        assert f"on {chain} is frozen" in answer, answer
    assert "on b-0 is frozen" not in answer
