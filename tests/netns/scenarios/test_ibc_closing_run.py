"""Transfers over an ordered channel, one of whose chains halts: the first late packet closes it, all is refunded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]
pytest.importorskip("aiohttp", reason="aiohttp is absent (pip install 'skyloom[ibc]')")

ROOT = Path(__file__).parents[3]


def test_an_ordered_channel_closes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    text = (ROOT / "scenarios/ibc/scenario.toml").read_text()
    for found, wanted in {
        "nodes.ibc.chain.process:Chain": "ibc_lenient:LenientChain",
        "a-0 b-0": "a-0 b-0 v1 transfer ordered",
        'b-0 = "eu-north-1"': 'b-0 = "us-east-1"',
        'block = "1 s"': 'block = "200 ms"',
        'chain_id = "b-1"': 'chain_id = "b-1", halt = "8 s", halt_for = "3 s"',
        'length = "30 s"': 'length = "4 s", timeout = "2 s"',
        'at = "40 s"': 'at = "12 s"',
    }.items():
        assert found in text
        text = text.replace(found, wanted)
    scenario = tmp_path / "ibc.toml"
    scenario.write_text(text)
    shutil.copy(ROOT / "tests/support/ibc_lenient.py", tmp_path)
    ended = skyloom("run", scenario, "--duration", "14s", "--no-tui", "--runs", tmp_path)
    run = load_run(tmp_path / "ibc" / "latest")
    summary = run.verdict.summary
    assert summary["timed_out"] > 5, ended.stdout
    assert summary["acknowledged"] > 5
    assert summary["acknowledged"] + summary["timed_out"] == summary["sent"]
    assert [summary[name] for name in ("stuck", "lost", "duplicated", "escrow_errors")] == [0, 0, 0, 0]
