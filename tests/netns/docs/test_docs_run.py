"""The programs of docs/sdk.md and docs/adding-a-protocol.md, played in runs as a reader would."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars
import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, needs_sandbox]
DOCS = Path(__file__).parents[3] / "docs"


def play(page: str, folder: Path, scenario: str) -> tuple[dict[str, Any], Path]:
    """Verdict and folder of a run of the files that a page shows."""
    for name, text in re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", (DOCS / page).read_text(), re.S | re.M):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    done = skyloom("run", folder / scenario, "--no-tui", "--json", "--runs", folder / "runs")
    assert done.returncode in (0, 75), done.stdout + done.stderr  # 75: this machine was too busy to be in time
    return json.loads(done.stdout), folder / "runs" / Path(scenario).stem / "latest"


def test_six_lines_measure_every_delay(tmp_path: Path) -> None:
    _, run = play("sdk.md", tmp_path, "beacon.toml")
    delays_s = load_run(run).samples.filter(polars.col("name") == "owd_s")["value"].to_list()
    assert len(delays_s) == 6
    # Arrivals are stamped by another clock, whose offset is read in two steps: a busy machine comes between them.
    assert all(0.009 < delay_s < 0.5 for delay_s in delays_s), delays_s


def test_the_rumour_reaches_everybody(tmp_path: Path) -> None:
    verdict, run = play("adding-a-protocol.md", tmp_path, "rumour.toml")
    assert verdict["summary"]["informed"] == 12
    told = [json.loads(row["data"]) for row in load_run(run).events.iter_rows(named=True) if row["kind"] == "told"]
    assert len(told) == 12
    assert all(each["refused"] == 0 for each in told)
