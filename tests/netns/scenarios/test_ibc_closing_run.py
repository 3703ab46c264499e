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

HALT_S = 10
PATH = '["a-0 b-0 v1 transfer ordered"]'
SETTINGS = {
    "block": "200ms", "load.drain": "11s", "wan.places.b-0": "us-east-1",
    "program.chain-a.run": "ibc_lenient:LenientChain", "program.chain-b.run": "ibc_lenient:LenientChain",
    "program.chain-b.config.halt": f"{HALT_S}s", "program.chain-b.config.halt_for": "3s",
    "program.relayer-1.config.paths": PATH, "program.load.config.paths": PATH, "program.audit.config.paths": PATH,
    "program.load.config.timeout": "2s",
}  # fmt: skip


@pytest.mark.timeout(300)
def test_an_ordered_channel_closes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scenario = shutil.copy(ROOT / "scenarios/ibc/scenario.toml", tmp_path / "ibc.toml")
    shutil.copy(ROOT / "tests/support/ibc_lenient.py", tmp_path)
    words = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    for _ in range(3):  # again only where the run tells that it was late: it opened the channel as the chain halted
        ended = skyloom("run", scenario, "--duration", "24s", *words, "--no-tui", "--runs", tmp_path)
        run = load_run(tmp_path / "ibc" / "latest")
        opened = [row["t_s"] for row in run.events.iter_rows(named=True) if row["kind"] == "path"]
        if opened and opened[0] < HALT_S - 2:
            break
    summary = run.verdict.summary
    assert summary["timed_out"] > 5, ended.stdout
    assert summary["acknowledged"] > 5
    assert summary["acknowledged"] + summary["timed_out"] == summary["sent"]
    assert [summary[name] for name in ("stuck", "lost", "duplicated", "wrongly_refunded")] == [0, 0, 0, 0]
    assert summary["escrow_ok"]
